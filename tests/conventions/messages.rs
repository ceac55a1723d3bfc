//! Each message about descriptions that stands in the code is one that some file in `invalid/` gets.
//!
//! The code is read as text: what stands where problems are made. What a message says of one file is `main.rs`'s part.

use std::path::{Path, PathBuf};

use regex::Regex;

/// Messages that no description of this size, or none at all, can get, and why.
const ELSEWHERE: [(&str, &str); 4] = [
    ("MiB; at most 16 are read", "unit tests read such a text"),
    (
        "the document can't be read: ",
        "the schema refuses it before",
    ),
    ("neither `app` nor `main_app`", "`init` says it of a chart"),
    (
        "the file can't be written: ",
        "`init` says it of what it made",
    ),
];

/// The text of every message, in which `{…}` stands for what is told of the case.
fn messages(code: &str) -> Vec<String> {
    let made = r#"(?:Problem::new\(|let message = |Failure::new\(|\.fail\([^"]*?(?:"[^" ]*"[^"]*?)?|\.hinted\([^"]*?(?:"[^" ]*"[^"]*?)?)"#;
    let text = r#"(?:format!\()?\s*"((?:[^"\\]|\\.|\\\n)*)""#;
    let pattern = Regex::new(&format!("{made}{text}")).unwrap();
    let own = code.split("#[cfg(test)]").next().unwrap_or_default();
    let continued = Regex::new(r"\\\n\s*").unwrap();
    pattern
        .captures_iter(own)
        .map(|found| continued.replace_all(&found[1], "").replace("\\\"", "\""))
        .filter(|message| message.contains(' '))
        .collect()
}

/// The longest part that is the same in every case.
fn constant(message: &str) -> String {
    let parts = Regex::new(r"\{[^}]*\}").unwrap();
    let longest = parts.split(message).max_by_key(|part| part.len());
    longest.unwrap_or_default().to_owned()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.file_name().is_some_and(|name| name != "tests.rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_message_has_an_invalid_file() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(
        &here.join("../crates/mwctl-core/src/conventions"),
        &mut files,
    );
    let texts: String = crate::scenarios::scenarios("invalid")
        .iter()
        .map(|file| std::fs::read_to_string(file.with_extension("txt")).unwrap())
        .collect();
    let mut missing = Vec::new();
    let mut all = 0;
    for file in files {
        for message in messages(&std::fs::read_to_string(&file).unwrap()) {
            all += 1;
            let constant = constant(&message);
            let elsewhere = ELSEWHERE.iter().any(|(part, _)| message.contains(part));
            if !elsewhere && !texts.contains(&constant) {
                missing.push(format!("{}: {message}", file.display()));
            }
        }
    }
    assert!(all > 90, "only {all} messages were found");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn a_message_is_found_where_it_is_made() {
    let code = r#"Problem::new("one of them"); check.fail(&at, "two of them"); let message = format!(
        "three {x} of \
         them"); check.hinted("/container", format!("`{y}` is four"), None);"#;
    let found = messages(code);
    assert_eq!(
        found,
        [
            "one of them",
            "two of them",
            "three {x} of them",
            "`{y}` is four"
        ]
    );
    assert_eq!(constant(&found[2]), " of them");
}
