//! The logs of containers, on disk in the form that container runtimes write (`<time> <stream> <P|F> <text>`), so that tools that read
//! those read these.

mod line;
mod read;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use k8s_openapi::jiff::Timestamp;
use tokio::sync::watch;

pub use line::Stream;
pub use read::{Query, read};

/// The longest piece of a line that is written at once, as runtimes have it.
const LONGEST: usize = 16 * 1024;

/// A log that is being written, and told to those who follow it.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: Mutex<File>,
    written: watch::Sender<u64>,
}

/// The folder with the logs of one container of a pod.
pub(crate) fn folder(
    all: &Path,
    namespace: &str,
    pod: &str,
    uid: &str,
    container: &str,
) -> PathBuf {
    all.join(format!("{namespace}_{pod}_{uid}")).join(container)
}

/// The log of the so many-th start.
pub(crate) fn file(folder: &Path, attempt: u32) -> PathBuf {
    folder.join(format!("{attempt}.log"))
}

impl Log {
    /// Makes the log of a start. Older ones than that before it go.
    pub(crate) fn create(folder: &Path, attempt: u32) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        if let Some(old) = attempt.checked_sub(2)
            && let Err(error) = fs::remove_file(file(folder, old))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!("an old log stays: {error}");
        }
        let path = file(folder, attempt);
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        Ok(Self {
            path,
            file: Mutex::new(file),
            written: watch::Sender::new(0),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Hears of all that is written, until the log is dropped.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.written.subscribe()
    }

    /// Writes lines, of which the last may be unfinished.
    pub(crate) fn write(&self, stream: Stream, text: &[u8], now: Timestamp) -> io::Result<()> {
        let mut out = Vec::with_capacity(text.len() + 64);
        for piece in text.split_inclusive(|byte| *byte == b'\n') {
            let (piece, whole) = match piece.strip_suffix(b"\n") {
                Some(piece) => (piece, true),
                None => (piece, false),
            };
            let mut parts = piece.chunks(LONGEST).peekable();
            if parts.peek().is_none() {
                line::write(&mut out, now, stream, whole, &[]);
            }
            while let Some(part) = parts.next() {
                line::write(&mut out, now, stream, whole && parts.peek().is_none(), part);
            }
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&out)?;
        self.written
            .send_modify(|written| *written += out.len() as u64);
        Ok(())
    }
}
