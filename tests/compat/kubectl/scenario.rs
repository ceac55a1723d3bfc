//! Commands in an order, as text: what a test runs and what it compares.
//!
//! ```text
//! # A comment.
//! $ kubectl get pods            what it prints is compared
//! ~ kubectl rollout status …    has to succeed, or brings about a state; what it prints is not compared
//! ! kubectl delete node …       runs at the end, whatever happens; only what is in no namespace needs it
//! ```
//!
//! A command that ends with a backslash goes on in the next line.

use std::path::Path;

/// What becomes of what a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Compare,
    Settle,
    CleanUp,
}

/// A line of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) purpose: Purpose,
    pub(crate) command: String,
}

/// A list of commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scenario {
    /// The file's name without its extension.
    pub(crate) name: String,
    pub(crate) lines: Vec<Line>,
}

impl Scenario {
    /// All scenarios of a folder, in the order of their names.
    pub(crate) fn all(folder: &Path) -> Vec<Self> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        Self {
            name: name.to_owned(),
            lines: parse(&text).unwrap_or_else(|line| panic!("{name}: what is `{line}`?")),
        }
    }
}

/// The lines of a scenario, or one that is none.
fn parse(text: &str) -> Result<Vec<Line>, String> {
    let text = text.replace("\\\n", "");
    let mut lines = Vec::new();
    for line in text.lines() {
        let purpose = match line.get(..2) {
            Some("$ ") => Purpose::Compare,
            Some("~ ") => Purpose::Settle,
            Some("! ") => Purpose::CleanUp,
            _ if line.is_empty() || line.starts_with('#') => continue,
            _ => return Err(line.to_owned()),
        };
        lines.push(Line {
            purpose,
            command: line[2..].trim().to_owned(),
        });
    }
    Ok(lines)
}

#[test]
fn a_scenario_is_read_line_by_line() {
    let lines = parse("# c\n\n$ kubectl get \\\npods\n! kubectl delete node n\n").unwrap();
    let read: Vec<_> = lines
        .iter()
        .map(|line| (line.purpose, line.command.as_str()))
        .collect();
    assert_eq!(
        read,
        [
            (Purpose::Compare, "kubectl get pods"),
            (Purpose::CleanUp, "kubectl delete node n"),
        ]
    );
    assert_eq!(parse("kubectl"), Err("kubectl".to_owned()));
}
