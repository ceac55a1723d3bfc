//! This machine's store of images, used from tasks that must not wait for a disk.

use std::path::Path;

use mwctl_image::{Owners, Store, StoreError};

/// Does something with the store in a folder, which is made when it isn't there, on a thread that
/// may wait.
pub(crate) async fn with<T: Send + 'static, E: From<StoreError> + Send + 'static>(
    folder: &Path,
    act: impl FnOnce(&Store) -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    let folder = folder.to_path_buf();
    let act = move || act(&Store::open(&folder, Owners::of_process())?);
    match tokio::task::spawn_blocking(act).await {
        Ok(done) => done,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}
