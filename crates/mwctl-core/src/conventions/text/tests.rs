//! Reading of texts: places, duplicates, and what is not YAML.

use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;

use super::{documents, single};
use crate::conventions::node::Tree;

fn complaints(text: &str) -> Vec<String> {
    let (_, problems) = documents(Path::new("a.yaml"), text);
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn every_key_and_value_knows_its_place() {
    let (nodes, problems) = documents(
        Path::new("a.yaml"),
        "a: 1\n---\nb:\n  - c: {d: 'é', 8080: x}\n  - no\n",
    );
    assert_eq!(problems, []);
    assert_eq!(nodes.len(), 2);
    let c = nodes[1].pointer("/b/0/c").unwrap();
    let d = c.entry("d").unwrap();
    assert_eq!((d.at.line, d.at.column), (4, 9));
    assert_eq!((d.value.at.line, d.value.at.column), (4, 12));
    assert_eq!(c.get("8080").unwrap().text(), Some("x"));
    assert_eq!(nodes[1].pointer("/b/1").unwrap().text(), Some("no"));
    assert_eq!(nodes[0].get("a").unwrap().tree, Tree::Number(1.into()));
}

#[test]
fn each_duplicate_is_named_with_the_line_of_the_first() {
    assert_eq!(
        complaints("a: 1\nb: 2\na: 3\nb: 4\n"),
        [
            "a.yaml:3:1: the key `a` is given twice (it stands first in line 1)",
            "a.yaml:4:1: the key `b` is given twice (it stands first in line 2)",
        ]
    );
}

#[test]
fn an_unquoted_template_is_explained() {
    assert_eq!(
        complaints("port: {{ facts.port }}\n"),
        [
            "a.yaml:1:8: a key must be a text, not a map or list (put a template into quotes: `\"{{ … }}\"`)"
        ]
    );
}

#[test]
fn aliases_that_explode_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let previous = format!("*a{}, ", level - 1).repeat(9);
        writeln!(text, "a{level}: &a{level} [{previous}]").unwrap();
    }
    let complaints = complaints(&text);
    assert_eq!(complaints.len(), 1);
    assert!(
        complaints[0].contains("too large or too deep"),
        "{complaints:?}"
    );
    let deep = "[".repeat(100_000);
    assert_eq!(documents(Path::new("a"), &deep).1.len(), 1);
}

#[test]
fn json_with_tabs_and_marks_has_places_too() {
    let node = single(
        Path::new("package.json"),
        "\u{feff}{\n\t\"name\": \"x\\/\\ud83d\\ude00\",\n\t\"dependencies\": {\"a\": \"1\"}\n}\n",
    )
    .unwrap();
    let a = node.pointer("/dependencies/a").unwrap();
    assert_eq!((a.at.line, a.at.column), (3, 24));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        drop(documents(Path::new("a"), &text));
        drop(single(Path::new("a.json"), &text));
    }

    #[test]
    fn no_text_that_looks_like_yaml_makes_it_panic(text in "([a-c*&!|>?:{}\\[\\]#'\"\t\\-] {0,2}|\n {0,4}){0,60}") {
        drop(documents(Path::new("a"), &text));
    }
}
