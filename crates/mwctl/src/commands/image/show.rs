//! What there is to see of images.

use std::fmt::Write as _;

use mwctl_engine::images::{Details, HOST, Reference};

use super::{open, store};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::ui::style::{bold, dim};

pub(super) fn list(run: &Invocation) -> Result<Exit, CommandError> {
    let images = open(run)?.list().map_err(store)?;
    run.ui.answer(&images, || table(&images));
    Ok(Exit::Success)
}

fn table(images: &[Details]) -> String {
    if images.is_empty() {
        return format!(
            "no images {}\n",
            dim("(`mwctl image import FILE`, `mwctl image pull IMAGE`)")
        );
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["IMAGE", "DIGEST", "LAYERS", "SIZE", "ADDED"]);
    for image in images {
        table.add_row([
            image.record.reference.as_str(),
            image.record.manifest.short(),
            &image.layers.len().to_string(),
            &size(image.size),
            &ago(
                mwctl_engine::clock::since_epoch().as_secs(),
                image.record.added,
            ),
        ]);
    }
    format!("{}\n", table.trim_fmt())
}

pub(super) fn inspect(run: &Invocation, image: &str) -> Result<Exit, CommandError> {
    let reference = Reference::parse(image).map_err(CommandError::usage)?;
    if reference.as_str() == HOST {
        let error = "the host's image is this machine itself, and no image of the store";
        return Err(CommandError::usage(error));
    }
    let details = open(run)?.details(&reference).map_err(store)?;
    run.ui.answer(&details, || text(&details));
    Ok(Exit::Success)
}

fn text(details: &Details) -> String {
    let config = &details.config;
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push((name.to_owned(), value));
        }
    };
    let user = Some(config.user.as_str()).filter(|user| !user.is_empty());
    line("digest", details.record.manifest.to_string());
    line("architecture", details.architecture.clone());
    line("created", details.created.clone().unwrap_or_default());
    line("entrypoint", words(&config.entrypoint));
    line("command", words(&config.command));
    line("user", user.unwrap_or("root").to_owned());
    line("directory", config.directory.clone());
    let ports = config.ports.iter();
    let ports: Vec<String> = ports
        .map(|port| format!("{}/{}", port.number, port.protocol))
        .collect();
    line("ports", ports.join(", "));
    for (name, value) in &config.environment {
        line("environment", format!("{name}={value}"));
    }
    for (name, value) in &config.labels {
        line("label", format!("{name}={value}"));
    }
    for layer in &details.layers {
        let place = match &layer.folder {
            Some(folder) => folder.display().to_string(),
            None => "not unpacked".to_owned(),
        };
        let place = dim(&format!("({place})"));
        line(
            "layer",
            format!("{} {:>9} {place}", layer.digest.short(), size(layer.size)),
        );
    }
    let mut text = format!("{}\n", bold(details.record.reference.as_str()));
    let mut last = "";
    for (name, value) in &lines {
        let shown = if name == last { "" } else { name };
        let written = writeln!(text, "  {shown:<13} {value}");
        written.expect("a string takes everything");
        last = name;
    }
    text
}

/// A command line as it could be typed.
fn words(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@,+".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Bytes for people.
pub(super) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB"] {
        if value < 999.5 {
            let digits = usize::from(unit != "B" && value < 9.95);
            return format!("{value:.digits$} {unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.1} GB")
}

/// How long something is past, in one unit.
fn ago(now: u64, then: u64) -> String {
    let seconds = now.saturating_sub(then);
    let (count, unit) = match seconds {
        0..60 => return "just now".to_owned(),
        60..3600 => (seconds / 60, "min"),
        3600..86400 => (seconds / 3600, "h"),
        _ => (seconds / 86400, "d"),
    };
    format!("{count} {unit} ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_or_three_digits() {
        let shown = [
            0,
            999,
            1000,
            9949,
            10_000,
            999_600,
            351_000_000,
            12_340_000_000,
        ]
        .map(size);
        assert_eq!(
            shown,
            [
                "0 B", "999 B", "1.0 kB", "9.9 kB", "10 kB", "1.0 MB", "351 MB", "12.3 GB"
            ]
        );
    }

    #[test]
    fn times_have_one_unit() {
        let shown = [0, 59, 60, 7199, 86400 * 3].map(|past| ago(10_000_000, 10_000_000 - past));
        assert_eq!(
            shown,
            ["just now", "just now", "1 min ago", "1 h ago", "3 d ago"]
        );
    }

    #[test]
    fn a_command_line_can_be_typed_again() {
        let given = ["sh", "-c", "it's $1", ""].map(str::to_owned);
        assert_eq!(words(&given), r"sh -c 'it'\''s $1' ''");
    }
}
