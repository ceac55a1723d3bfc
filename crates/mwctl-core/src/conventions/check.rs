//! Collects problems about a merged tree, each at the place its pointer names.
//!
//! The single rules that several keys share (absolute paths, numbers, names) are here as well.

use super::node::Node;
use crate::problem::{Problem, Rule};

/// Problems found in one service's merged and rendered tree.
pub(crate) struct Check<'a> {
    tree: &'a Node,
    pub(crate) problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    pub(crate) fn new(tree: &'a Node) -> Self {
        Self {
            tree,
            problems: Vec::new(),
        }
    }

    pub(crate) fn tree(&self) -> &'a Node {
        self.tree
    }

    /// A problem of another kind than a value that can't be used.
    pub(crate) fn of(
        &mut self,
        rule: Rule,
        pointer: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.hinted(pointer, message, hint);
        if let Some(problem) = self.problems.last_mut() {
            problem.rule = rule;
        }
    }

    pub(crate) fn fail(&mut self, pointer: &str, message: impl Into<String>) {
        self.hinted(pointer, message, None);
    }

    pub(crate) fn hinted(
        &mut self,
        pointer: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let mut problem = Problem::new(message).at(self.tree.place(pointer).location());
        problem.hint = hint;
        self.problems.push(problem);
    }

    /// An absolute path without `..`, and not the root itself.
    pub(crate) fn absolute(&mut self, pointer: &str, path: &str) {
        let tidy = path.trim_end_matches('/');
        let inside = !tidy.split('/').any(|part| part == ".." || part == ".");
        if !(path.starts_with('/') && tidy.len() > 1 && inside && !tidy.contains("//")) {
            let message = format!("`{path}` must be an absolute path in the container");
            self.hinted(pointer, message, Some("such as `/srv/app`".to_owned()));
        }
    }

    /// A path below the service's directory.
    pub(crate) fn relative(&mut self, pointer: &str, path: &str) {
        let outside =
            path.is_empty() || path.starts_with('/') || path.split('/').any(|it| it == "..");
        if outside {
            let message = format!("`{path}` must be a path below the service's directory");
            self.fail(pointer, message);
        }
    }

    /// A whole number within bounds; the lower bound where it isn't.
    pub(crate) fn number(&mut self, pointer: &str, text: &str, from: u32, to: u32) -> u32 {
        match text.trim().parse::<u32>() {
            Ok(number) if (from..=to).contains(&number) => number,
            _ => {
                let message = format!("`{text}` must be a whole number from {from} to {to}");
                self.fail(pointer, message);
                from
            }
        }
    }

    /// A name that Kubernetes takes for a container or volume.
    pub(crate) fn label(&mut self, pointer: &str, name: &str) {
        if let Err(error) = crate::name::ServiceName::new(name) {
            self.of(Rule::Name, pointer, error.to_string(), None);
        }
    }

    /// A variable's name.
    pub(crate) fn variable(&mut self, pointer: &str, name: &str) {
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let message = format!("`{name}` can't be an environment variable's name");
            let hint = "use letters, digits and underscores, not starting with a digit";
            self.of(Rule::Name, pointer, message, Some(hint.to_owned()));
        }
    }
}
