//! Converts and checks how a service is worked on: its source, dependencies, development and tests.

use std::path::Path;

use super::super::check::Check;
use super::super::node::Node;
use super::super::{defaults, duration, wire};
use crate::model::{Dependencies, Develop, Image, OnChange, Source, Test};
use crate::problem::Problem;

pub(super) fn dependencies(
    at: &str,
    wire: wire::Dependencies,
    check: &mut Check<'_>,
) -> Dependencies {
    if wire.command.is_empty() {
        check.fail(at, "`dependencies` lacks `command`");
    }
    globs(&format!("{at}/inputs"), &wire.inputs, check);
    for (index, directory) in wire.directories.iter().enumerate() {
        check.relative(&format!("{at}/directories/{index}"), directory);
    }
    for (index, file) in wire.lock_files.iter().enumerate() {
        check.relative(&format!("{at}/lockFiles/{index}"), file);
    }
    Dependencies {
        command: super::words(wire.command),
        environment: super::variables(&format!("{at}/environment"), wire.environment, check),
        inputs: wire.inputs,
        directories: wire.directories,
        lock_files: wire.lock_files,
    }
}

pub(super) fn develop(
    source: &Source,
    wire: Option<wire::Develop>,
    image: &Image,
    check: &mut Check<'_>,
) -> Option<Develop> {
    let build = match image {
        Image::Build(build) => Some(build),
        Image::Reference(_) => None,
    };
    source.directory()?;
    let stated = wire.is_some();
    let wire = wire.unwrap_or_default();
    let directory = wire
        .directory
        .or_else(|| build.map(|build| build.directory.clone()));
    let Some(directory) = directory else {
        if stated {
            check.fail(
                "/develop",
                "`develop` needs a `directory`, since the image isn't built here",
            );
        }
        return None;
    };
    check.absolute("/develop/directory", &directory);
    let restart = wire
        .restart
        .unwrap_or_else(|| vec![defaults::RESTART.to_owned()]);
    globs("/develop/restart", &restart, check);
    globs("/develop/rebuild", &wire.rebuild, check);
    // Another file builds another image, which no copied file can replace.
    let mut rebuild = wire.rebuild;
    rebuild.extend(
        build
            .and_then(|build| build.file.as_ref())
            .map(|file| globset::escape(&file.path)),
    );
    let exclude = wire
        .exclude
        .unwrap_or_else(|| build.map(|it| it.exclude.clone()).unwrap_or_default());
    let stop = wire
        .stop_timeout
        .unwrap_or_else(|| defaults::STOP_TIMEOUT.to_owned());
    let stop_timeout_ms = duration::milliseconds(&stop).unwrap_or_else(|| {
        super::container::no_duration("/develop/stopTimeout", &stop, check);
        0
    });
    let dependencies = match wire.dependencies {
        Some(wire) => Some(dependencies("/develop/dependencies", wire, check)),
        None => build.and_then(|build| build.dependencies.clone()),
    };
    Some(Develop {
        directory,
        exclude,
        dependencies,
        restart,
        rebuild,
        command: super::words(wire.command),
        environment: super::variables("/develop/environment", wire.environment, check),
        in_place: wire.in_place,
        mount: wire.mount,
        stop_timeout_ms,
        on_change: wire
            .on_change
            .into_iter()
            .enumerate()
            .map(|(index, wire)| on_change(&format!("/develop/onChange/{index}"), wire, check))
            .collect(),
    })
}

fn on_change(at: &str, wire: wire::OnChange, check: &mut Check<'_>) -> OnChange {
    if wire.command.is_empty() {
        check.fail(at, "a command that runs when files change lacks `command`");
    }
    if wire.files.is_empty() {
        check.fail(at, "a command that runs when files change lacks `files`");
    }
    globs(&format!("{at}/files"), &wire.files, check);
    OnChange {
        files: wire.files,
        command: super::words(wire.command),
        environment: super::variables(&format!("{at}/environment"), wire.environment, check),
    }
}

fn globs(at: &str, patterns: &[String], check: &mut Check<'_>) {
    for (index, glob) in patterns.iter().enumerate() {
        if let Err(error) = globset::Glob::new(glob) {
            let message = format!("`{glob}` isn't a glob: {}", error.kind());
            check.fail(&format!("{at}/{index}"), message);
        }
    }
}

pub(super) fn test(wire: Option<wire::Test>, image: &Image, check: &mut Check<'_>) -> Option<Test> {
    let wire = wire?;
    if wire.command.is_empty() {
        check.fail("/test", "`test` lacks `command`");
    }
    let file = match image {
        Image::Build(build) => build.file.as_ref(),
        Image::Reference(_) => None,
    };
    if wire.variant.is_some() && file.is_none() {
        check.hinted(
            "/test/variant",
            "`variant` says something only of the `file` that the image is built from, and there is none",
            Some("name it at `container.build.file`, or leave `variant` out".to_owned()),
        );
    }
    let from_build = match image {
        Image::Build(build) if wire.variant.is_none() => build.dependencies.clone(),
        Image::Build(_) | Image::Reference(_) => None,
    };
    Some(Test {
        variant: wire.variant,
        command: super::words(wire.command),
        environment: super::variables("/test/environment", wire.environment, check),
        dependencies: match wire.dependencies {
            Some(wire) => Some(dependencies("/test/dependencies", wire, check)),
            None => from_build,
        },
    })
}

/// Where a service's files come from, as its `source` key says; `None` where it has none.
pub(crate) fn source(
    spec: &Node,
    name: &str,
    directory: &Path,
    problems: &mut Vec<Problem>,
) -> Option<Source> {
    let node = spec.get("source")?;
    // Relative to the document that says so, which may be an included one.
    let beside = node.at.source.file.parent();
    let directory = &beside.map_or_else(|| directory.to_owned(), |it| directory.join(it));
    let wire: wire::Source = serde_json::from_value(node.value(false)).ok()?;
    let default = || format!("src/{name}");
    match (wire.path, wire.git, wire.npm, wire.pypi) {
        (Some(path), None, None, None) => Some(Source::Path(directory.join(path))),
        (None, Some(git), None, None) => Some(Source::Git {
            directory: directory.join(git.directory.unwrap_or_else(default)),
            url: git.url,
            reference: git.reference.map(|it| it.0),
        }),
        (None, None, Some(npm), None) => Some(Source::Npm {
            directory: directory.join(npm.directory.unwrap_or_else(default)),
            package: npm.package,
            version: npm.version.map_or("latest".to_owned(), |it| it.0),
        }),
        (None, None, None, Some(pypi)) => Some(Source::Pypi {
            directory: directory.join(pypi.directory.unwrap_or_else(default)),
            package: pypi.package,
            version: pypi.version.map(|it| it.0),
        }),
        _ => {
            let message = "a source is exactly one of `path`, `git`, `npm` and `pypi`";
            problems.push(Problem::new(message).at(node.at.location()));
            None
        }
    }
}
