//! Which files of a checkout stay out of the image.
//!
//! `.gitignore` is obeyed by the walk itself. Here are the rest: the patterns of the convention,
//! which have gitignore's syntax, and `.dockerignore`, which has not: its patterns are anchored at
//! the root, and a later `!pattern` brings back what an excluded folder contains.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// Folders that are never part of a service's own files, wherever they are.
const NEVER: [&str; 2] = [".git", "node_modules"];

/// Our own files at the root: no part of the service, and editing them must not rebuild.
const OWN: [&str; 2] = ["mwctl.yaml", "mwctl.lock"];

pub(super) struct Exclude {
    patterns: Gitignore,
    docker: Vec<(bool, GlobMatcher)>,
    directories: Vec<PathBuf>,
}

/// A pattern that can't be understood.
#[derive(Debug, thiserror::Error)]
#[error("`{pattern}` is no pattern of files to leave out")]
pub struct InvalidPattern {
    /// The pattern.
    pub pattern: String,
    /// Why.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

fn invalid(
    pattern: &str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> InvalidPattern {
    InvalidPattern {
        pattern: pattern.to_owned(),
        source: Box::new(source),
    }
}

impl Exclude {
    /// `directories` are those that the dependency step fills, relative to the root.
    pub(super) fn new(
        root: &Path,
        patterns: &[String],
        dockerignore: &str,
        directories: &[String],
    ) -> Result<Self, InvalidPattern> {
        let mut builder = GitignoreBuilder::new(root);
        for pattern in patterns {
            builder
                .add_line(None, pattern)
                .map_err(|source| invalid(pattern, source))?;
        }
        let patterns = builder.build().map_err(|source| invalid("", source))?;
        let docker = dockerignore
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(docker_pattern)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            patterns,
            docker,
            directories: directories.iter().map(PathBuf::from).collect(),
        })
    }

    /// Whether a path (relative to the root) stays out, folders with all they contain.
    pub(super) fn prunes(&self, path: &Path, is_directory: bool) -> bool {
        let name = path.file_name().and_then(|name| name.to_str());
        if is_directory && name.is_some_and(|name| NEVER.contains(&name)) {
            return true;
        }
        OWN.iter().any(|own| path == Path::new(own))
            || self.directories.iter().any(|directory| directory == path)
            || self.patterns.matched(path, is_directory).is_ignore()
            || (!is_directory && self.docker_excludes(path))
    }

    fn docker_excludes(&self, path: &Path) -> bool {
        let mut excluded = false;
        for (keeps, glob) in &self.docker {
            let hit = path
                .ancestors()
                .filter(|part| !part.as_os_str().is_empty())
                .any(|part| glob.is_match(part));
            if hit {
                excluded = !keeps;
            }
        }
        excluded
    }
}

fn docker_pattern(line: &str) -> Result<(bool, GlobMatcher), InvalidPattern> {
    let (keeps, pattern) = match line.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, line),
    };
    let pattern = pattern.trim_start_matches("./").trim_matches('/');
    let pattern = if pattern == "." { "**" } else { pattern };
    GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()
        .map(|glob| (keeps, glob.compile_matcher()))
        .map_err(|source| invalid(line, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excludes(patterns: &[&str], docker: &str, path: &str, is_directory: bool) -> bool {
        let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
        let exclude = Exclude::new(Path::new("/x"), &patterns, docker, &["vendor".to_owned()]);
        exclude.unwrap().prunes(Path::new(path), is_directory)
    }

    #[test]
    fn git_and_dependencies_stay_out_whatever_is_configured() {
        assert!(excludes(&[], "", ".git", true));
        assert!(excludes(&[], "", "a/node_modules", true));
        assert!(excludes(&[], "", "vendor", true));
        assert!(!excludes(&[], "", "a/vendor", true));
        assert!(!excludes(&[], "", "server.js", false));
        assert!(excludes(&[], "", "mwctl.yaml", false));
        assert!(excludes(&[], "", "mwctl.lock", false));
    }

    #[test]
    fn patterns_of_the_convention_have_gitignores_meaning() {
        assert!(excludes(&["*.log"], "", "a/b.log", false));
        assert!(excludes(&["/test"], "", "test", true));
        assert!(!excludes(&["/test"], "", "a/test", true));
        assert!(!excludes(&["*.log", "!keep.log"], "", "keep.log", false));
    }

    #[test]
    fn dockers_patterns_are_anchored_at_the_root() {
        assert!(excludes(&[], "*.md", "a.md", false));
        assert!(!excludes(&[], "*.md", "doc/a.md", false));
        assert!(excludes(&[], "**/*.md", "doc/a.md", false));
        assert!(excludes(&[], "/doc/", "doc/a/b", false));
        assert!(excludes(&[], "# no\n\ndoc", "doc/x", false));
    }

    #[test]
    fn docker_can_bring_back_what_an_excluded_folder_contains() {
        let text = "*\n!src\nsrc/secret";
        assert!(!excludes(&[], text, "src/a/b.js", false));
        assert!(excludes(&[], text, "src/secret", false));
        assert!(excludes(&[], text, "other", false));
    }
}
