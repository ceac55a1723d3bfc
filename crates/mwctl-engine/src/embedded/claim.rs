//! The folder of a cluster, and the lock that says that somebody serves it.
//!
//! A folder appears under its name complete and locked, so nobody ever sees half of one. The kernel frees the lock with the process,
//! however that ends; a folder whose lock is free is nobody's, and is swept by whoever comes next.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use mwctl_container::tree;

use super::lease::Lease;

/// How a folder is called until it is complete.
const UNFINISHED: &str = ".new-";

/// The folder in which the clusters of a user stand.
#[derive(Clone, Debug)]
pub struct Clusters {
    folder: PathBuf,
}

/// How the contexts of such clusters begin.
const CONTEXT: &str = "mwctl-";

/// The name of a cluster's context in its kubeconfig.
pub fn context(name: &str) -> String {
    format!("{CONTEXT}{name}")
}

/// A cluster that is served.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// Its kubeconfig.
    pub kubeconfig: PathBuf,
    /// Who serves it.
    pub lease: Lease,
}

/// The right to serve a cluster. Dropping it removes the folder.
#[derive(Debug)]
pub struct Claim {
    name: String,
    folder: PathBuf,
    _lock: File,
}

/// A cluster can't be had.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The name isn't one.
    #[error(
        "`{0}` can't be the name of a cluster: use lower-case letters, digits and hyphens, starting with a letter"
    )]
    Name(String),
    /// Somebody serves one of this name.
    #[error("a cluster called `{0}` is there already")]
    Taken(String),
    /// The folder can't be made or read.
    #[error("cannot use {}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn folder(path: &Path) -> impl FnOnce(io::Error) -> ClaimError + use<> {
    let path = path.to_owned();
    move |source| ClaimError::Folder { path, source }
}

impl Clusters {
    /// The clusters in this folder, which is made when it is needed.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Refuses a name that is none or is taken.
    pub fn check_free(&self, name: &str) -> Result<(), ClaimError> {
        if !is_name(name) {
            return Err(ClaimError::Name(name.to_owned()));
        }
        match self.find(name) {
            Some(_) => Err(ClaimError::Taken(name.to_owned())),
            None => Ok(()),
        }
    }

    /// Claims a name, and readies `prepare`d files in its folder before anybody sees it.
    pub fn claim(
        &self,
        name: &str,
        prepare: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<Claim, ClaimError> {
        self.check_free(name)?;
        self.sweep()?;
        let new = self
            .folder
            .join(format!("{UNFINISHED}{}-{name}", std::process::id()));
        private(&new).map_err(folder(&new))?;
        let claimed = || {
            let lock = File::create(new.join("lock"))?;
            lock.lock()?;
            prepare(&new)?;
            let place = self.folder.join(name);
            // Refused where a folder stands that isn't empty.
            fs::rename(&new, &place)?;
            Ok(Claim {
                name: name.to_owned(),
                folder: place,
                _lock: lock,
            })
        };
        claimed().map_err(|error: io::Error| {
            // It is nobody's now; what can't be removed is swept later.
            drop(fs::remove_dir_all(&new));
            match error.kind() {
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
                    ClaimError::Taken(name.to_owned())
                }
                _ => folder(&new)(error),
            }
        })
    }

    /// The clusters that are served, by name.
    pub fn list(&self) -> Result<Vec<Known>, ClaimError> {
        self.sweep()?;
        let mut known: Vec<Known> = self
            .names()?
            .iter()
            .filter_map(|name| self.find(name))
            .collect();
        known.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(known)
    }

    /// The cluster of this name, if it is served.
    pub fn find(&self, name: &str) -> Option<Known> {
        if name.starts_with('.') || name.contains('/') {
            return None;
        }
        let folder = self.folder.join(name);
        if !is_locked(&folder) {
            return None;
        }
        let lease = fs::read(folder.join("lease.json")).ok()?;
        Some(Known {
            name: name.to_owned(),
            kubeconfig: folder.join("kubeconfig"),
            lease: serde_json::from_slice(&lease).ok()?,
        })
    }

