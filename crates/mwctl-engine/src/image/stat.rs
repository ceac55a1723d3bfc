//! Contents' hashes, remembered by what the filesystem says of a file, so that looking at a
//! checkout in which nothing changed reads no file.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::cache::Cache;

/// Two writes this close together can have one time stamp, so a file that was just changed when
/// it was hashed is hashed again. Kernels count in ticks of 1 to 10 ms; network filesystems in
/// more.
const SETTLED_NS: i128 = 2_000_000_000;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Known {
    size: u64,
    modified_ns: i128,
    changed_ns: i128,
    inode: u64,
    hash: blake3::Hash,
}

/// The hashes of one checkout.
pub(super) struct StatCache {
    name: String,
    known: HashMap<Vec<u8>, Known>,
    seen: HashMap<Vec<u8>, Known>,
    now_ns: i128,
    pub(super) read: usize,
}

fn nanoseconds(seconds: i64, rest: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(rest)
}

impl StatCache {
    pub(super) fn open(cache: &Cache, root: &Path) -> Self {
        use std::os::unix::ffi::OsStrExt as _;
        let hash = blake3::hash(root.as_os_str().as_bytes());
        let name = hash.to_hex()[..24].to_owned();
        let text = std::fs::read(cache.folder("stat").join(&name)).unwrap_or_default();
        let known = text.split(|byte| *byte == 0).filter_map(parse).collect();
        let now = crate::clock::since_epoch().as_nanos();
        Self {
            name,
            known,
            seen: HashMap::new(),
            now_ns: i128::try_from(now).unwrap_or(0),
            read: 0,
        }
    }

    /// The hash of a file's content, read only where needed.
    pub(super) fn hash(
        &mut self,
        path: &Path,
        relative: &Path,
        data: &Metadata,
    ) -> io::Result<blake3::Hash> {
        use std::os::unix::ffi::OsStrExt as _;
        let name = relative.as_os_str().as_bytes();
        let modified_ns = nanoseconds(data.mtime(), data.mtime_nsec());
        let changed_ns = nanoseconds(data.ctime(), data.ctime_nsec());
        let same = self.known.get(name).filter(|known| {
            known.size == data.size()
                && known.modified_ns == modified_ns
                && known.changed_ns == changed_ns
                && known.inode == data.ino()
        });
        if let Some(known) = same {
            self.seen.insert(name.to_vec(), *known);
            return Ok(known.hash);
        }
        self.read += 1;
        let hash = hash_file(path)?;
        if self.now_ns - modified_ns.max(changed_ns) > SETTLED_NS {
            let known = Known {
                size: data.size(),
                modified_ns,
                changed_ns,
                inode: data.ino(),
                hash,
            };
            self.seen.insert(name.to_vec(), known);
        }
        Ok(hash)
    }

    /// Remembers, where something is new.
    pub(super) fn close(self, cache: &Cache) -> io::Result<()> {
        if self.seen == self.known {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for (name, known) in &self.seen {
            let head = format!(
                "{} {} {} {} {} ",
                known.hash.to_hex(),
                known.size,
                known.modified_ns,
                known.changed_ns,
                known.inode
            );
            bytes.extend_from_slice(head.as_bytes());
            bytes.extend_from_slice(name);
            bytes.push(0);
        }
        cache.write(&cache.folder("stat").join(&self.name), &bytes)
    }
}

fn parse(record: &[u8]) -> Option<(Vec<u8>, Known)> {
    let mut parts = record.splitn(6, |byte| *byte == b' ');
    let mut text = || std::str::from_utf8(parts.next()?).ok();
    let known = Known {
        hash: blake3::Hash::from_hex(text()?).ok()?,
        size: text()?.parse().ok()?,
        modified_ns: text()?.parse().ok()?,
        changed_ns: text()?.parse().ok()?,
        inode: text()?.parse().ok()?,
    };
    Some((parts.next()?.to_vec(), known))
}

pub(super) fn hash_file(path: &Path) -> io::Result<blake3::Hash> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(hasher.finalize());
        }
        hasher.update(&buffer[..count]);
    }
}
