//! What the files look like.

use std::path::Path;

use crate::{files, none, root, rust};

/// Lines of a file without its tests; at 400 a seam is looked for.
const LONGEST: usize = 600;

/// Names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 9] = [
    "util", "utils", "common", "helper", "helpers", "manager", "misc", "types", "stuff",
];

fn is_test(path: &Path) -> bool {
    path.starts_with("tests")
        || path.file_stem().is_some_and(|stem| stem == "tests")
        || path.iter().any(|part| part == "tests")
}

#[test]
fn files_are_short() {
    let long: Vec<String> = rust()
        .into_iter()
        .filter(|(path, _)| !is_test(path))
        .filter_map(|(path, text)| {
            let lines = text
                .lines()
                .take_while(|line| *line != "#[cfg(test)]")
                .count();
            (lines > LONGEST).then(|| format!("{}: {lines} lines", path.display()))
        })
        .collect();
    none(&long, "files of more than 600 lines without their tests");
}

#[test]
fn files_say_what_they_are_for() {
    let silent: Vec<String> = rust()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    none(&silent, "files that don't open with `//!`");
}

#[test]
fn names_say_what_is_inside() {
    let empty: Vec<String> = rust()
        .into_iter()
        .filter(|(path, _)| {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            stem == "mod"
                || EMPTY_NAMES
                    .iter()
                    .any(|name| stem.split('_').any(|part| part == *name))
        })
        .map(|(path, _)| path.display().to_string())
        .collect();
    none(&empty, "files whose names say nothing");
}

#[test]
fn open_ends_have_an_issue() {
    // Written in parts, so that this file is none of those it finds.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
    ];
    let mut open = Vec::new();
    for (path, text) in rust() {
        for (number, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) && !line.contains('#') {
                open.push(format!(
                    "{}:{}: {}",
                    path.display(),
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    none(&open, "open ends without an issue's number");
}

#[test]
fn nothing_of_one_machine_is_written_down() {
    // Written in parts, so that this file is none of those it finds.
    let home = concat!("/ro", "ot/");
    let mut found = Vec::new();
    for folder in ["crates", "tests", "docs", "conventions"] {
        for path in files(folder) {
            let Ok(text) = std::fs::read_to_string(root().join(&path)) else {
                continue; // Not text.
            };
            for (number, line) in text.lines().enumerate() {
                let here = root().to_str().unwrap();
                // A path that merely goes through a folder of that name is another one.
                let at_home = line.match_indices(home).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    before.is_none_or(|it| !it.is_alphanumeric() && it != '}')
                });
                if line.contains(&format!("{here}/")) || at_home {
                    found.push(format!(
                        "{}:{}: {}",
                        path.display(),
                        number + 1,
                        line.trim()
                    ));
                }
            }
        }
    }
    none(&found, "paths of one machine");
}

#[test]
fn every_file_of_a_crate_is_part_of_it() {
    let sources = rust();
    let manifest = std::fs::read_to_string(root().join("tests/Cargo.toml")).unwrap();
    let mut forgotten = Vec::new();
    for (path, _) in &sources {
        if let Ok(path) = path.strip_prefix("tests")
            && manifest.contains(&format!("path = \"{}\"", path.display()))
        {
            continue;
        }
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let folder = path.parent().unwrap();
        if ["main", "lib", "build"].contains(&stem)
            || folder.ends_with("bin")
            || folder.ends_with("benches")
            || folder.ends_with("examples")
            // Cargo itself finds these.
            || (folder.ends_with("tests") && folder.components().count() == 3)
        {
            continue;
        }
        let declared = format!("mod {stem};");
        // The parent is `folder.rs`, or the root of the folder's crate.
        let parents = [
            folder.with_extension("rs"),
            folder.join("main.rs"),
            folder.join("lib.rs"),
        ];
        let is_declared = sources.iter().any(|(other, text)| {
            parents.contains(other) && text.lines().any(|line| line.trim().ends_with(&declared))
        });
        if !is_declared {
            forgotten.push(path.display().to_string());
        }
    }
    none(
        &forgotten,
        "files that nothing declares: their tests are never run",
    );
}

#[test]
fn every_folder_of_tests_is_run() {
    let manifest = std::fs::read_to_string(root().join("tests/Cargo.toml")).unwrap();
    let forgotten: Vec<String> = files("tests")
        .into_iter()
        .filter(|path| path.ends_with("main.rs") && path.components().count() == 3)
        .map(|path| path.strip_prefix("tests").unwrap().display().to_string())
        .filter(|path| !manifest.contains(&format!("path = \"{path}\"")))
        .collect();
    none(
        &forgotten,
        "folders of tests that `tests/Cargo.toml` doesn't name",
    );
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut broken = Vec::new();
    let pages = files("docs")
        .into_iter()
        .chain(files("conventions"))
        .chain(["README.md".into()]);
    for page in pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = std::fs::read_to_string(root().join(&page)).unwrap();
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = target.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            if !root().join(page.parent().unwrap()).join(file).exists() {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    none(&broken, "links that lead nowhere");
}

#[test]
fn the_readme_has_one_command_to_start_and_one_to_test() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.lines().count() <= 120);
    for heading in ["## Quick start", "## Tests"] {
        let (_, section) = readme.split_once(heading).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let blocks: Vec<&str> = section.split("```sh\n").skip(1).collect();
        assert_eq!(blocks.len(), 1, "{heading}");
        let commands = blocks[0].split("```").next().unwrap().trim();
        assert_eq!(commands.lines().count(), 1, "{heading}");
    }
}
