//! `mwctl diff`: what `up` would change in the cluster, line by line.

use std::fmt::Write as _;

use mwctl_core::plan::{Change, ChangeKind, Line, changes};
use serde::Serialize;

use crate::args::Diff;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::ui::style::{bad, bold, dim, good};

/// What differs, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    changes: Vec<Change>,
}

pub(super) async fn run(run: &Invocation, arguments: &Diff) -> Result<Exit, CommandError> {
    // Its answer is one document, which no event may stand before.
    super::up::fetch_for(run, &run.directory(), &|text| run.ui.say(&text)).await?;
    let workspace = run.workspace()?;
    let target = run.target(&workspace).await?;
    let prepared = super::plan::make(&target, &workspace, &arguments.deploy).await?;
    let answer = Answer {
        changes: changes(&prepared.plan, &prepared.observed),
    };
    let differs = !answer.changes.is_empty();
    run.ui.answer(&answer, || text(&answer.changes));
    Ok(if differs && arguments.exit_code {
        Exit::Failure
    } else {
        Exit::Success
    })
}

fn text(changes: &[Change]) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        let _infallible = writeln!(text, "{line}");
    };
    for change in changes {
        let word = match change.kind {
            ChangeKind::Create => "new",
            ChangeKind::Change => "changed",
            ChangeKind::Replace => "replaced",
            ChangeKind::Delete => "deleted",
        };
        let object = change.object.to_string();
        line(format!(
            "{} {} {}",
            bold(&object),
            word,
            dim(&change.reason)
        ));
        for it in &change.lines {
            // Colour never carries the meaning alone: the signs are those of every diff.
            line(match it {
                Line::Same(text) => format!("   {text}"),
                Line::Added(text) => good(&format!("+  {text}")),
                Line::Removed(text) => bad(&format!("-  {text}")),
                Line::Gap => dim("   …"),
            });
        }
    }
    if changes.is_empty() {
        line("nothing differs".to_owned());
    }
    text
}
