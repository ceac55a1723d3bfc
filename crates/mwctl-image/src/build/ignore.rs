//! `.dockerignore`: which files of the folder that is built are no part of it.
//!
//! As with `BuildKit`, a Dockerfile may have one of its own beside it, which counts instead: `NAME.dockerignore`.
//!
//! Patterns are anchored at the root. A later `!pattern` brings back what an earlier one took,
//! also from within a folder.

use std::fs;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use crate::recipe;

#[derive(Clone, Debug, Default)]
pub(super) struct Ignore {
    /// Whether it keeps, and what.
    patterns: Vec<(bool, GlobMatcher)>,
}

impl Ignore {
    /// What is left out where this file says how the folder is built; without any patterns nothing is.
    pub(super) fn of(root: &Path, file: &Path) -> Self {
        let own = file.file_name().filter(|_| !recipe::is_blubber(file));
        let own = own.and_then(|name| {
            let mut name = name.to_owned();
            name.push(".dockerignore");
            fs::read_to_string(file.with_file_name(name)).ok()
        });
        let text = own.or_else(|| fs::read_to_string(root.join(".dockerignore")).ok());
        Self::new(text.unwrap_or_default().lines())
    }

    /// Reads patterns; those that are none match nothing.
    pub(super) fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Self {
        let patterns = patterns
            .into_iter()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .filter_map(pattern)
            .collect();
        Self { patterns }
    }

    /// Whether a path from the root is left out.
    pub(super) fn excludes(&self, path: &Path) -> bool {
        let mut excluded = false;
        for (keeps, glob) in &self.patterns {
            if excluded == *keeps
                && path
                    .ancestors()
                    .filter(|part| !part.as_os_str().is_empty())
                    .any(|part| glob.is_match(part))
            {
                excluded = !keeps;
            }
        }
        excluded
    }

    /// Whether something below a folder that is left out may be brought back.
    pub(super) fn brings_back(&self) -> bool {
        self.patterns.iter().any(|(keeps, _)| *keeps)
    }
}

fn pattern(line: &str) -> Option<(bool, GlobMatcher)> {
    let (keeps, pattern) = match line.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, line),
    };
    let pattern = pattern.trim_start_matches("./").trim_matches('/');
    let pattern = if pattern == "." { "**" } else { pattern };
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    Some((keeps, glob.ok()?.compile_matcher()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pattern_that_matches_counts() {
        let ignore = Ignore::new("# no\n*.md\n**/*.log\nout\n!out/keep\n/doc/".lines());
        for (path, excluded) in [
            ("a.md", true),
            ("doc/a", true),
            ("b/a.md", false),
            ("b/a.log", true),
            ("out/x", true),
            ("out/keep/x", false),
            ("src", false),
        ] {
            assert_eq!(ignore.excludes(Path::new(path)), excluded, "{path}");
        }
    }

    #[test]
    fn a_dockerfiles_own_patterns_count_instead_of_the_folders() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(".dockerignore", "*.md\n");
        write("sub/Other.dockerignore", "*.log\n");
        write("blubber.yaml.dockerignore", "*.log\n");
        write("Empty.dockerignore", "");
        for (file, left_out) in [
            ("Dockerfile", "md"),
            ("sub/Dockerfile", "md"),
            ("sub/Other", "log"),
            // Blubber knows the folder's alone.
            ("blubber.yaml", "md"),
            ("Empty", "nothing"),
        ] {
            let ignore = Ignore::of(folder.path(), &folder.path().join(file));
            for ending in ["md", "log"] {
                let path = format!("a.{ending}");
                assert_eq!(
                    ignore.excludes(Path::new(&path)),
                    ending == left_out,
                    "{file} {path}"
                );
            }
        }
    }
}
