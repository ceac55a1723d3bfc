//! Convention files as data: what each valid one resolves to, and exactly what is said about each
//! invalid one.
//!
//! `NAME.yaml` is the folder's `mwctl.yaml`; a folder `NAME/` beside it, where there is one, holds the
//! files of the repositories. `NAME.txt` (problems) or `NAME.json` (the resolved stack) is what is
//! expected; `UPDATE_EXPECT=1 cargo test -p mwctl-tests --test conventions` writes them anew.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]

use std::fmt::Write as _;

use mwctl_core::problem::{Problem, Rule};

mod catalogue;
mod corpus;
mod expect;
mod generated;
mod messages;
mod samples;
mod scenarios;
mod served;

use scenarios::{resolve, scenarios};

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

#[tokio::test]
async fn the_embedded_api_takes_everything_that_is_rendered() {
    let cluster = mwctl_testing::TestCluster::start().await.unwrap();
    served::judged(&cluster.client()).await;
}