    /// The cluster whose context is called so, if it is served.
    pub fn find_context(&self, context: &str) -> Option<Known> {
        self.find(context.strip_prefix(CONTEXT)?)
    }

    /// Where the objects of a cluster of this name are kept: not among the clusters, which are swept.
    pub fn data(&self, name: &str) -> PathBuf {
        self.folder.with_file_name("cluster-data").join(name)
    }

    /// The folder with links to the checkouts that pods of a cluster of this name may mount: kept where its data is, so that what was
    /// mounted still is when the cluster comes back.
    pub fn checkouts(&self, name: &str) -> PathBuf {
        let folder = if self.keeps(name) {
            self.data(name)
        } else {
            self.folder.join(name)
        };
        folder.join("checkouts")
    }

    /// Whether something is kept of a cluster of this name.
    pub fn keeps(&self, name: &str) -> bool {
        is_name(name) && self.data(name).is_dir()
    }

    /// Removes what is kept of a cluster of this name.
    pub fn forget(&self, name: &str) -> Result<(), ClaimError> {
        if !self.keeps(name) {
            return Ok(());
        }
        let data = self.data(name);
        tree::remove(&data).map_err(folder(&data))
    }

    /// Where the process of a cluster of this name says what goes wrong.
    pub fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!(".{name}.log"))
    }

    /// Removes what the process of a cluster said: it ended as it should.
    pub fn forget_log(&self, name: &str) {
        // It isn't there where the process was started by hand.
        drop(fs::remove_file(self.log(name)));
    }

    /// Waits until nobody serves a cluster of this name.
    pub fn wait_until_gone(&self, name: &str) -> io::Result<()> {
        match File::open(self.folder.join(name).join("lock")) {
            Ok(lock) => lock.lock_shared(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes the folder, and removes from it what killed processes left.
    pub fn sweep(&self) -> Result<(), ClaimError> {
        if !self.folder.is_dir() {
            private(&self.folder).map_err(folder(&self.folder))?;
        }
        // The limits of containers that a killed process had.
        mwctl_container::limits::sweep();
        for name in self.names()? {
            let left = self.folder.join(&name);
            let unfinished = name.starts_with(UNFINISHED) && is_young(&left);
            if unfinished {
                continue;
            }
            match self.take_away(&name) {
                Ok(false) => {}
                // Files of users of a pod, which only whoever has their ids may remove: who serves the next cluster.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    tracing::debug!("{} stays: {error}", left.display());
                }
                // Somebody else sweeps as well.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(folder(&left)(error));
                }
                _ => self.forget_silence(&name),
            }
        }
        Ok(())
    }

    /// Removes the folder of a cluster that nobody serves; false where somebody does.
    ///
    /// Whoever serves the next one may put its folder into this place as soon as it is free or empty. So the place is freed at once, while
    /// the lock of the old one is held, and what was there is removed elsewhere.
    fn take_away(&self, name: &str) -> io::Result<bool> {
        let left = self.folder.join(name);
        let lock = match File::open(left.join("lock")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return take_rest_away(&left),
            opened => opened?,
        };
        let number = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        if lock.try_lock().is_err() {
            return Ok(false);
        }
        if number(lock.metadata()?) != number(fs::metadata(left.join("lock"))?) {
            // Another one has its place by now.
            return Ok(false);
        }
        remove_aside(&left).map(|()| true)
    }

    /// Removes the log of a process that was killed, unless it said something: that may tell why it is gone.
    fn forget_silence(&self, name: &str) {
        tracing::debug!("swept {name}");
        let log = self.log(name);
        if fs::metadata(&log).is_ok_and(|log| log.len() == 0) {
            self.forget_log(name);
        }
    }

    fn names(&self) -> Result<Vec<String>, ClaimError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(folder(&self.folder)(error)),
        };
        let folders = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        Ok(folders
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect())
    }
}

impl Claim {
    /// The cluster's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// Its folder, which goes with it.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // What can't be removed is swept by the next one: the lock is free in a moment.
        if let Err(error) = remove_aside(&self.folder) {
            tracing::debug!("{} stays: {error}", self.folder.display());
        }
    }
}

