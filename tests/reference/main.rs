//! The reference pages that are made from the program itself: they can't tell anything that it doesn't do.
//!
//! `UPDATE_EXPECT=1` writes them anew. The page of conventions is made beside the conventions' tests.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]

mod commands;
#[path = "../conventions/expect.rs"]
mod expect;
mod source;

use std::fmt::Write as _;
use std::path::Path;

use expect::Expect;
use mwctl_core::problem::Rule;

/// The repository's root.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn check(name: &str, page: &str) {
    let mut expect = Expect::default();
    expect.file(&root().join("docs/reference").join(name), page);
    expect.finish();
}

#[test]
fn the_page_of_commands_is_the_one_of_the_argument_parser() {
    check("cli.md", &commands::page());
}

#[test]
fn the_page_of_exit_codes_is_the_one_of_the_program() {
    check(
        "exit-codes.md",
        &source::exit_codes(&read("crates/mwctl/src/exit.rs")),
    );
}

#[test]
fn the_page_of_problems_is_the_one_of_the_rules() {
    let mut page = "# Problems: every rule\n\n\
        Generated from `crates/mwctl-core/src/problem.rs`. `mwctl lint --output json` and `--output sarif` name the rule of each problem.\n\n\
        | rule | what is wrong |\n| --- | --- |\n"
        .to_owned();
    for rule in Rule::ALL {
        writeln!(page, "| `{}` | {} |", rule.id(), rule.description()).unwrap();
        let named = serde_json::to_value(rule).unwrap();
        assert_eq!(named, rule.id(), "JSON and SARIF name it alike");
    }
    check("problems.md", &page);
}

#[test]
fn the_page_of_the_environment_is_the_one_of_the_program() {
    check(
        "environment.md",
        &source::environment(&read("crates/mwctl/src/env.rs")),
    );
}

#[test]
fn the_page_of_events_is_the_one_of_the_engine() {
    check(
        "events.md",
        &source::events(&read("crates/mwctl-engine/src/event.rs")),
    );
}
