//! Asks archives what they have. Indices are kept by their sums, so that each is fetched once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt as _;
use serde::Serialize;

use super::index::{self, Package};
use super::keyring::Keyring;
use super::release::{Index, Packed, Release};
use super::sources::{Debian, Source};
use super::version::compare;
use crate::digest::Hashing;
use crate::packages::Packages;

/// A description is small; whatever claims to be larger is refused.
const DESCRIPTION: u64 = 8 << 20;
/// The largest index that is fetched; Debian's have 12 MB.
const INDEX: u64 = 256 << 20;
/// The most that an index may unpack to.
const UNPACKED: u64 = 2 << 30;

/// A package of which an archive has a newer version.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Update {
    /// Its name.
    pub package: String,
    /// The version in the image.
    pub installed: String,
    /// The newest one.
    pub newest: String,
    /// Whether a newer version is one of the security updates.
    pub security: bool,
}

/// Why an archive gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It can't be reached.
    #[error("cannot reach `{url}`")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// It has no such file, or breaks off.
    #[error("cannot fetch `{url}`")]
    Failed {
        /// What was asked for.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// What it gives isn't to be believed.
    #[error("`{url}` isn't to be believed: {why}")]
    Untrusted {
        /// What was asked for.
        url: String,
        /// Why.
        why: String,
    },
    /// What was fetched can't be kept or read.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ArchiveError {
    fn of(url: &str, source: reqwest::Error) -> Self {
        let url = url.to_owned();
        if source.is_connect() || source.is_timeout() {
            Self::Unreachable { url, source }
        } else {
            Self::Failed { url, source }
        }
    }

    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Unreachable { .. } => vec![
                "where only a proxy leads there, name it: `http_proxy=http://HOST:PORT`".to_owned(),
            ],
            _ => Vec::new(),
        }
    }
}

/// The newest version of each package, and whether security is its reason.
type Newest = BTreeMap<String, (String, bool)>;

/// Debian's archives, and those built like them.
#[derive(Clone, Debug)]
pub struct Archives {
    client: reqwest::Client,
    kept: PathBuf,
}

impl Archives {
    /// Keeps indices in a folder, which is made when something is put into it.
    pub fn new(kept: PathBuf) -> Self {
        crate::registry::install_provider();
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(Duration::from_mins(1))
            .build();
        Self {
            // Only a setting of ours could be refused, and there is none that can.
            client: client.unwrap_or_default(),
            kept,
        }
    }

    /// Which packages of an image are newer in its archives. `now` is in seconds since 1970.
    pub async fn updates(
        &self,
        debian: &Debian,
        packages: &Packages,
        now: u64,
    ) -> Result<Vec<Update>, ArchiveError> {
        let mut newest = Newest::new();
        for source in &debian.sources {
            self.look(debian, source, packages, now, &mut newest)
                .await?;
        }
        let updates = newest
            .into_iter()
            .map(|(package, (newest, security))| Update {
                installed: packages.get(&package).cloned().unwrap_or_default(),
                package,
                newest,
                security,
            });
        Ok(updates.collect())
    }

    /// Takes what one suite has that is newer.
    async fn look(
        &self,
        debian: &Debian,
        source: &Source,
        packages: &Packages,
        now: u64,
        newest: &mut Newest,
    ) -> Result<(), ArchiveError> {
        let folder = format!("{}/dists/{}", source.uri, source.suite);
        let url = format!("{folder}/InRelease");
        let untrusted = |why: String| ArchiveError::Untrusted {
            url: url.clone(),
            why,
        };
        let mut description = Vec::new();
        self.fetch(&url, DESCRIPTION, &mut description)
            .await?
            .map_err(|_| untrusted("it is too large".to_owned()))?;
        let text = String::from_utf8_lossy(&description);
        let keyring = Keyring::read(debian.keys(source));
        let signed = keyring.signed(&text, now);
        let release = Release::read(&signed.map_err(|error| untrusted(error.to_string()))?);
        // An old description would hide what is newer.
        if let Some(until) = release.valid_until
            && until < now.cast_signed()
        {
            return Err(untrusted("its time is over".to_owned()));
        }
        for component in &source.components {
            let Some(index) = release.packages(component, &debian.architecture) else {
                continue;
            };
            let file = self.index(&folder, &index).await?;
            let (packed, wanted) = (index.packed, packages.clone());
            let native = debian.architecture.clone();
            let path = file.clone();
            let read = move || newer(&path, packed, &wanted, &native);
            let found = match tokio::task::spawn_blocking(read).await {
                Ok(found) => found.map_err(ArchiveError::io(&file))?,
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            };
            for (package, version) in found {
                let known = newest.entry(package).or_insert((version.clone(), false));
                known.1 |= release.is_security;
                if compare(&known.0, &version).is_lt() {
                    known.0 = version;
                }
            }
        }
        Ok(())
    }