/// Frees the place of a folder at once, and removes it elsewhere: as soon as it is empty, another one may be put there, of which
/// nothing may be removed.
fn remove_aside(folder: &Path) -> io::Result<()> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let aside = format!("{UNFINISHED}{}-swept-{name}", std::process::id());
    let aside = folder.with_file_name(aside);
    fs::rename(folder, &aside)?;
    tree::remove(&aside)
}

/// Removes what is left of a folder without a lock; false where it has become another one meanwhile.
fn take_rest_away(left: &Path) -> io::Result<bool> {
    let removed = match fs::remove_dir(left) {
        // As long as anything is in it, nobody puts another one into its place.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && !is_locked(left) => {
            tree::remove(left)
        }
        removed => removed,
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        removed => removed.map(|()| true),
    }
}

fn is_name(name: &str) -> bool {
    mwctl_core::name::ServiceName::new(name.to_owned()).is_ok()
}

/// A folder that only its owner may enter.
fn private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn is_locked(folder: &Path) -> bool {
    File::open(folder.join("lock")).is_ok_and(|lock| lock.try_lock_shared().is_err())
}

/// Whether a folder is so young that its maker may not have locked it yet.
fn is_young(folder: &Path) -> bool {
    const TO_LOCK: std::time::Duration = std::time::Duration::from_secs(10);
    let made = fs::metadata(folder).and_then(|metadata| metadata.modified());
    made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age < TO_LOCK))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clusters() -> (tempfile::TempDir, Clusters) {
        let folder = tempfile::tempdir().unwrap();
        let clusters = Clusters::new(folder.path().join("clusters"));
        (folder, clusters)
    }

    fn write_lease(folder: &Path) -> io::Result<()> {
        let lease = Lease::of_this_process(false, None);
        fs::write(folder.join("lease.json"), serde_json::to_vec(&lease)?)
    }

    fn names(clusters: &Clusters) -> Vec<String> {
        let known = clusters.list().unwrap();
        known.into_iter().map(|known| known.name).collect()
    }

    #[test]
    fn a_claimed_name_is_taken_until_the_claim_is_dropped() {
        let (_folder, clusters) = clusters();
        let claim = clusters.claim("one", write_lease).unwrap();
        assert!(matches!(
            clusters.claim("one", write_lease),
            Err(ClaimError::Taken(_))
        ));
        let other = clusters.claim("two", write_lease).unwrap();
        assert_eq!(names(&clusters), ["one", "two"]);
        drop(claim);
        assert_eq!(names(&clusters), ["two"]);
        assert_eq!(other.name(), "two");
        assert!(clusters.claim("one", write_lease).is_ok());
    }

    #[test]
    fn what_a_killed_process_left_is_swept() {
        let (folder, clusters) = clusters();
        let left = folder.path().join("clusters/left");
        fs::create_dir_all(&left).unwrap();
        fs::write(left.join("lock"), "").unwrap();
        write_lease(&left).unwrap();
        fs::write(clusters.log("left"), "").unwrap();
        fs::write(clusters.log("other"), "what it said").unwrap();
        assert_eq!(names(&clusters), Vec::<String>::new());
        assert!(!left.exists() && !clusters.log("left").exists());
        assert!(clusters.log("other").exists());
    }

    #[test]
    fn a_folder_that_can_t_be_prepared_leaves_nothing() {
        let (folder, clusters) = clusters();
        let failed = clusters.claim("one", |_| Err(io::Error::other("no")));
        assert!(matches!(failed, Err(ClaimError::Folder { .. })));
        let left = fs::read_dir(folder.path().join("clusters")).unwrap();
        assert_eq!(left.count(), 0);
    }

    #[test]
    fn a_name_never_leads_out_of_the_folder() {
        let (_folder, clusters) = clusters();
        for name in ["../x", ".x", "A", ""] {
            assert!(matches!(
                clusters.claim(name, write_lease),
                Err(ClaimError::Name(_))
            ));
            assert!(clusters.find(name).is_none());
        }
    }
}
