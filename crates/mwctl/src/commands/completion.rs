//! `mwctl completion`, and what its scripts ask for while somebody types: services and their keys.
//!
//! A folder that can't be read completes to nothing: a shell's prompt is no place for problems.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use clap_complete::CompletionCandidate;
use clap_complete::env::Shells;
use mwctl_core::conventions::Explanation;
use mwctl_engine::workspace::{self, Asked};

use crate::env;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;

pub(super) fn run(run: &Invocation, shell: clap_complete::Shell) -> Result<Exit, CommandError> {
    let shells = Shells::builtins();
    let name = shell.to_string();
    let completer = shells
        .completer(&name)
        .ok_or_else(|| CommandError::usage(format!("no completion for {name}")))?;
    let mut script = Vec::new();
    completer
        .write_registration(env::COMPLETE, "mwctl", "mwctl", "mwctl", &mut script)
        .map_err(CommandError::internal)?;
    run.ui.print(&String::from_utf8_lossy(&script));
    Ok(Exit::Success)
}

/// The services of the current folder.
pub(crate) fn services(typed: &OsStr) -> Vec<CompletionCandidate> {
    let services = explained().into_iter().map(|it| {
        let help = format!("follows the convention {}", it.convention);
        (it.service.to_string(), Some(help))
    });
    candidates(typed, services)
}

/// The keys of the services of the current folder.
pub(crate) fn fields(typed: &OsStr) -> Vec<CompletionCandidate> {
    let all = explained();
    let fields: BTreeSet<&str> = all
        .iter()
        .flat_map(|it| it.values.iter().map(|value| value.field.as_str()))
        .collect();
    candidates(
        typed,
        fields.into_iter().map(|field| (field.to_owned(), None)),
    )
}

fn explained() -> Vec<Explanation> {
    let read = workspace::explain(Path::new("."), Asked::default(), &env::asked_for);
    read.map_or_else(|_| Vec::new(), |(_, services)| services)
}

fn candidates(
    typed: &OsStr,
    all: impl Iterator<Item = (String, Option<String>)>,
) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    all.filter(|(name, _)| name.starts_with(&*typed))
        .map(|(name, help)| CompletionCandidate::new(name).help(help.map(Into::into)))
        .collect()
}
