//! What a changed file means for a service: copied, restarted, dependencies, a new image.

use std::collections::BTreeSet;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::model::{Dependencies, Develop};

/// A pattern that can't be understood.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{pattern}` is not a pattern: {reason}")]
pub struct InvalidRule {
    /// As it was written.
    pub pattern: String,
    /// What the pattern library says.
    pub reason: String,
}

/// A service's rules, compiled.
#[derive(Clone, Debug)]
pub struct Rules {
    ignore: Gitignore,
    restart: GlobSet,
    rebuild: GlobSet,
    inputs: GlobSet,
    commands: Vec<GlobSet>,
}

fn globs(patterns: &[String]) -> Result<GlobSet, InvalidRule> {
    let invalid = |pattern: &str, error: &globset::Error| InvalidRule {
        pattern: pattern.to_owned(),
        reason: error.kind().to_string(),
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        // As in gitignore: a pattern without a slash matches at any depth.
        let anchored = if pattern.contains('/') {
            pattern.trim_start_matches('/').to_owned()
        } else {
            format!("**/{pattern}")
        };
        let glob = GlobBuilder::new(&anchored)
            .literal_separator(true)
            .build()
            .map_err(|error| invalid(pattern, &error))?;
        set.add(glob);
    }
    set.build()
        .map_err(|error| invalid(&patterns.join(" "), &error))
}

/// The files that decide whether dependencies are up to date. As where images are made, a name means the
/// file of the service's own folder.
fn inputs(dependencies: Option<&Dependencies>) -> Result<GlobSet, InvalidRule> {
    let mut set = GlobSetBuilder::new();
    for pattern in dependencies.map_or(&[][..], |it| &it.inputs) {
        let invalid = |error: globset::Error| InvalidRule {
            pattern: pattern.clone(),
            reason: error.kind().to_string(),
        };
        set.add(Glob::new(pattern).map_err(invalid)?);
    }
    set.build().map_err(|error| InvalidRule {
        pattern: "inputs".to_owned(),
        reason: error.to_string(),
    })
}

impl Rules {
    /// Compiles a service's rules; `ignored` are the lines of the checkout's own ignore files.
    pub fn new(develop: &Develop, ignored: &[String]) -> Result<Self, InvalidRule> {
        let mut builder = GitignoreBuilder::new("");
        let directories = develop
            .dependencies
            .iter()
            .flat_map(|dependencies| &dependencies.directories);
        // The description and the lock are for us and no part of the service.
        let own = [".git/", "/mwctl.yaml", "/mwctl.lock"].map(str::to_owned);
        for line in own
            .into_iter()
            .chain(ignored.iter().cloned())
            .chain(directories.map(|directory| format!("/{directory}/")))
            .chain(develop.exclude.iter().cloned())
        {
            builder.add_line(None, &line).map_err(|error| InvalidRule {
                pattern: line.clone(),
                reason: error.to_string(),
            })?;
        }
        let ignore = builder.build().map_err(|error| InvalidRule {
            pattern: develop.exclude.join(" "),
            reason: error.to_string(),
        })?;
        Ok(Self {
            ignore,
            restart: globs(&develop.restart)?,
            rebuild: globs(&develop.rebuild)?,
            inputs: inputs(develop.dependencies.as_ref())?,
            commands: develop
                .on_change
                .iter()
                .map(|command| globs(&command.files))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Whether a file is brought to the container at all.
    pub fn includes(&self, path: &str) -> bool {
        !self
            .ignore
            .matched_path_or_any_parents(path, false)
            .is_ignore()
    }

    /// Whether a folder has to be looked into.
    pub fn enters(&self, folder: &str) -> bool {
        !self
            .ignore
            .matched_path_or_any_parents(folder, true)
            .is_ignore()
    }

    /// Whether a change of the file restarts the process.
    pub fn restarts(&self, path: &str) -> bool {
        self.restart.is_match(path) || self.is_dependency_input(path)
    }

    /// Whether a change of the file needs a new image.
    pub fn rebuilds(&self, path: &str) -> bool {
        self.rebuild.is_match(path)
    }

    /// The commands of this machine, by their places in the list, that a change of these files makes run.
    pub fn commands(&self, paths: &BTreeSet<String>) -> Vec<usize> {
        let due = |(index, files): (usize, &GlobSet)| {
            paths
                .iter()
                .any(|path| files.is_match(path))
                .then_some(index)
        };
        self.commands.iter().enumerate().filter_map(due).collect()
    }

    /// Whether a change of the file means that dependencies must be brought up to date.
    pub fn is_dependency_input(&self, path: &str) -> bool {
        self.inputs.is_match(path)
    }
}
