//! A service's repository as far as conventions look at it: some of its files, as text.
//!
//! The files are read by the engine; `interest` says which.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::document::{self, Document, Kind};
use super::node::Node;
use super::{foreign, late, reader, wire};
use crate::problem::Problem;

/// The file in a repository that describes its service.
pub const FILE: &str = "mwctl.yaml";

/// The files of one repository that conventions asked for, as far as they exist.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Repository {
    /// Its folder, exactly as a service's `Source::directory` names it.
    pub directory: PathBuf,
    /// Path relative to the folder, and text; empty for those that only have to be there.
    pub files: BTreeMap<PathBuf, String>,
}

/// Which files of each repository have to be read for these documents. In a path, `*` stands for any part
/// of a name; [`fits`] says which names that are.
pub fn interest(shipped: &[Document], own: &[Document]) -> Vec<PathBuf> {
    let mut files = BTreeSet::from([PathBuf::from(FILE)]);
    files.extend(foreign::FILES.map(PathBuf::from));
    files.extend(asked(shipped, own, true));
    files.into_iter().collect()
}

/// Which files of each repository only have to be there: they stand in [`Repository::files`] with an empty
/// text.
pub fn presence(shipped: &[Document], own: &[Document]) -> Vec<PathBuf> {
    let read = interest(shipped, own);
    let mut files = asked(shipped, own, false);
    files.retain(|file| !read.contains(file));
    files.into_iter().collect()
}

/// The files that conventions point into, or that only have to exist.
fn asked(shipped: &[Document], own: &[Document], read: bool) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for document in shipped.iter().chain(own) {
        if document.kind == Kind::Convention
            && let Ok(own) = document::own_keys::<wire::Convention>(&document.tree)
        {
            let recognise = own.recognise.unwrap_or_default();
            let signs = recognise
                .all
                .iter()
                .chain(&recognise.any)
                .chain(&recognise.none);
            let signs = signs.flat_map(wire::Sign::all);
            let signs = signs.filter(|sign| sign.key.is_some() == read);
            files.extend(signs.map(|sign| PathBuf::from(&sign.file)));
        }
        collect(&document.tree, read, &mut files);
        for member in document
            .tree
            .get("services")
            .map(Node::entries)
            .unwrap_or_default()
        {
            collect(&member.value, read, &mut files);
        }
    }
    files
}

/// Whether a path is one that a pattern of [`interest`] names: `*` stands for any part of a name.
pub fn fits(pattern: &str, path: &Path) -> bool {
    let mut parts = path
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    let mut wanted = pattern.split('/');
    loop {
        match (wanted.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if part_fits(pattern, &part) => {}
            _ => return false,
        }
    }
}

/// Whether one part of a path fits; a hidden one isn't meant by `*`.
pub fn part_fits(pattern: &str, part: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == part,
        Some((before, after)) => {
            part.len() >= before.len() + after.len()
                && part.starts_with(before)
                && part.ends_with(after)
                && (!before.is_empty() || !part.starts_with('.'))
        }
    }
}

fn collect(spec: &Node, read: bool, files: &mut BTreeSet<PathBuf>) {
    let facts = spec.get("facts").map(Node::entries).unwrap_or_default();
    for candidate in facts.iter().flat_map(|fact| fact.value.items()) {
        if candidate.get("key").is_some() == read {
            let file = candidate.get("file").and_then(Node::text);
            files.extend(file.map(PathBuf::from));
        }
    }
    let from = spec
        .pointer("/config/from")
        .map(Node::items)
        .unwrap_or_default();
    if read {
        files.extend(from.iter().filter_map(Node::text).map(PathBuf::from));
    }
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
            match reader::tree(&shown, &late::quoted(text)) {
                Ok(node) => Some(Rc::new(node)),
                Err(problems) => {
                    self.problems.borrow_mut().extend(problems);
                    None
                }
            }
        });
        tree.clone()
    }

    /// A file as a reader of its format gives it; its problem is kept where it can't be read.
    pub(crate) fn read<T>(
        &self,
        file: &str,
        read: impl FnOnce(&Path, &str) -> Result<T, Problem>,
    ) -> Option<T> {
        self.read_all(file, |path, text| {
            read(path, text).map_err(|problem| vec![problem])
        })
    }

    /// The same for a reader that finds several problems.
    pub(crate) fn read_all<T>(
        &self,
        file: &str,
        read: impl FnOnce(&Path, &str) -> Result<T, Vec<Problem>>,
    ) -> Option<T> {
        let text = self.text(file)?;
        let repository = self.repository?;
        read(&repository.directory.join(file), text)
            .map_err(|problems| self.problems.borrow_mut().extend(problems))
            .ok()
    }

    /// The files whose paths a pattern fits, in their order.
    pub(crate) fn matching(&self, pattern: &str) -> Vec<&'a str> {
        let Some(repository) = self.repository else {
            return Vec::new();
        };
        let fits = |path: &&'a PathBuf| crate::conventions::repository::fits(pattern, path);
        let paths = repository.files.keys().filter(fits);
        paths.filter_map(|path| path.to_str()).collect()
    }

    pub(crate) fn has_problems(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    /// What was wrong with the files that were read since it was last asked.
    pub(crate) fn take_problems(&self) -> Vec<Problem> {
        self.problems.take()
    }
}
