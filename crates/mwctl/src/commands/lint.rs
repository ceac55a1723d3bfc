//! `mwctl lint`: all problems of descriptions at once, with file, line and column.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mwctl_core::conventions::{FILE, Note};
use mwctl_core::problem::Problem;
use mwctl_engine::repository;
use mwctl_engine::workspace::{self, Load};
use serde::Serialize;

use crate::args::Lint;
use crate::commands::up::fetch_for;
use crate::env;
use crate::error::{CommandError, Kind, causes};
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::ui::style::{accent, bold, dim, good, warning};

mod sarif;

/// What was found, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    problems: Vec<Problem>,
    evidence: Vec<Conclusion>,
    left_out: Vec<Note>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Conclusion {
    service: String,
    #[serde(rename = "conclusion")]
    text: String,
    file: PathBuf,
    line: usize,
}

pub(super) async fn run(run: &Invocation, arguments: &Lint) -> Result<Exit, CommandError> {
    let here = [run.directory()];
    let paths: &[PathBuf] = if arguments.paths.is_empty() {
        &here
    } else {
        &arguments.paths
    };
    let mut answer = Answer {
        problems: Vec::new(),
        evidence: Vec::new(),
        left_out: Vec::new(),
    };
    for path in paths {
        check(run, path, &mut answer).await?;
    }
    if run.ui.is_sarif() {
        run.ui
            .print(&sarif::document(&answer.problems, &answer.left_out));
        let sound = answer.problems.is_empty();
        return Ok(if sound { Exit::Success } else { Exit::Invalid });
    }
    if !answer.problems.is_empty() {
        if run.ui.is_json() {
            run.ui.answer(&answer, String::new);
            return Ok(Exit::Invalid);
        }
        return Err(CommandError::problems(answer.problems));
    }
    run.ui.answer(&answer, || text(&answer));
    Ok(Exit::Success)
}

async fn check(run: &Invocation, path: &Path, answer: &mut Answer) -> Result<(), CommandError> {
    let folder = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    };
    // A folder's own file is checked with all that it refers to.
    let path = if path.file_name().is_some_and(|name| name == FILE) {
        folder
    } else {
        path
    };
    if path.is_file() {
        // Any other file alone: its documents are checked, not what they refer to.
        let problems = workspace::check_file(path).map_err(CommandError::failure)?;
        answer.problems.extend(problems);
        return Ok(());
    }
    // What a service's files say can only be checked where they are.
    if let Err(error) = fetch_for(run, path, &|text| run.ui.say(&text)).await {
        if !matches!(error.kind, Kind::Failure) {
            return Err(error);
        }
        // That they are missing is a problem then, and not the only one perhaps.
        run.ui
            .say(&format!("{} {}", warning("warning:"), error_text(&error)));
    }
    match workspace::explain(path, run.asked(), &env::asked_for) {
        Ok((directory, services)) => {
            for service in services {
                let conclusions = service.evidence.into_iter().map(|evidence| Conclusion {
                    service: service.service.to_string(),
                    text: evidence.conclusion,
                    file: evidence.file,
                    line: evidence.line,
                });
                answer.evidence.extend(conclusions);
                answer
                    .left_out
                    .extend(service.notes.into_iter().map(|mut note| {
                        if let Ok(rest) = note.file.strip_prefix(&directory) {
                            note.file = rest.to_owned();
                        }
                        note
                    }));
            }
            Ok(())
        }
        Err(Load::Problems(problems)) => {
            answer
                .problems
                .extend(problems.into_iter().map(|problem| named(path, problem)));
            Ok(())
        }
        Err(error) => Err(CommandError::failure(error)),
    }
}

/// The same problem, with its file as it is found from here.
fn named(folder: &Path, mut problem: Problem) -> Problem {
    if let Some(location) = &mut problem.location
        && folder != Path::new(".")
    {
        let root = repository::find(folder).ok().flatten();
        let root = root.map(|root| root.directory);
        let above = root.filter(|root| folder.canonicalize().is_ok_and(|it| it != *root));
        // An absolute path stays as it is.
        location.file = above.as_deref().unwrap_or(folder).join(&location.file);
    }
    problem
}

fn error_text(error: &CommandError) -> String {
    let Some(error) = &error.error else {
        return String::new();
    };
    let causes = causes(&**error);
    std::iter::once(error.to_string())
        .chain(causes)
        .collect::<Vec<_>>()
        .join(": ")
}

fn text(answer: &Answer) -> String {
    let mut text = String::new();
    for found in &answer.evidence {
        let place = dim(&format!("{}:{}", found.file.display(), found.line));
        let _infallible = writeln!(text, "{} {}  {place}", bold(&found.service), found.text);
    }
    for note in &answer.left_out {
        let place = dim(&format!("{}:{}", note.file.display(), note.line));
        let _infallible = writeln!(text, "{} {}  {place}", accent("left out:"), note.text);
    }
    text.push_str(&good("no problems"));
    text.push('\n');
    text
}
