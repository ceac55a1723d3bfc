//! `mwctl build --engine`: another engine builds, and the image comes into the store.

use mwctl_core::model::Engine;
use mwctl_engine::image::Cache;
use mwctl_engine::image::engine::Order;
use mwctl_engine::image::foreign::{self, EngineError};
use mwctl_engine::images::oci;

use super::recipe::{Recipe, UNNAMED};
use super::{Recorded, told};
use crate::args::Build;
use crate::commands::image;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;

pub(super) async fn run(
    run: &Invocation,
    arguments: &Build,
    recipe: Recipe,
    engine: Engine,
) -> Result<Exit, CommandError> {
    if arguments.explain {
        let message = format!("what {engine} would do isn't known before it does it");
        let hint = "`--explain` tells of mwctl's own steps: `--engine mwctl --explain`";
        return Err(CommandError::usage(message).hint(hint));
    }
    if !arguments.plain_http.is_empty() {
        let message = format!("{engine} fetches bases by itself, and isn't told of registries");
        let hint = "pull the base first: `mwctl image pull --plain-http HOST:PORT IMAGE`; buildkit is given it";
        return Err(CommandError::usage(message).hint(hint));
    }
    recipe.check(arguments.policy.as_deref())?;
    let file = std::path::absolute(&recipe.file).map_err(CommandError::failure)?;
    let order = Order::new(
        engine,
        &recipe.context,
        &file,
        recipe.text.clone(),
        recipe.variant.as_deref(),
        &recipe.arguments,
    );
    let lock = run.lock()?;
    let platform = format!("linux/{}", oci::architecture());
    let order = order.and_then(|order| order.within(recipe.network));
    let order = order.and_then(|order| order.upon(&lock, &platform));
    let order = order.map_err(|refused| failed(refused.into()))?;
    if !order.names_its_bases() && !lock.is_empty() {
        run.ui.say(&foreign::unasked(engine));
    }
    let variant = order.variant.as_deref().unwrap_or(UNNAMED);
    let name = super::name(arguments, &recipe, variant)?;
    // Opened before, so that a store that can't be used is told at once.
    let opened = image::open(run)?;
    if engine == Engine::Buildkit {
        let recorded = order.recorded.values();
        let recorded: Recorded = recorded
            .map(|it| (it.exact.clone(), it.base.clone()))
            .collect();
        let names = recorded.keys().cloned().collect();
        super::bases(run, &opened, names, &recorded, &[]).await?;
    }
    let (cache, runner) = (Cache::new(run.cache()), Invocation::runner());
    let report = |sign| told::show_foreign(&run.ui, sign);
    let store = &run.environment.image_store;
    let built = foreign::build(&order, &name, store, &cache, runner.as_ref(), &report);
    let record = tokio::select! {
        record = built => record.map_err(failed)?,
        () = run.interrupt.finish.cancelled() => return Err(CommandError::interrupted()),
    };
    super::answer(run, arguments, record).await
}

fn failed(error: EngineError) -> CommandError {
    let hints = error.hints();
    let mut error = match error {
        EngineError::Store(error) => image::store(error),
        EngineError::Missing { .. } => CommandError::environment(error),
        EngineError::Refused(_) => CommandError::usage(error),
        error => CommandError::failure(error),
    };
    error.hints = hints;
    error
}
