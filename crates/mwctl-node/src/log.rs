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

/// How large a file of a log becomes before the next one is begun, and how many there are: what a kubelet is told unless somebody says
/// otherwise (`containerLogMaxSize`, `containerLogMaxFiles`).
const SIZE: u64 = 10 << 20;
const FILES: u32 = 5;

/// A log that is being written, and told to those who follow it.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: Mutex<Growing>,
    /// How large a file becomes.
    limit: u64,
    written: watch::Sender<u64>,
}

/// The file that is written, and how large it is.
#[derive(Debug)]
struct Growing {
    file: File,
    size: u64,
}

impl Growing {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }
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

/// A file of a log that was put aside when it was large enough: the last one is the first.
fn aside(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// Removes the log of a start, with what was put aside of it.
fn remove(path: &Path) {
    let all = (1..FILES).map(|number| aside(path, number));
    for file in all.chain([path.to_owned()]) {
        if let Err(error) = fs::remove_file(&file)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!("{}: an old log stays: {error}", file.display());
        }
    }
}

impl Log {
    /// Makes the log of a start. Older ones than that before it go.
    pub(crate) fn create(folder: &Path, attempt: u32) -> io::Result<Self> {
        Self::of_size(folder, attempt, SIZE)
    }

    fn of_size(folder: &Path, attempt: u32, limit: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        if let Some(old) = attempt.checked_sub(2) {
            remove(&file(folder, old));
        }
        let path = file(folder, attempt);
        Ok(Self {
            file: Mutex::new(Growing::open(&path)?),
            path,
            limit,
            written: watch::Sender::new(0),
        })
    }

    /// Puts the file aside, and the oldest one away. Who reads it goes on in it: names change, and no file.
    fn rotate(&self, growing: &mut Growing) -> io::Result<()> {
        for number in (1..FILES - 1).rev() {
            match fs::rename(aside(&self.path, number), aside(&self.path, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, aside(&self.path, 1))?;
        *growing = Growing::open(&self.path)?;
        Ok(())
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
        let mut growing = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        growing.file.write_all(&out)?;
        growing.size += out.len() as u64;
        if growing.size >= self.limit
            && let Err(error) = self.rotate(&mut growing)
        {
            // What was written is there; the next write tries again.
            tracing::debug!("{}: isn't put aside: {error}", self.path.display());
        }
        self.written
            .send_modify(|written| *written += out.len() as u64);
        Ok(())
    }
}
