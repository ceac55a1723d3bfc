//! What is said of a build: while it is made, and before.

use mwctl_engine::images::Store;
use mwctl_engine::images::build::{Build, Explained, Told};
use mwctl_engine::images::plan::Plan;
use mwctl_engine::progress::Progress;

use super::failed;
use super::recipe::Recipe;
use crate::commands::image;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::ui::Ui;
use crate::ui::style::{bad, bold, dim, good, warning};

/// The longest step that is shown whole.
const WIDTH: usize = 90;

/// The same of another engine, whose program says what it does in its own words.
pub(super) fn show_foreign(ui: &Ui, told: Progress) {
    match told {
        Progress::Started { what } => ui.say(&bold(&what)),
        Progress::Line { text } => ui.say(&dim(&format!("  | {text}"))),
        Progress::Finished { what, milliseconds } => {
            let time = dim(&format!("{milliseconds} ms"));
            ui.say(&format!("{} {time}", good(&what)));
        }
    }
}

/// Shows what happens; the answer comes at the end.
pub(super) fn show(ui: &Ui, told: Told) {
    match told {
        Told::Begins { stage, step, why } => {
            let why = dim(&format!("({why})"));
            ui.say(&format!("{} {} {why}", bold(&stage), short(&step)));
        }
        Told::Failed { stage, how } => ui.say(&format!(
            "{} {how}; this is a shell where it stood, and `exit` ends the build",
            bad(&stage)
        )),
        Told::Output { line, .. } => ui.say(&dim(&format!("  | {line}"))),
        Told::Warns { what } => ui.say(&format!("{} {what}", warning("warning:"))),
        Told::Done {
            stage,
            step,
            cached: true,
            ..
        } => ui.say(&dim(&format!("{stage} {} (known)", short(&step)))),
        Told::Done {
            stage,
            step,
            milliseconds,
            ..
        } => {
            let time = dim(&format!("{milliseconds} ms"));
            ui.say(&format!("{} {} {time}", good(&stage), short(&step)));
        }
    }
}

fn short(step: &str) -> String {
    match step.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &step[..end]),
        None => step.to_owned(),
    }
}

/// Prints the steps, and makes nothing.
pub(super) async fn explain(
    run: &Invocation,
    store: Store,
    plan: Plan,
    recipe: Recipe,
) -> Result<Exit, CommandError> {
    let cancel = run.interrupt.finish.clone();
    let explained = image::blocking(move || {
        let build = Build {
            store: &store,
            plan: &plan,
            context: &recipe.folder(),
            arguments: &recipe.arguments,
            containers: None,
            cancel: &cancel,
            report: &|_| {},
        };
        build.explain()
    });
    let steps = explained.await?.map_err(failed)?;
    run.ui.answer(&steps, || text(&steps));
    Ok(Exit::Success)
}

fn text(steps: &[Explained]) -> String {
    let mut text = String::new();
    let mut stage = "";
    for step in steps {
        if step.stage != stage {
            stage = &step.stage;
            text = format!("{text}{}\n", bold(stage));
        }
        let mark = match step.cached {
            Some(true) => good("known"),
            Some(false) => "to do".to_owned(),
            None => "     ".to_owned(),
        };
        let why = match &step.why {
            Some(why) => format!(" {}", dim(&format!("({why})"))),
            None => String::new(),
        };
        text = format!("{text}  {mark}  {}{why}\n", short(&step.step));
    }
    text
}
