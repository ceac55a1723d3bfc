//! Problems in the form that code checkers exchange: SARIF 2.1.0 (OASIS standard).
//!
//! Lines and columns are counted from 1, columns in Unicode code points, as ours are.

use std::fmt::Write as _;
use std::path::Path;

use mwctl_core::conventions::Note;
use mwctl_core::problem::{Problem, Rule};
use serde_json::{Value, json};

/// The rule of what is left out: no mistake, but worth knowing.
const LEFT_OUT: &str = "left-out";

/// The whole document. Problems are errors, what is left out are notes.
pub(super) fn document(problems: &[Problem], left_out: &[Note]) -> String {
    let mut rules: Vec<Value> = Rule::ALL
        .iter()
        .map(|rule| rule_of(rule.id(), rule.description()))
        .collect();
    rules.push(rule_of(
        LEFT_OUT,
        "something that a file of another tool says has no key here",
    ));
    let results: Vec<Value> = problems
        .iter()
        .map(problem)
        .chain(left_out.iter().map(note))
        .collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "mwctl",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{document:#}\n")
}

fn rule_of(id: &str, description: &str) -> Value {
    json!({ "id": id, "shortDescription": { "text": description } })
}

fn problem(problem: &Problem) -> Value {
    let text = match &problem.hint {
        Some(hint) => format!("{} ({hint})", problem.message),
        None => problem.message.clone(),
    };
    let mut result = json!({
        "ruleId": problem.rule.id(),
        "level": "error",
        "message": { "text": text },
    });
    if let Some(at) = &problem.location {
        let mut place = location(&at.file, at.line);
        place["physicalLocation"]["region"]["startColumn"] = json!(at.column);
        place["physicalLocation"]["region"]["endColumn"] = json!(at.column + at.length.max(1));
        result["locations"] = json!([place]);
    }
    result
}

fn note(note: &Note) -> Value {
    json!({
        "ruleId": LEFT_OUT,
        "level": "note",
        "message": { "text": note.text },
        "locations": [location(&note.file, note.line)],
    })
}

fn location(file: &Path, line: usize) -> Value {
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(file) },
        "region": { "startLine": line.max(1) },
    } })
}

/// A path as the reference that it is in a URI: relative ones stay relative.
fn uri(path: &Path) -> String {
    let text = path.to_string_lossy().replace('\\', "/");
    let mut uri = String::with_capacity(text.len());
    if text.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&byte);
        if plain {
            uri.push(byte.into());
        } else {
            let _infallible = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_reference() {
        assert_eq!(uri(Path::new("a b/ä.yaml")), "a%20b/%C3%A4.yaml");
        assert_eq!(uri(Path::new("/x/y")), "file:///x/y");
    }
}
