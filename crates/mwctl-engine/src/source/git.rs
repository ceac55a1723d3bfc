//! Clones a repository, with as little history as the reference allows.

use std::path::Path;

use super::{FetchError, argument};
use crate::command::{Command, CommandError, CommandRunner, Line};
use crate::progress::{Progress, Report};

/// Clones into `into`, which doesn't exist yet.
pub(super) async fn clone(
    url: &str,
    reference: Option<&str>,
    into: &Path,
    runner: &dyn CommandRunner,
    report: Report<'_>,
) -> Result<(), FetchError> {
    let url = argument(url)?;
    let reference = reference.map(argument).transpose()?;
    let folder = into.to_string_lossy();
    let run = async |arguments: &[&str]| {
        let on_line = |line: Line<'_>| {
            report(Progress::Line {
                text: line.text().to_owned(),
            });
        };
        Command::new(["git"].iter().chain(arguments).copied())
            // Nobody is there to answer a question for a password.
            .variable("GIT_TERMINAL_PROMPT", "0")
            .variable("LC_ALL", "C")
            .succeed(runner, &on_line)
            .await
    };
    let shallow = match reference {
        None => run(&["clone", "--depth", "1", "--", url, &folder]).await,
        Some(name) if is_commit(name) => match run(&["init", "-q", "--", &folder]).await {
            Ok(_) => {
                let at = ["-C", &folder];
                let steps: [&[&str]; 3] = [
                    &["remote", "add", "origin", url],
                    &["fetch", "-q", "--depth", "1", "origin", name],
                    &["checkout", "-q", "--detach", "FETCH_HEAD"],
                ];
                let mut result = Ok(());
                for step in steps {
                    if let Err(error) = run(&[&at, step].concat()).await {
                        result = Err(error);
                        break;
                    }
                }
                result.map(|()| crate::command::Output::default())
            }
            Err(error) => Err(error),
        },
        Some(name) => {
            run(&[
                "clone", "--depth", "1", "--branch", name, "--", url, &folder,
            ])
            .await
        }
    };
    let error = match (shallow, reference) {
        (Ok(_), _) => return Ok(()),
        (Err(error @ CommandError::Failed { .. }), Some(name)) if may_be_commit(name) => {
            // Servers needn't give a single commit, and none knows a shortened one: take all.
            drop(std::fs::remove_dir_all(into));
            let whole = match run(&["clone", "--", url, &folder]).await {
                Ok(_) => run(&["-C", &folder, "checkout", "-q", "--detach", name, "--"]).await,
                // The whole repository isn't to be had either: the first failure says why.
                Err(_) => Err(error),
            };
            match whole {
                Ok(_) => return Ok(()),
                Err(error) => error,
            }
        }
        (Err(error), _) => error,
    };
    Err(FetchError::Command {
        what: url.to_owned(),
        source: error,
    })
}

fn is_commit(reference: &str) -> bool {
    reference.len() == 40 && may_be_commit(reference)
}

fn may_be_commit(reference: &str) -> bool {
    (7..=40).contains(&reference.len()) && reference.bytes().all(|b| b.is_ascii_hexdigit())
}
