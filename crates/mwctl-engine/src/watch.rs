//! Which files of a checkout change: only events that leave whole files behind.
//!
//! On Linux a change counts when a written file is closed, or a name appears or vanishes by a
//! rename, so that a half-written file is never looked at. Folders that the rules ignore get no
//! watch at all; a folder for which the kernel has no watch left is polled, and that is said once
//! with its cure.

mod documents;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mwctl_core::develop::Rules;
use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind};
use notify::{PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

pub use self::documents::DocumentWatch;

use crate::develop::checkout;

/// How often a folder is looked at that the kernel can't watch.
const POLL: Duration = Duration::from_millis(500);

/// What the watcher saw.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Seen {
    /// These may have changed; relative paths, folders that vanished included.
    Paths(BTreeSet<String>),
    /// Events were lost, or the rules changed: everything may have.
    Everything,
    /// A folder is polled from now on, because a limit was reached.
    Polled {
        /// The folder.
        folder: PathBuf,
        /// Why.
        reason: String,
    },
}

/// No watch could be set up at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot watch `{}` for changes", root.display())]
pub struct WatchCheckout {
    root: PathBuf,
    #[source]
    source: notify::Error,
}

/// Watches one checkout until dropped.
pub struct Watch {
    root: PathBuf,
    rules: Rules,
    watcher: RecommendedWatcher,
    poller: Option<PollWatcher>,
    raw_tx: mpsc::UnboundedSender<notify::Result<notify::Event>>,
    // notify's thread --raw events--> next()
    raw_rx: mpsc::UnboundedReceiver<notify::Result<notify::Event>>,
    polled: Vec<Seen>,
}

impl Watch {
    /// Watches the folders of `root` that `rules` enter.
    pub fn new(root: &Path, rules: Rules, folders: &[String]) -> Result<Self, WatchCheckout> {
        let (raw_tx, raw_rx) = mpsc::unbounded_channel();
        let sender = raw_tx.clone();
        let watcher = notify::recommended_watcher(move |event| {
            // The receiver lives as long as the watcher; at the very end nobody listens any more.
            drop(sender.send(event));
        })
        .map_err(|source| WatchCheckout {
            root: root.to_owned(),
            source,
        })?;
        let mut watch = Self {
            root: root.to_owned(),
            rules,
            watcher,
            poller: None,
            raw_tx,
            raw_rx,
            polled: Vec::new(),
        };
        for folder in folders {
            watch.add(folder);
        }
        Ok(watch)
    }

    /// Watches by other rules from now on.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
        if let Ok(walk) = checkout::walk(&self.root, "", &self.rules) {
            for folder in walk.folders {
                self.add(&folder);
            }
        }
    }

    fn add(&mut self, folder: &str) {
        let full = self.root.join(folder);
        match self.watcher.watch(&full, RecursiveMode::NonRecursive) {
            Ok(()) => {}
            Err(error) if matches!(error.kind, notify::ErrorKind::PathNotFound) => {}
            Err(error) => self.poll(&full, &error),
        }
    }

    fn poll(&mut self, folder: &Path, error: &notify::Error) {
        let sender = self.raw_tx.clone();
        if self.poller.is_none() {
            let config = notify::Config::default().with_poll_interval(POLL);
            self.poller = PollWatcher::new(move |event| drop(sender.send(event)), config).ok();
        }
        let watched = self
            .poller
            .as_mut()
            .is_some_and(|poller| poller.watch(folder, RecursiveMode::NonRecursive).is_ok());
        let reason = match &error.kind {
            notify::ErrorKind::MaxFilesWatch => "the limit of inotify watches is reached: raise \
                it with `sysctl fs.inotify.max_user_watches=524288`"
                .to_owned(),
            _ => error.to_string(),
        };
        if watched {
            self.polled.push(Seen::Polled {
                folder: folder.to_owned(),
                reason,
            });
        } else {
            tracing::warn!("{} is not watched: {reason}", folder.display());
        }
    }

    /// Waits for changes and takes all that are there.
    ///
    /// Cancel safety: nothing is lost when this is dropped before it is done.
    pub async fn next(&mut self) -> Seen {
        loop {
            if let Some(polled) = self.polled.pop() {
                return polled;
            }
            let Some(first) = self.raw_rx.recv().await else {
                // Can't happen while `raw_tx` lives in `self`; waiting is the harmless answer.
                std::future::pending::<()>().await;
                continue;
            };
            let mut paths = BTreeSet::new();
            let mut everything = self.take(first, &mut paths);
            while let Ok(more) = self.raw_rx.try_recv() {
                everything |= self.take(more, &mut paths);
            }
            if everything {
                return Seen::Everything;
            }
            if !paths.is_empty() {
                return Seen::Paths(paths);
            }
        }
    }

    /// Notes the paths of a raw event; says whether events were lost.
    fn take(&mut self, raw: notify::Result<notify::Event>, paths: &mut BTreeSet<String>) -> bool {
        let event = match raw {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!("watching failed: {error}");
                return true;
            }
        };
        if event.need_rescan() {
            return true;
        }
        for full in &event.paths {
            let Some(path) = self.relative(full) else {
                continue;
            };
            match matters(event.kind, full) {
                Matter::File => {
                    paths.insert(path);
                }
                Matter::Folder => self.enter(&path, paths),
                Matter::Nothing => {}
            }
        }
        false
    }

    /// A folder appeared: watch it, and take what it holds already.
    fn enter(&mut self, path: &str, paths: &mut BTreeSet<String>) {
        if !self.rules.enters(path) {
            return;
        }
        // Watched first and read second: what is written in between is seen twice, never missed.
        self.add(path);
        if let Ok(walk) = checkout::walk(&self.root, path, &self.rules) {
            for folder in walk.folders.iter().filter(|folder| *folder != path) {
                self.add(folder);
            }
            // A second look, for what came into deeper folders before they were watched.
            let again = checkout::walk(&self.root, path, &self.rules).unwrap_or_default();
            paths.extend(walk.tree.into_keys());
            paths.extend(again.tree.into_keys());
        }
    }

    fn relative(&self, full: &Path) -> Option<String> {
        let path = full.strip_prefix(&self.root).ok()?.to_str()?;
        (!path.is_empty()).then(|| path.to_owned())
    }
}

/// What an event means for a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Matter {
    File,
    Folder,
    Nothing,
}

fn matters(kind: EventKind, full: &Path) -> Matter {
    let is_folder = || {
        full.symlink_metadata()
            .is_ok_and(|metadata| metadata.is_dir())
    };
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Remove(_) => {
            Matter::File
        }
        EventKind::Create(CreateKind::Folder) => Matter::Folder,
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_)) if is_folder() => {
            Matter::Folder
        }
        EventKind::Create(_) if created_whole(full) => Matter::File,
        EventKind::Modify(ModifyKind::Name(_)) => Matter::File,
        EventKind::Modify(ModifyKind::Metadata(_)) if !is_folder() => Matter::File,
        // Where no close is reported, a write is all there is to see.
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) if !cfg!(target_os = "linux") => {
            Matter::File
        }
        _ => Matter::Nothing,
    }
}

/// Whether a new name is complete at once: a link of either kind. A new file's close is awaited.
#[cfg(target_os = "linux")]
fn created_whole(full: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    full.symlink_metadata()
        .is_ok_and(|metadata| metadata.is_symlink() || metadata.nlink() > 1)
}

#[cfg(not(target_os = "linux"))]
fn created_whole(_full: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests;
