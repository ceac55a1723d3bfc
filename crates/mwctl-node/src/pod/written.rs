//! What a container writes to its own root: a folder on disk that goes with the container, or memory.

use std::io;
use std::path::PathBuf;

use mwctl_container::{Root, Source, Upper, tree};

use crate::context::{Context, Options};

use super::sandbox::make_empty;

fn place(options: &Options, id: &str) -> Option<PathBuf> {
    Some(options.written.as_ref()?.join(id))
}

/// Makes the container's folder, where there are such folders, and lets its root write there.
pub(crate) fn give(options: &Options, id: &str, root: &mut Root) -> io::Result<()> {
    let Some(folder) = place(options, id) else {
        return Ok(());
    };
    // The container's root is another user of this machine. Nobody else gets here.
    make_empty(&folder, None)?;
    root.upper = Upper::Directory(Source::Path(folder));
    Ok(())
}

/// Takes the container's folder away. What fails is traced: the container is over.
pub(crate) async fn take(context: &Context, id: &str) {
    let Some(folder) = place(&context.options, id) else {
        return;
    };
    let remove = move || {
        if let Err(error) = tree::remove(&folder) {
            tracing::debug!(
                "{}: what a container wrote stays: {error}",
                folder.display()
            );
        }
    };
    if let Err(panicked) = tokio::task::spawn_blocking(remove).await {
        tracing::debug!("{panicked}");
    }
}
