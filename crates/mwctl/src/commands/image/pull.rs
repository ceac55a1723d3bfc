//! `mwctl image pull`.

use std::sync::atomic::{AtomicU64, Ordering};

use mwctl_engine::images::{
    Credentials, Progress, PullError, Record, Reference, Registry, Store, oci,
};

use super::{open, references, show, show_records, store};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::ui::style::dim;

pub(super) async fn run(
    run: &Invocation,
    images: &[String],
    plain: &[String],
) -> Result<Exit, CommandError> {
    let there = open(run)?;
    let mut pulled = Vec::new();
    for reference in references(images)? {
        pulled.push(pull(run, &there, &reference, plain).await?);
    }
    show_records(run, &pulled);
    Ok(Exit::Success)
}

/// Pulls one image.
pub(in crate::commands) async fn pull(
    run: &Invocation,
    there: &Store,
    reference: &Reference,
    plain: &[String],
) -> Result<Record, CommandError> {
    let accounts = Credentials::new(run.environment.accounts.clone());
    let registry = Registry::new(plain.to_vec(), accounts);
    let received = AtomicU64::new(0);
    let report = |progress| match progress {
        Progress::Found { layers: 0, .. } => {}
        Progress::Found { layers, bytes } => {
            let size = show::size(bytes);
            let what = format!("{reference}: {layers} layers, {size}");
            run.ui.say(&dim(&what));
        }
        Progress::Received { bytes } => {
            received.fetch_add(bytes, Ordering::Relaxed);
        }
        Progress::Unpacking => {
            let size = show::size(received.load(Ordering::Relaxed));
            run.ui.say(&dim(&format!("{reference}: received {size}")));
        }
    };
    registry
        .pull(there, reference, oci::architecture(), &report)
        .await
        .map_err(failed)
}

fn failed(error: PullError) -> CommandError {
    let hints = error.hints();
    let mut error = match error {
        PullError::Store(error) => store(error),
        PullError::Unreachable { .. } => CommandError::environment(error),
        error => CommandError::failure(error),
    };
    error.hints = hints;
    error
}
