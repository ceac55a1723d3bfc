//! `.dockerignore`: which files of the folder that is built are no part of it.
//!
//! Patterns are anchored at the root. A later `!pattern` brings back what an earlier one took,
//! also from within a folder.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

#[derive(Clone, Debug, Default)]
pub(super) struct Ignore {
    /// Whether it keeps, and what.
    patterns: Vec<(bool, GlobMatcher)>,
}

impl Ignore {
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
}
