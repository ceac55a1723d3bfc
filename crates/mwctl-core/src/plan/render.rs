//! A plan as people read it: one line a step with its reason, what is held, a closing sentence.

use std::fmt::Write;

use super::{Action, Hold, HoldKind, Plan};
use crate::model::Condition;

/// The text of a plan, without colours, each line with its end.
pub fn text(plan: &Plan) -> String {
    let rows: Vec<[String; 3]> = plan
        .steps
        .iter()
        .map(|step| {
            let (verb, object) = describe(&step.action);
            [verb.to_owned(), object, step.reason.clone()]
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let (verb_width, object_width) = (width(0).unwrap_or(0), width(1).unwrap_or(0));
    let mut text = String::new();
    for [verb, object, reason] in &rows {
        writeln!(text, "{verb:verb_width$}  {object:object_width$}  {reason}")
            .expect("a string takes any text");
    }
    for hold in &plan.holds {
        let word = match hold.kind {
            HoldKind::Replaced => "warning",
            _ => "held",
        };
        writeln!(text, "{word}: {}", hold.reason).expect("a string takes any text");
        if let Some(hint) = &hold.hint {
            writeln!(text, "      {hint}").expect("a string takes any text");
        }
    }
    writeln!(text, "{}", summary(plan)).expect("a string takes any text");
    text
}

/// What an action does and to what.
pub fn describe(action: &Action) -> (&'static str, String) {
    match action {
        Action::Build { reference, .. } => ("build", reference.clone()),
        Action::Deliver { reference, .. } => ("deliver", reference.clone()),
        Action::Apply(object) => ("apply", object.id().to_string()),
        Action::Delete { id } => ("delete", id.to_string()),
        Action::Await { service, condition } => {
            let until = match condition {
                Condition::Ready => "ready",
                Condition::Started => "started",
                Condition::Completed => "completed",
                Condition::Eventually => "described",
            };
            ("await", format!("{service} {until}"))
        }
    }
}

/// The closing sentence.
pub fn summary(plan: &Plan) -> String {
    let count = |number: usize, one: &str, many: &str| match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    };
    let mut parts = Vec::new();
    if plan.steps.is_empty() {
        parts.push("nothing to do".to_owned());
    } else {
        parts.push(count(plan.steps.len(), "step", "steps"));
    }
    let replaced = |hold: &&Hold| hold.kind == HoldKind::Replaced;
    let warnings = plan.holds.iter().filter(replaced).count();
    let held = plan.holds.len() - warnings;
    if held > 0 {
        parts.push(format!("{held} held"));
    }
    if warnings > 0 {
        parts.push(count(warnings, "warning", "warnings"));
    }
    if plan.unchanged > 0 {
        parts.push(format!(
            "{} unchanged",
            count(plan.unchanged, "object", "objects")
        ));
    }
    parts.join(", ")
}
