//! Each format as a tree: what is found, where it stands, and what is said of a broken one.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(file: &str, text: &str) -> Node {
    tree(Path::new(file), text).unwrap()
}

fn at(node: &Node, pointer: &str) -> String {
    let found = node.pointer(pointer).unwrap_or_else(|| panic!("{pointer}"));
    format!(
        "{}:{} {}",
        found.at.line,
        found.at.column,
        found.value(true)
    )
}

#[test]
fn toml_knows_its_places() {
    let text =
        "[package]\nname = \"x\"\nport = 0x10\n\n[dependencies]\naxum = { version = \"1\" }\n";
    let tree = read("Cargo.toml", text);
    assert_eq!(at(&tree, "/package/name"), "2:8 \"x\"");
    assert_eq!(at(&tree, "/package/port"), "3:8 16");
    assert_eq!(at(&tree, "/dependencies/axum/version"), "6:20 \"1\"");
    assert_eq!(
        at(&tree, "/dependencies/axum").split(' ').next(),
        Some("6:1")
    );
}

#[test]
fn broken_toml_is_a_problem_at_its_place() {
    let problems = tree(Path::new("Cargo.toml"), "[package]\nname = x\n").unwrap_err();
    let text = problems[0].to_string();
    assert!(
        text.starts_with("Cargo.toml:2:8: not valid TOML: "),
        "{text}"
    );
    let twice = tree(Path::new("a.toml"), "a = 1\na = 2\n").unwrap_err();
    assert!(
        twice[0].to_string().starts_with("a.toml:2:1: "),
        "{twice:?}"
    );
}

#[test]
fn requirements_are_names_with_versions() {
    let text = "# ours\nFlask[async]==3.0 ; python_version > '3'\n-r more.txt\ngunicorn # server\n\
                Ruamel.Yaml>=0.17 --hash=sha256:00\nhttps://example.org/x.whl\nzope_event @ file:///x\n";
    let tree = read("requirements.txt", text);
    assert_eq!(
        tree.value(true),
        json!({ "flask": "==3.0", "gunicorn": "", "ruamel-yaml": ">=0.17", "zope-event": "@ file:///x" })
    );
    assert_eq!(tree.pointer("/gunicorn").unwrap().at.line, 4);
}

#[test]
fn a_python_project_lists_what_it_requires() {
    let standard = "[project]\nname = \"x\"\ndependencies = [\n \"FastAPI>=0.1\",\n \"uvicorn[standard]\",\n]\n";
    let tree = read("pyproject.toml", standard);
    assert_eq!(at(&tree, "/requirements/fastapi"), "4:2 \">=0.1\"");
    assert!(tree.pointer("/requirements/uvicorn").is_some());
    let poetry = "[tool.poetry.dependencies]\npython = \"^3.11\"\nDjango = \"^5\"\n";
    let tree = read("pyproject.toml", poetry);
    assert_eq!(at(&tree, "/requirements/django"), "3:10 \"^5\"");
}

#[test]
fn a_go_module_has_a_name_and_requirements() {
    let text = "// ours\nmodule example.org/team/thing/v2\n\ngo 1.22\n\nrequire (\n\tgithub.com/gin-gonic/gin v1.9.1\n\
                \tgolang.org/x/net v0.1.0 // indirect\n)\nrequire example.org/one v1.0.0\n";
    let tree = read("go.mod", text);
    assert_eq!(at(&tree, "/name"), "2:1 \"thing\"");
    assert_eq!(at(&tree, "/go"), "4:1 \"1.22\"");
    assert_eq!(
        tree.pointer("/require/github.com~1gin-gonic~1gin")
            .unwrap()
            .at
            .line,
        7
    );
    assert_eq!(tree.pointer("/require").unwrap().entries().len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        for file in FILES {
            drop(tree(Path::new(file), &text));
        }
    }

    #[test]
    fn no_text_that_looks_like_a_file_makes_a_reader_panic(
        text in "(\\[|\\]|\\{|\\}|\"|'|=|:|,|#|\n| |\t|-|\\(|\\)|env\\(|require|module|go|a|1|é|\\\\|\\.|\r|&|\\*){0,60}"
    ) {
        for file in FILES {
            if let Ok(node) = tree(Path::new(file), &text) {
                drop(node.at.location());
            }
        }
    }
}

const FILES: [&str; 8] = [
    "a.json",
    "a.yaml",
    "config.yml",
    "a.toml",
    "pyproject.toml",
    "requirements.txt",
    "go.mod",
    "x",
];
