//! What programs of builds wrote: a file for each step, written while it runs, so that it is there however the build ends.
//!
//! A file keeps the beginning and the end of an output that is too long. The newest files stay.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Store, StoreError};

/// How much of an output's beginning is kept, and how much of its end at least.
const PART: u64 = 4 << 20;
/// How many files stay, and how many bytes they may have together.
const FILES: usize = 100;
const BYTES: u64 = 256 << 20;
/// How long they stay where the store is tidied up.
const OLD: Duration = Duration::from_hours(24 * 7);

/// The output of a program, as it is written down.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    path: PathBuf,
    /// How long the file is.
    length: u64,
    /// How much of the output isn't in it.
    left_out: u64,
    /// Where the part after the word about that begins.
    end: u64,
    broken: bool,
}

impl Log {
    fn create(path: PathBuf) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let file = options.mode(0o600).open(&path);
        Ok(Self {
            file: file.map_err(StoreError::io(&path))?,
            path,
            length: 0,
            left_out: 0,
            end: PART,
            broken: false,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes something down at once. A disk that is full ends no build: what can't be written is missing.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.broken {
            return;
        }
        if let Err(error) = self.add(bytes) {
            tracing::warn!(%error, log = %self.path.display(), "an output isn't kept");
            self.broken = true;
        }
    }

    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.length)?;
        self.length += bytes.len() as u64;
        if self.length <= 3 * PART {
            return Ok(());
        }
        // Only now, so that what is long is copied no more than once on average.
        let mut kept = vec![0; usize::try_from(PART).unwrap_or_default()];
        let begin = self.length - PART;
        self.file.read_exact_at(&mut kept, begin)?;
        self.left_out += begin - self.end;
        let word = format!("\n… {} bytes are left out here …\n", self.left_out);
        self.end = PART + word.len() as u64;
        self.file.write_all_at(word.as_bytes(), PART)?;
        self.file.write_all_at(&kept, self.end)?;
        self.length = self.end + PART;
        self.file.set_len(self.length)
    }
}

impl Store {
    /// Begins the log of a step, in the place of what it wrote another time.
    pub(crate) fn log(&self, key: &str) -> Result<Log, StoreError> {
        // One less, for that which is begun.
        self.prune_logs(FILES - 1, None)?;
        Log::create(self.log_path(key))
    }

    fn log_path(&self, key: &str) -> PathBuf {
        let short = key.get(..24).unwrap_or(key);
        self.path("logs").join(format!("{short}.log"))
    }

    /// Takes old logs away; with `all`, all of them.
    pub(super) fn collect_logs(&self, all: bool) -> Result<(), StoreError> {
        self.prune_logs(if all { 0 } else { FILES }, Some(OLD))
    }

    fn prune_logs(&self, files: usize, age: Option<Duration>) -> Result<(), StoreError> {
        let mut logs: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for path in self.entries("logs")? {
            // Another build may have taken it away.
            if let Ok(data) = fs::metadata(&path)
                && let Ok(time) = data.modified()
            {
                logs.push((time, data.len(), path));
            }
        }
        logs.sort_by(|one, other| other.cmp(one));
        let now = SystemTime::now();
        let mut bytes = 0;
        for (index, (time, length, path)) in logs.into_iter().enumerate() {
            bytes += length;
            let is_old = age.is_some_and(|age| now.duration_since(time).unwrap_or_default() > age);
            if index >= files || bytes > BYTES || is_old {
                drop(fs::remove_file(path));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::owners::Owners;

    fn bench() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), Owners::of_process()).unwrap();
        (folder, store)
    }

    #[test]
    fn a_short_output_is_kept_whole_and_in_place_of_the_one_before() {
        let (_folder, store) = bench();
        store.log("key").unwrap().write(b"a long one");
        let mut log = store.log("key").unwrap();
        log.write(b"one\n");
        log.write(b"two\n");
        assert_eq!(fs::read(log.path()).unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn a_long_output_keeps_its_beginning_and_its_end_and_says_so() {
        let (_folder, store) = bench();
        let mut log = store.log("key").unwrap();
        let mut whole = 0;
        for number in 0..600_u64 {
            let line = format!("{number}\n");
            let piece = line.repeat((64 << 10) / line.len());
            log.write(piece.as_bytes());
            whole += piece.len() as u64;
        }
        let text = fs::read_to_string(log.path()).unwrap();
        assert!(text.len() as u64 <= 3 * PART);
        assert!(text.starts_with("0\n") && text.ends_with("599\n"));
        let (head, rest) = text.split_once("\n… ").unwrap();
        let (left_out, tail) = rest.split_once(" bytes are left out here …\n").unwrap();
        let left_out: u64 = left_out.parse().unwrap();
        assert_eq!(head.len() as u64 + left_out + tail.len() as u64, whole);
    }

    #[test]
    fn the_newest_logs_stay_until_all_are_to_go() {
        let (_folder, store) = bench();
        let begin = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365 * 30);
        for number in 0..FILES + 5 {
            let log = store.log(&format!("{number}")).unwrap();
            let age = Duration::from_secs(number as u64);
            log.file.set_modified(begin + age).unwrap();
        }
        assert_eq!(store.entries("logs").unwrap().len(), FILES);
        assert!(!store.log_path("4").exists() && store.log_path("5").exists());
        // Of those, only this is of the last week.
        store.log("6").unwrap().write(b"new");
        store.collect(false).unwrap();
        assert_eq!(store.entries("logs").unwrap(), [store.log_path("6")]);
        store.collect(true).unwrap();
        assert_eq!(store.entries("logs").unwrap().len(), 0);
    }
}
