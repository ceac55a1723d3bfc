//! Convention files as data: what each valid one resolves to, and exactly what is said about each
//! invalid one.
//!
//! `NAME.yaml` is the folder's `mwctl.yaml`; a folder `NAME/` beside it, where there is one, holds the
//! files of the repositories. `NAME.txt` (problems) or `NAME.json` (the resolved stack) is what is
//! expected; `UPDATE_EXPECT=1 cargo test -p mwctl-tests --test conventions` writes them anew.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mwctl_core::conventions::{self, Document, Input, Repository};
use mwctl_core::model::Stack;
use mwctl_core::problem::{Problem, Rule};
use mwctl_engine::repository;

mod catalogue;
mod corpus;
mod expect;
mod generated;
mod messages;
mod samples;
mod served;

/// What secrets may come from in these scenarios.
const ENVIRONMENT: [(&str, &str); 1] = [("SET_SECRET", "s3cret")];

fn scenarios(folder: &str) -> Vec<PathBuf> {
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

fn lines(problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |mut text, problem| {
        writeln!(text, "{problem}").unwrap();
        text
    })
}

#[test]
fn every_invalid_file_gets_exactly_its_messages() {
    let files = scenarios("invalid");
    assert!(
        files.len() >= 25,
        "only {} scenarios were found",
        files.len()
    );
    let mut check = expect::Expect::default();
    for file in files {
        let said = match resolve(&file, &file.with_extension("")) {
            Ok(_) => "no problem was found\n".to_owned(),
            Err(problems) => lines(&problems),
        };
        assert_ne!(said, "no problem was found\n", "{}", file.display());
        check.file(&file.with_extension("txt"), &said);
    }
    check.finish();
}

#[test]
fn every_rule_has_an_invalid_file() {
    let mut seen = std::collections::BTreeSet::new();
    for file in scenarios("invalid") {
        let problems = resolve(&file, &file.with_extension("")).unwrap_err();
        seen.extend(problems.iter().map(|problem| problem.rule));
    }
    let missing: Vec<&str> = Rule::ALL
        .iter()
        .filter(|rule| !seen.contains(rule))
        .map(|rule| rule.id())
        .collect();
    assert!(missing.is_empty(), "no invalid file shows {missing:?}");
}

#[test]
fn every_valid_file_resolves_to_its_stack() {
    let mut check = expect::Expect::default();
    for file in scenarios("valid") {
        let stack = resolve(&file, &file.with_extension(""));
        let stack = stack.unwrap_or_else(|problems| panic!("{}", lines(&problems)));
        let json = serde_json::to_string_pretty(&stack).unwrap() + "\n";
        assert!(!json.contains("s3cret"), "a secret is never shown");
        check.file(&file.with_extension("json"), &json);
    }
    check.finish();
}

#[test]
fn resolving_twice_gives_the_same() {
    for file in scenarios("valid") {
        let root = file.with_extension("");
        assert_eq!(resolve(&file, &root), resolve(&file, &root));
    }
}
