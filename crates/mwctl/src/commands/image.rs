//! `mwctl image`: the store of images on this machine.

mod outdated;
pub(super) mod pull;
mod show;
mod update;

use std::path::{Path, PathBuf};

use mwctl_engine::images::{
    Collected, ImportError, ImportOptions, Owners, Record, Reference, Store, StoreError,
};
use serde::Serialize;

use crate::args::Image;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::ui::style::dim;

#[derive(Serialize)]
struct Removed<'a> {
    removed: Vec<&'a str>,
    #[serde(flatten)]
    collected: Collected,
}

pub(super) async fn run(run: &Invocation, arguments: &Image) -> Result<Exit, CommandError> {
    match arguments {
        Image::Import { files, name } => import(run, files, name.as_deref()).await,
        Image::Pull { images, plain_http } => pull::run(run, images, plain_http).await,
        Image::List => show::list(run),
        Image::Inspect { image } => show::inspect(run, image),
        Image::Outdated {
            security,
            exit_code,
            plain_http,
        } => outdated::run(run, *security, *exit_code, plain_http).await,
        Image::Update(arguments) => Box::pin(update::run(run, arguments)).await,
        Image::Remove { images } => remove(run, images).await,
        Image::Prune { all } => prune(run, *all).await,
    }
}

pub(super) fn open(run: &Invocation) -> Result<Store, CommandError> {
    Store::open(&run.environment.image_store, Owners::of_process()).map_err(store)
}

/// The store can't do it.
pub(super) fn store(error: StoreError) -> CommandError {
    let hints = error.hints();
    let mut error = match error {
        StoreError::NoImage(_) => CommandError::usage(error),
        StoreError::Io { .. } | StoreError::Format { .. } => CommandError::environment(error),
        error => CommandError::failure(error),
    };
    error.hints = hints;
    error
}

fn references(texts: &[String]) -> Result<Vec<Reference>, CommandError> {
    let parsed = texts.iter().map(|text| Reference::parse(text));
    parsed
        .collect::<Result<_, _>>()
        .map_err(CommandError::usage)
}

/// Work that waits for the disk, beside the one that listens for Ctrl-C.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CommandError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(CommandError::internal)
}

async fn import(
    run: &Invocation,
    files: &[PathBuf],
    name: Option<&str>,
) -> Result<Exit, CommandError> {
    let name = name.map(Reference::parse).transpose();
    let options = ImportOptions {
        name: name.map_err(CommandError::usage)?,
        architecture: mwctl_engine::images::oci::architecture().to_owned(),
    };
    if options.name.is_some() && files.len() > 1 {
        let error = "one name can't mean the images of several files";
        return Err(CommandError::usage(error).hint("import them one by one"));
    }
    let images = open(run)?;
    let mut imported: Vec<Record> = Vec::new();
    for file in files {
        let (images, options, file) = (images.clone(), options.clone(), file.clone());
        let records = blocking(move || {
            if file == Path::new("-") {
                images.import_stream(std::io::stdin().lock(), &options)
            } else {
                images.import(&file, &options)
            }
        });
        imported.extend(records.await?.map_err(not_imported)?);
    }
    show_records(run, &imported);
    Ok(Exit::Success)
}

fn not_imported(error: ImportError) -> CommandError {
    let hints = error.hints();
    let mut error = match error {
        ImportError::Store(error) => store(error),
        ImportError::Read { .. } | ImportError::NoName { .. } | ImportError::Several { .. } => {
            CommandError::usage(error)
        }
        error => CommandError::failure(error),
    };
    error.hints = hints;
    error
}

pub(super) fn show_records(run: &Invocation, records: &[Record]) {
    run.ui.answer(&records, || {
        let lines = records.iter().map(|record| {
            let digest = dim(record.manifest.as_str());
            format!("{} {digest}\n", record.reference)
        });
        lines.collect::<Vec<_>>().concat()
    });
}

async fn remove(run: &Invocation, images: &[String]) -> Result<Exit, CommandError> {
    let wanted = references(images)?;
    let there = open(run)?;
    // All are there, or nothing is removed.
    let mut names = Vec::new();
    for reference in &wanted {
        let record = there.record(reference).map_err(store)?;
        let missing = || store(StoreError::NoImage(reference.to_string()));
        names.push(record.ok_or_else(missing)?.reference);
    }
    let gone = names.clone();
    let collected = blocking(move || {
        for name in &gone {
            there.remove(name)?;
        }
        there.collect(false)
    });
    let removed = Removed {
        removed: names.iter().map(Reference::as_str).collect(),
        collected: collected.await?.map_err(store)?,
    };
    run.ui.answer(&removed, || {
        let names = removed.removed.join(", ");
        format!("removed {names}\n{}", freed(removed.collected))
    });
    Ok(Exit::Success)
}

async fn prune(run: &Invocation, all: bool) -> Result<Exit, CommandError> {
    let images = open(run)?;
    let collected = blocking(move || images.collect(all))
        .await?
        .map_err(store)?;
    run.ui.answer(&collected, || freed(collected));
    Ok(Exit::Success)
}

fn freed(collected: Collected) -> String {
    let Collected {
        layers,
        blobs,
        bytes,
    } = collected;
    let plural = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let (layers, files) = (plural(layers, "layer"), plural(blobs, "file"));
    format!("freed {}: {layers}, {files}\n", show::size(bytes))
}
