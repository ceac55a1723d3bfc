//! `mwctl explain`: where each value of a service comes from, and what it was chosen over.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mwctl_core::conventions::{Explained, Explanation, Origin, Speaker};
use serde::Serialize;
use serde_json::Value;

use crate::args::Explain;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::ui::style::{accent, bold, dim};

/// What was asked for, for programs: a service with the values at the field.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    /// The folder that relative files are in.
    directory: PathBuf,
    services: Vec<Explanation>,
}

pub(super) fn run(run: &Invocation, arguments: &Explain) -> Result<Exit, CommandError> {
    let (directory, all) = run.explain()?;
    let mut services = match &arguments.service {
        Some(name) => vec![one(all, name)?],
        None => all,
    };
    if let Some(field) = &arguments.field {
        for service in &mut services {
            let values: Vec<Explained> = service.at(field).into_iter().cloned().collect();
            if values.is_empty() {
                return Err(unknown(service, field));
            }
            service.values = values;
        }
    }
    for service in &mut services {
        shorten(service, &directory);
    }
    let whole = arguments.field.is_none();
    let answer = Answer {
        directory,
        services,
    };
    run.ui.answer(&answer, || text(&answer.services, whole));
    Ok(Exit::Success)
}

fn one(all: Vec<Explanation>, name: &str) -> Result<Explanation, CommandError> {
    let names: Vec<String> = all.iter().map(|it| it.service.to_string()).collect();
    all.into_iter()
        .find(|it| it.service.as_str() == name)
        .ok_or_else(|| {
            CommandError::usage(format!("there is no service `{name}` here"))
                .hint(format!("its services are: {}", names.join(", ")))
        })
}

fn unknown(service: &Explanation, field: &str) -> CommandError {
    let message = format!(
        "`{field}` is no key that says something of `{}`",
        service.service
    );
    let error = CommandError::usage(message);
    let name = &service.service;
    match service.nearest(field) {
        Some(near) => error.hint(format!("mwctl explain {name} {near}")),
        None => error.hint(format!("mwctl explain {name}")),
    }
}

/// Names files from the folder on, as they would be opened from there.
fn shorten(service: &mut Explanation, directory: &Path) {
    let shorten = |origin: &mut Origin| {
        if let Some(file) = &mut origin.file
            && let Ok(rest) = file.strip_prefix(directory)
        {
            *file = rest.to_owned();
        }
    };
    service.named.iter_mut().for_each(shorten);
    for note in &mut service.notes {
        if let Ok(rest) = note.file.strip_prefix(directory) {
            note.file = rest.to_owned();
        }
    }
    for value in &mut service.values {
        shorten(&mut value.origin);
        value
            .instead_of
            .iter_mut()
            .for_each(|other| shorten(&mut other.origin));
    }
}

fn text(services: &[Explanation], whole: bool) -> String {
    let mut text = String::new();
    for service in services {
        if whole {
            head(&mut text, service);
        }
        let width = service.values.iter().map(|it| it.field.len()).max();
        let width = width.unwrap_or_default().min(44);
        for value in &service.values {
            row(&mut text, value, width);
        }
        text.push('\n');
    }
    text.pop();
    text
}

fn head(text: &mut String, service: &Explanation) {
    let _infallible = write!(
        text,
        "{} follows the convention {}",
        bold(service.service.as_str()),
        bold(&service.convention)
    );
    let _infallible = match &service.named {
        Some(origin) => writeln!(text, ", named by {}", place(origin)),
        None => writeln!(text),
    };
    for evidence in &service.evidence {
        let at = format!("{}:{}", evidence.file.display(), evidence.line);
        let _infallible = writeln!(text, "  {}  {}", evidence.conclusion, dim(&at));
    }
    for note in &service.notes {
        let at = format!("{}:{}", note.file.display(), note.line);
        let _infallible = writeln!(
            text,
            "  {} {}  {}",
            accent("left out:"),
            note.text,
            dim(&at)
        );
    }
    text.push('\n');
}

fn row(text: &mut String, value: &Explained, width: usize) {
    let shown = value
        .value
        .as_ref()
        .map_or("(taken away)".to_owned(), plain);
    let _infallible = writeln!(
        text,
        "{}  {shown}  {}",
        bold(&format!("{:width$}", value.field)),
        dim(&place(&value.origin))
    );
    let indent = " ".repeat(width + 2);
    if let Some(template) = &value.template {
        let _infallible = writeln!(text, "{indent}{} {}", accent("written"), plain(template));
    }
    for other in &value.instead_of {
        let _infallible = writeln!(
            text,
            "{indent}{} {}  {}",
            accent("instead of"),
            plain(&other.value),
            dim(&place(&other.origin))
        );
    }
    if let Some(reason) = &value.reason {
        let _infallible = writeln!(text, "{indent}{} {reason}", accent("because"));
    }
}

fn place(origin: &Origin) -> String {
    match &origin.file {
        Some(file) => {
            let at = format!("{}:{}", file.display(), origin.line);
            // A file that speaks for itself needn't be named twice.
            match &origin.speaker {
                Speaker::File(_) => at,
                speaker => format!("{speaker}, {at}"),
            }
        }
        None => origin.speaker.to_string(),
    }
}

/// A value on one line, as YAML writes it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains('\n') => Value::from(text.as_str()).to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inner).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key}: {}", inner(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

/// A value inside another: quoted where it would be read as something else.
fn inner(value: &Value) -> String {
    match value {
        Value::String(text)
            if !text.is_empty()
                && !text.contains([',', ':', '[', ']', '{', '}', '#', '"', '\'', '\n']) =>
        {
            text.clone()
        }
        Value::String(text) => Value::from(text.as_str()).to_string(),
        other => plain(other),
    }
}
