//! A service's repository as far as conventions look at it: some of its files, as text.
//!
//! The files are read by the engine; `interest` says which.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::document::{self, Document, Kind};
use super::node::Node;
use super::{text, wire};
use crate::problem::Problem;

/// The file in a repository that describes its service.
pub const FILE: &str = "mwctl.yaml";

/// The files of one repository that conventions asked for, as far as they exist.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Repository {
    /// Its folder, exactly as a service's `Source::directory` names it.
    pub directory: PathBuf,
    /// Path relative to the folder, and text.
    pub files: BTreeMap<PathBuf, String>,
}

/// Which files of each repository have to be read for these documents.
pub fn interest(shipped: &[Document], own: &[Document]) -> Vec<PathBuf> {
    let mut files = BTreeSet::from([PathBuf::from(FILE)]);
    for document in shipped.iter().chain(own) {
        if document.kind == Kind::Convention
            && let Ok(own) = document::own_keys::<wire::Convention>(&document.tree)
        {
            let recognise = own.recognise.unwrap_or_default();
            let signs = recognise.all.iter().chain(&recognise.any);
            files.extend(signs.map(|sign| PathBuf::from(&sign.file)));
        }
        collect(&document.tree, &mut files);
        for member in document
            .tree
            .get("services")
            .map(Node::entries)
            .unwrap_or_default()
        {
            collect(&member.value, &mut files);
        }
    }
    files.into_iter().collect()
}

fn collect(spec: &Node, files: &mut BTreeSet<PathBuf>) {
    let facts = spec.get("facts").map(Node::entries).unwrap_or_default();
    for candidate in facts.iter().flat_map(|fact| fact.value.items()) {
        files.extend(
            candidate
                .get("file")
                .and_then(Node::text)
                .map(PathBuf::from),
        );
    }
    let from = spec
        .pointer("/config/from")
        .map(Node::items)
        .unwrap_or_default();
    files.extend(from.iter().filter_map(Node::text).map(PathBuf::from));
}

/// Reads the structured files of a repository once, when they are asked for.
pub(crate) struct Files<'a> {
    repository: Option<&'a Repository>,
    read: RefCell<BTreeMap<PathBuf, Option<Rc<Node>>>>,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Files<'a> {
    pub(crate) fn new(repository: Option<&'a Repository>) -> Self {
        Self {
            repository,
            read: RefCell::default(),
            problems: RefCell::default(),
        }
    }

    /// Whether there is a repository at all: its source may not have been fetched yet.
    pub(crate) fn is_there(&self) -> bool {
        self.repository.is_some()
    }

    pub(crate) fn text(&self, file: &str) -> Option<&'a str> {
        self.repository?
            .files
            .get(Path::new(file))
            .map(String::as_str)
    }

    /// A file as a tree; `None` where it isn't there or can't be read, which is then a problem.
    pub(crate) fn tree(&self, file: &str) -> Option<Rc<Node>> {
        let text = self.text(file)?;
        let path = PathBuf::from(file);
        let mut read = self.read.borrow_mut();
        let tree = read.entry(path.clone()).or_insert_with(|| {
            // Problems name the file as a person finds it; evidence names it within the repository.
            let shown = self
                .repository
                .map_or_else(|| path.clone(), |it| it.directory.join(&path));
            match text::single(&shown, text) {
                Ok(node) => Some(Rc::new(node)),
                Err(problems) => {
                    self.problems.borrow_mut().extend(problems);
                    None
                }
            }
        });
        tree.clone()
    }

    pub(crate) fn has_problems(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}
