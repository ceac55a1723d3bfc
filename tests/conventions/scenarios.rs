//! Convention files as data: where they are, and what each resolves to. What is expected of that is elsewhere.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use mwctl_core::conventions::{self, Document, Input, Repository};
use mwctl_core::model::Stack;
use mwctl_core::problem::Problem;
use mwctl_engine::repository;

/// What secrets may come from in these scenarios.
const ENVIRONMENT: [(&str, &str); 1] = [("SET_SECRET", "s3cret")];

/// The files of a folder of scenarios.
pub(crate) fn scenarios(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("conventions")
        .join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
        .collect();
    files.sort();
    files
}

/// The files under `root` that conventions ask for.
fn files_of(directory: &Path, root: &Path, own: &[Document]) -> Option<Repository> {
    root.is_dir().then(|| {
        let shipped = conventions::shipped();
        let read = repository::read(root, &conventions::interest(shipped, own)).unwrap();
        assert_eq!(read.problems, []);
        let mut files = read.texts;
        for file in repository::present(root, &conventions::presence(shipped, own)) {
            files.insert(file, String::new());
        }
        Repository {
            directory: directory.to_owned(),
            files,
        }
    })
}

/// Resolves a folder whose `mwctl.yaml` is `file`; its other files are under `root`.
pub(crate) fn resolve(file: &Path, root: &Path) -> Result<Stack, Vec<Problem>> {
    let name = PathBuf::from(file.file_name().unwrap());
    let read = repository::read(file.parent().unwrap(), std::slice::from_ref(&name)).unwrap();
    if !read.problems.is_empty() {
        return Err(read.problems);
    }
    let conventions::Parsed {
        documents: own,
        mut problems,
        omitted,
    } = conventions::parse(&name, &read.texts[&name]);
    let directory = PathBuf::from("/folder").join(file.file_stem().unwrap());
    let mut repositories = Vec::new();
    for source in conventions::sources(&own, &directory, &BTreeSet::new()) {
        let there = source.directory().unwrap();
        let below = there
            .strip_prefix(&directory)
            .unwrap_or(Path::new("nowhere"));
        repositories.extend(files_of(there, &root.join(below), &own));
        if *there == directory && !root.is_dir() {
            repositories.push(Repository {
                directory: directory.clone(),
                files: BTreeMap::new(),
            });
        }
    }
    let shipped = conventions::shipped();
    let asked = conventions::environment(shipped, &own, &repositories);
    let environment = ENVIRONMENT
        .iter()
        .filter(|(name, _)| asked.iter().any(|it| it == name))
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let manifests = conventions::manifests(&own)
        .into_iter()
        .map(|(path, _)| {
            (
                path.clone(),
                std::fs::read_to_string(root.join(path)).unwrap(),
            )
        })
        .collect();
    let resolved = conventions::resolve(&Input {
        shipped,
        own: &own,
        directory: &directory,
        repositories: &repositories,
        environment: &environment,
        profiles: &BTreeSet::new(),
        manifests: &manifests,
        suffix: None,
    });
    match resolved {
        Ok(stack) if problems.is_empty() => Ok(stack),
        Err(more) => {
            problems.extend(omitted.news(more));
            problems.sort();
            problems.dedup();
            Err(problems)
        }
        Ok(_) => Err(problems),
    }
}
