//! Notices that one of a few named files in one folder was saved: the descriptions of a stack.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::WatchCheckout;

/// Saves that come this close together are one: an editor may write a backup and rename.
const SETTLING: Duration = Duration::from_millis(20);

/// Watches the files until dropped.
pub struct DocumentWatch {
    _watcher: RecommendedWatcher,
    // notify's thread --a file was saved--> next()
    saved_rx: mpsc::UnboundedReceiver<()>,
    /// Whether a save hasn't been told yet.
    saved: bool,
}

impl DocumentWatch {
    /// Watches the files called `names` in `folder`, also those that aren't there yet.
    pub fn new(folder: &Path, names: BTreeSet<OsString>) -> Result<Self, WatchCheckout> {
        let (saved_tx, saved_rx) = mpsc::unbounded_channel();
        let failed = |source| WatchCheckout {
            root: folder.to_owned(),
            source,
        };
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                let Ok(event) = event else { return };
                let concerned = |path: &std::path::PathBuf| {
                    path.file_name().is_some_and(|name| names.contains(name))
                };
                if is_save(event.kind) && event.paths.iter().any(concerned) {
                    // Nobody listens at the very end.
                    let _nobody_listens = saved_tx.send(());
                }
            })
            .map_err(failed)?;
        watcher
            .watch(folder, RecursiveMode::NonRecursive)
            .map_err(failed)?;
        Ok(Self {
            _watcher: watcher,
            saved_rx,
            saved: false,
        })
    }

    /// Waits until one of the files was saved.
    ///
    /// Cancel safety: a save that wasn't reported is reported the next time.
    pub async fn next(&mut self) {
        if !self.saved && self.saved_rx.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        self.saved = true;
        while let Ok(Some(())) = tokio::time::timeout(SETTLING, self.saved_rx.recv()).await {}
        self.saved = false;
    }
}

fn is_save(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(_))
        | EventKind::Remove(_) => true,
        EventKind::Modify(ModifyKind::Data(_)) => !cfg!(target_os = "linux"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_save_that_was_waited_for_and_given_up_is_told_the_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let names = BTreeSet::from(["mwctl.yaml".into()]);
        let mut watch = DocumentWatch::new(folder.path(), names).unwrap();
        std::fs::write(folder.path().join("mwctl.yaml"), "kind: Service").unwrap();
        while !watch.saved {
            assert!(watch.next().now_or_never().is_none(), "it has settled");
            tokio::task::yield_now().await;
        }
        let told = tokio::time::timeout(Duration::from_secs(30), watch.next());
        told.await.unwrap();
    }
}
