//! `mwctl build`.

mod foreign;
mod recipe;
mod shell;
mod told;

use std::collections::BTreeMap;
use std::path::Path;

use mwctl_core::lock::{FILE, LockedBase};
use mwctl_engine::image::base::bootstrap::suite;
use mwctl_engine::image::pinned;
use mwctl_engine::images::build::{self, BuildError, Containers};
use mwctl_engine::images::plan::Plan;
use mwctl_engine::images::{HOST, InvalidReference, Record, Reference, Store, StoreError, oci};

use self::recipe::Recipe;
pub(super) use self::recipe::UNNAMED;
use super::image;
use crate::args::Build;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;

pub(super) async fn run(run: &Invocation, arguments: &Build) -> Result<Exit, CommandError> {
    let given = given(&arguments.arguments)?;
    let recipe = Recipe::find(run, arguments, given)?;
    if let Some(export) = &arguments.export {
        vacant(export)?;
    }
    if let Some(engine) = recipe.engine {
        return foreign::run(run, arguments, recipe, engine).await;
    }
    let (plan, variant) = recipe.plan(arguments.policy.as_deref())?;
    let name = name(arguments, &recipe, &variant)?;
    let store = image::open(run)?;
    let (plan, recorded) = upon_recorded(run, plan)?;
    let names = plan.images().into_iter().map(str::to_owned).collect();
    bases(run, &store, names, &recorded, &arguments.plain_http).await?;
    if arguments.explain {
        return told::explain(run, store, plan, recipe).await;
    }
    let mut containers = Containers::new(run.outside());
    if arguments.shell_on_failure {
        containers = containers.with_shell(shell::shell(run.environment.terminal.clone())?);
    }
    let (ui, cancel) = (run.ui.clone(), run.interrupt.finish.clone());
    let made = image::blocking(move || {
        let build = build::Build {
            store: &store,
            plan: &plan,
            context: &recipe.folder(),
            arguments: &recipe.arguments,
            containers: Some(&containers),
            cancel: &cancel,
            report: &|event| told::show(&ui, event),
        };
        build.make(&name)
    });
    let record = made.await?.map_err(failed)?;
    answer(run, arguments, record).await
}

/// The image's name.
fn name(arguments: &Build, recipe: &Recipe, variant: &str) -> Result<Reference, CommandError> {
    let name = match &arguments.tag {
        Some(tag) => Reference::parse(tag),
        None => Reference::parse(&format!("mwctl.local/{}:{variant}", recipe.name)),
    };
    name.map_err(CommandError::usage)
}

/// Whether a folder can be written into, which is better known before the build.
fn vacant(folder: &Path) -> Result<(), CommandError> {
    match std::fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(false) => {
            let error = CommandError::usage(format!("`{}` isn't empty", folder.display()));
            Err(error.hint("name a folder that isn't there yet"))
        }
        // What can't be written is told when it is.
        Ok(true) | Err(_) => Ok(()),
    }
}

/// Shows what was made, and writes it where that was asked for.
async fn answer(run: &Invocation, arguments: &Build, record: Record) -> Result<Exit, CommandError> {
    if let Some(folder) = arguments.export.clone() {
        let (store, name) = (image::open(run)?, record.reference.clone());
        let written = image::blocking(move || store.export(&name, &folder));
        written.await?.map_err(|error| {
            let hints = error.hints();
            let mut error = CommandError::failure(error);
            error.hints = hints;
            error
        })?;
    }
    image::show_records(run, &[record]);
    Ok(Exit::Success)
}

/// The arguments of a build as they are typed.
fn given(arguments: &[String]) -> Result<BTreeMap<String, String>, CommandError> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => {
            let error = CommandError::usage(format!("`{text}` gives no argument a value"));
            Err(error.hint("write `--arg NAME=VALUE`"))
        }
    };
    arguments.iter().map(pair).collect()
}

/// What is recorded, by the name of exactly that.
type Recorded = BTreeMap<String, LockedBase>;

/// The same upon what is recorded of its bases.
fn upon_recorded(run: &Invocation, plan: Plan) -> Result<(Plan, Recorded), CommandError> {
    let lock = run.lock()?;
    let platform = format!("linux/{}", oci::architecture());
    let mut names = BTreeMap::new();
    let mut recorded = Recorded::new();
    for name in plan.images() {
        let reference = Reference::parse(name).map_err(CommandError::failure)?;
        if let Some(base) = lock.get(reference.as_str(), &platform)
            && let Some(exact) = pinned(base)
        {
            names.insert(name.to_owned(), exact.clone());
            recorded.insert(exact, base.clone());
        }
    }
    Ok((plan.upon(&names), recorded))
}

/// Fetches the bases that aren't there.
async fn bases(
    run: &Invocation,
    store: &Store,
    names: Vec<String>,
    recorded: &Recorded,
    without_tls: &[String],
) -> Result<(), CommandError> {
    let names = names.iter().map(|name| Reference::parse(name));
    let names: Result<Vec<Reference>, InvalidReference> = names.collect();
    for name in names.map_err(CommandError::failure)? {
        let is_there = store.record(&name).map_err(image::store)?.is_some();
        if !is_there && name.as_str() != HOST {
            // What is made on this machine is in no registry.
            let pulled = if name.as_str().starts_with("mwctl.local/") {
                Err(image::store(StoreError::NoImage(name.to_string())))
            } else {
                image::pull::pull(run, store, &name, without_tls).await
            };
            let Err(error) = pulled else { continue };
            if let Some(base) = recorded.get(name.as_str()) {
                return Err(as_recorded(run, error, base));
            }
            // No registry gives it: the last place is Debian itself, and if it fails, that is why.
            let Some(suite) = suite(name.as_str()) else {
                return Err(error);
            };
            let made = run.bootstrap().make(suite, name.as_str()).await;
            made.map_err(|failed| error.hint(format!("nor can it be made here: {failed}")))?;
        }
    }
    Ok(())
}

/// A base can't be had as it is recorded.
fn as_recorded(run: &Invocation, error: CommandError, base: &LockedBase) -> CommandError {
    let place = base.place.as_ref();
    let place = place.map_or_else(|| FILE.to_owned(), ToString::to_string);
    let typed = run.typed(&format!("images update {}", base.reference));
    error.hint(format!(
        "{typed}  # records what it means now, in the place of `{place}`"
    ))
}

fn failed(error: BuildError) -> CommandError {
    let hints = error.hints();
    let mut error = match error {
        BuildError::Store(error) => image::store(error),
        BuildError::Cancelled => CommandError::interrupted(),
        error => CommandError::failure(error),
    };
    error.hints = hints;
    error
}