    /// An index as a file, fetched where it isn't kept.
    async fn index(&self, folder: &str, index: &Index) -> Result<PathBuf, ArchiveError> {
        let path = self.kept.join(&index.sum);
        if path.is_file() {
            return Ok(path);
        }
        let url = format!("{folder}/{}", index.path);
        std::fs::create_dir_all(&self.kept).map_err(ArchiveError::io(&self.kept))?;
        // Named by the process: another one may fetch the same.
        let new = self
            .kept
            .join(format!("{}.{}", index.sum, std::process::id()));
        let file = File::create(&new).map_err(ArchiveError::io(&new))?;
        let mut hashing = Hashing::new(file);
        let most = index.size.min(INDEX);
        let fetched = self.fetch(&url, most, &mut hashing).await;
        let (_, found, _) = hashing.finish();
        let wanted = format!("sha256:{}", index.sum);
        let is_right = matches!(fetched, Ok(Ok(()))) && found.as_str() == wanted;
        if !is_right {
            // What isn't right must not be taken for right by anybody.
            drop(std::fs::remove_file(&new));
            fetched?.map_err(ArchiveError::io(&new))?;
            return Err(ArchiveError::Untrusted {
                url,
                why: "it has another sum than the archive signed".to_owned(),
            });
        }
        std::fs::rename(&new, &path).map_err(ArchiveError::io(&path))?;
        Ok(path)
    }

    /// Fetches at most so many bytes. The inner error is of what they are written into.
    async fn fetch(
        &self,
        url: &str,
        most: u64,
        into: &mut (dyn io::Write + Send),
    ) -> Result<io::Result<()>, ArchiveError> {
        let failed = |error| ArchiveError::of(url, error);
        let response = self.client.get(url).send().await.map_err(failed)?;
        let response = response.error_for_status().map_err(failed)?;
        let mut stream = response.bytes_stream();
        let mut received = 0;
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.map_err(failed)?;
            received += bytes.len() as u64;
            if received > most {
                return Ok(Err(io::Error::other("it is longer than it should be")));
            }
            if let Err(error) = into.write_all(&bytes) {
                return Ok(Err(error));
            }
        }
        Ok(into.flush())
    }
}

/// What an index has that is newer than what is installed, the newest of each. Blocks.
fn newer(
    file: &Path,
    packed: Packed,
    installed: &Packages,
    native: &str,
) -> io::Result<BTreeMap<String, String>> {
    let file = BufReader::with_capacity(1 << 18, File::open(file)?);
    let text: Box<dyn BufRead> = match packed {
        Packed::Xz => {
            let unpacked = lzma_rust2::XzReader::new(file, true).take(UNPACKED);
            Box::new(BufReader::with_capacity(1 << 18, unpacked))
        }
        Packed::Gzip => {
            let unpacked = flate2::bufread::MultiGzDecoder::new(file).take(UNPACKED);
            Box::new(BufReader::with_capacity(1 << 18, unpacked))
        }
        Packed::Plain => Box::new(file),
    };
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    index::read(text, |package: Package<'_>| {
        let foreign;
        let name = if [native, "all"].contains(&package.architecture) {
            package.name
        } else {
            foreign = format!("{}:{}", package.name, package.architecture);
            &foreign
        };
        let Some(version) = installed.get(name) else {
            return;
        };
        let known = found.get(name).unwrap_or(version);
        if compare(known, package.version).is_lt() {
            found.insert(name.to_owned(), package.version.to_owned());
        }
    })?;
    Ok(found)
}
