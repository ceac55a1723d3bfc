//! `mwctl init`: writes the `mwctl.yaml` that a folder begins with.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use mwctl_core::conventions::{self, Explanation, FILE, Initial, Note};
use mwctl_engine::repository;
use serde::Serialize;

use crate::args::{From, Init};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::ui::style::{accent, bold, dim};

/// What was written, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    file: PathBuf,
    text: &'a str,
    left_out: &'a [Note],
}

pub(super) fn run(run: &Invocation, arguments: &Init) -> Result<Exit, CommandError> {
    let here = run.global.directory.clone();
    let here = here.unwrap_or_else(|| PathBuf::from("."));
    let target = here.join(FILE);
    if target.exists() && !arguments.force {
        let message = format!("`{FILE}` is there already");
        let kind = match arguments.from {
            None => return Err(CommandError::usage(message).hint("mwctl explain")),
            Some(From::Compose) => "compose",
            Some(From::Chart) => "chart",
        };
        let hint = format!("mwctl init --from {kind} --force");
        return Err(CommandError::usage(message).hint(hint));
    }
    let initial = match arguments.from {
        None => recognised(run, &here, &target)?,
        Some(from) => converted(run, from, &here, arguments.file.as_deref())?,
    };
    write(&target, &initial.text)?;
    let answer = Answer {
        file: target.strip_prefix(".").unwrap_or(&target).to_owned(),
        text: &initial.text,
        left_out: &initial.notes,
    };
    run.ui.answer(&answer, || text(&answer));
    Ok(Exit::Success)
}

/// The shortest file. What an old one says doesn't count: it is about to be replaced.
fn recognised(run: &Invocation, here: &Path, target: &Path) -> Result<Initial, CommandError> {
    if target.exists() {
        let message = "only a file that is converted can replace another one";
        return Err(CommandError::usage(message).hint("mwctl init --from compose --force"));
    }
    let (directory, services) = run.explain()?;
    let outside = std::fs::canonicalize(here).is_ok_and(|here| here != directory);
    if outside && directory.join(FILE).exists() {
        let message = format!(
            "`{}` describes this folder already",
            directory.join(FILE).display()
        );
        return Err(CommandError::usage(message).hint("mwctl explain"));
    }
    let service = own(services).ok_or_else(|| CommandError::failure("there is no service here"))?;
    conventions::shortest(&service).map_err(CommandError::problems)
}

/// The service that the folder itself is, and not one that was added because it is needed.
fn own(services: Vec<Explanation>) -> Option<Explanation> {
    let mut services = services;
    let recognised = services.iter().position(|it| it.named.is_none());
    let index = recognised.unwrap_or(0);
    (index < services.len()).then(|| services.swap_remove(index))
}

fn converted(
    run: &Invocation,
    from: From,
    here: &Path,
    file: Option<&Path>,
) -> Result<Initial, CommandError> {
    let folder = std::fs::canonicalize(here).map_err(CommandError::failure)?;
    let folder = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let shipped = conventions::shipped();
    let initial = match from {
        From::Compose => {
            let patterns = [
                "compose.yaml",
                "compose.yml",
                "docker-compose.yaml",
                "docker-compose.yml",
            ];
            let (file, text) = read(here, file, &patterns, "compose")?;
            conventions::from_compose(&file, &text, &folder, shipped)
        }
        From::Chart => {
            let inside = file.map(|file| {
                if here.join(file).is_dir() {
                    file.join("values.yaml")
                } else {
                    file.to_owned()
                }
            });
            let patterns = ["chart/values.yaml", "charts/*/values.yaml"];
            let (file, text) = read(here, inside.as_deref(), &patterns, "chart")?;
            // What the folder is besides: a chart doesn't say how it is developed.
            let known = run.explain().ok();
            let known = known.and_then(|(_, services)| own(services));
            let (name, convention) = match &known {
                Some(it) => (it.service.to_string(), Some(it.convention.as_str())),
                None => (folder, None),
            };
            conventions::from_chart(&file, &text, &name, convention)
        }
    };
    initial.map_err(CommandError::problems)
}

/// The file that was named, or the first that is there.
fn read(
    here: &Path,
    named: Option<&Path>,
    patterns: &[&str],
    what: &str,
) -> Result<(PathBuf, String), CommandError> {
    let paths: Vec<PathBuf> = match named {
        Some(named) => vec![named.to_owned()],
        None => patterns.iter().map(PathBuf::from).collect(),
    };
    let documents = repository::read(here, &paths).map_err(CommandError::failure)?;
    if !documents.problems.is_empty() {
        return Err(CommandError::problems(documents.problems));
    }
    // The patterns are in the order in which they count.
    let place = |path: &PathBuf| {
        patterns
            .iter()
            .position(|pattern| conventions::fits(pattern, path))
    };
    let mut texts: Vec<(PathBuf, String)> = documents.texts.into_iter().collect();
    texts.sort_by_key(|(path, _)| place(path));
    match texts.as_slice() {
        [] => {
            let looked: Vec<String> = paths.iter().map(|it| it.display().to_string()).collect();
            let message = format!(
                "there is no {what} file here: looked for {}",
                looked.join(", ")
            );
            Err(CommandError::usage(message).hint(format!(
                "name it: mwctl init --from … --file {}",
                patterns[0]
            )))
        }
        [first, second, ..] if place(&first.0) == place(&second.0) && named.is_none() => {
            let message = format!(
                "there are several: {}, {}",
                first.0.display(),
                second.0.display()
            );
            Err(CommandError::usage(message).hint(format!(
                "mwctl init --from chart --file {}",
                first.0.display()
            )))
        }
        [(path, text), ..] => Ok((path.clone(), text.clone())),
    }
}

fn write(target: &Path, text: &str) -> Result<(), CommandError> {
    // Whatever is there now stays whole until the new one is.
    let parent = target.parent().unwrap_or(Path::new("."));
    let temporary = parent.join(format!(".{FILE}.{}", std::process::id()));
    let written = std::fs::File::create(&temporary)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
        })
        .and_then(|()| std::fs::rename(&temporary, target));
    written.map_err(|error| {
        drop(std::fs::remove_file(&temporary));
        CommandError::failure(format!("cannot write `{}`: {error}", target.display()))
    })
}

fn text(answer: &Answer<'_>) -> String {
    let mut text = String::new();
    for note in answer.left_out {
        let at = format!("{}:{}", note.file.display(), note.line);
        let _infallible = writeln!(text, "{} {}  {}", accent("left out:"), note.text, dim(&at));
    }
    let _infallible = writeln!(
        text,
        "wrote {}; {} shows what it means",
        bold(&answer.file.display().to_string()),
        accent("mwctl explain")
    );
    text
}
