//! `mwctl lint`: all problems of descriptions at once, with file, line and column.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mwctl_core::problem::Problem;
use mwctl_engine::workspace::{self, Load};
use serde::Serialize;

use crate::args::Lint;
use crate::env;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::ui::style::{bold, dim, good};

/// What was found, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    problems: Vec<Problem>,
    evidence: Vec<Conclusion>,
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

pub(super) fn run(run: &Invocation, arguments: &Lint) -> Result<Exit, CommandError> {
    let here = [run
        .global
        .directory
        .clone()
        .unwrap_or_else(|| PathBuf::from("."))];
    let paths: &[PathBuf] = if arguments.paths.is_empty() {
        &here
    } else {
        &arguments.paths
    };
    let mut answer = Answer {
        problems: Vec::new(),
        evidence: Vec::new(),
    };
    for path in paths {
        check(path, &mut answer)?;
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

fn check(path: &Path, answer: &mut Answer) -> Result<(), CommandError> {
    if path.is_file() {
        // A file alone: its documents are checked, not what they refer to.
        let problems = workspace::check_file(path).map_err(CommandError::failure)?;
        answer.problems.extend(problems);
        return Ok(());
    }
    match workspace::load(path, None, &env::asked_for) {
        Ok(workspace) => {
            for service in workspace.stack.services.values() {
                answer
                    .evidence
                    .extend(service.evidence.iter().map(|evidence| Conclusion {
                        service: service.name.to_string(),
                        text: evidence.conclusion.clone(),
                        file: evidence.file.clone(),
                        line: evidence.line,
                    }));
            }
            Ok(())
        }
        Err(Load::Problems(problems)) => {
            answer.problems.extend(problems);
            Ok(())
        }
        Err(error) => Err(CommandError::failure(error)),
    }
}

fn text(answer: &Answer) -> String {
    let mut text = String::new();
    for found in &answer.evidence {
        let place = dim(&format!("{}:{}", found.file.display(), found.line));
        let _infallible = writeln!(text, "{} {}  {place}", bold(&found.service), found.text);
    }
    text.push_str(&good("no problems"));
    text.push('\n');
    text
}
