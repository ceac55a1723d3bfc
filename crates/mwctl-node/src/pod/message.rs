//! What a container says of its own end, as the kubelet tells it: what it wrote into the file that is mounted for that
//! (`terminationMessagePath`), or how its log ends.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Container, Pod};
use mwctl_container::{Bind, Entry, Mount, Source};

use crate::log::{self, Query};

use super::state::containers;

/// Where the file is in a container that doesn't say so.
const USUAL: &str = "/dev/termination-log";
/// What one container may say, in bytes.
const MOST: usize = 4096;
/// What all containers of a pod may say together.
const MOST_OF_POD: usize = 12 * 1024;
/// How much of a log counts: lines, and bytes.
const LOG: (u64, usize) = (80, 2048);

/// The file of the start whose log this is.
pub(crate) fn file(log: &Path) -> PathBuf {
    log.with_extension("message")
}

/// Makes the file, empty, for whomever the container runs as.
pub(crate) fn make(file: &Path) -> io::Result<()> {
    File::create(file)?.set_permissions(Permissions::from_mode(0o666))
}

/// The file in its container.
pub(crate) fn mount(container: &Container, file: &Path) -> Mount {
    let path = container.termination_message_path.as_deref();
    let path = path.filter(|path| !path.is_empty()).unwrap_or(USUAL);
    let bind = Bind {
        source: Source::Path(file.to_owned()),
        directory: false,
        read_only: false,
        below: None,
    };
    Mount {
        target: Path::new("/").join(path),
        entry: Entry::Bind(bind),
    }
}

/// Takes the file away and gives what was said, or what the log says where the container has failed and wants it so.
pub(crate) async fn take(
    pod: &Pod,
    container: &Container,
    log: &Path,
    failed: bool,
) -> Option<String> {
    let file = file(log);
    let most = most(containers(pod).count());
    let said = last(&file, most).unwrap_or_else(|error| {
        tracing::debug!("{}: {error}", file.display());
        Vec::new()
    });
    remove(&file);
    let falls_back =
        container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
    let said = if said.is_empty() && failed && falls_back {
        let mut end = end_of(log).await;
        end.drain(..end.len().saturating_sub(most.min(LOG.1)));
        end
    } else {
        said
    };
    (!said.is_empty()).then(|| String::from_utf8_lossy(&said).into_owned())
}

/// Takes the file of a start away that came to nothing.
pub(crate) fn remove(file: &Path) {
    if let Err(error) = fs::remove_file(file) {
        tracing::debug!("{} stays: {error}", file.display());
    }
}

fn most(containers: usize) -> usize {
    MOST.min(MOST_OF_POD / containers.max(1))
}

/// The last bytes of a file, however large it is.
fn last(file: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most as u64)))?;
    let mut text = Vec::new();
    file.take(most as u64).read_to_end(&mut text)?;
    Ok(text)
}

async fn end_of(log: &Path) -> Vec<u8> {
    let query = Query {
        tail: Some(LOG.0),
        ..Query::default()
    };
    let mut pieces = log::read(log, query, None);
    let mut text = Vec::new();
    while let Some(Ok(piece)) = pieces.next().await {
        text.extend_from_slice(&piece);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_containers_a_pod_has_the_less_each_may_say() {
        assert_eq!([0, 1, 3, 4, 12].map(most), [4096, 4096, 4096, 3072, 1024]);
    }

    #[test]
    fn of_too_much_the_end_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder.path().join("0.log"));
        make(&file).unwrap();
        assert_eq!(last(&file, 3).unwrap(), b"");
        fs::write(&file, "abcd").unwrap();
        assert_eq!(last(&file, 3).unwrap(), b"bcd");
        assert_eq!(last(&file, 9).unwrap(), b"abcd");
    }

    #[test]
    fn the_file_is_where_the_container_wants_it() {
        let target = |path: Option<&str>| {
            let container = Container {
                termination_message_path: path.map(str::to_owned),
                ..Container::default()
            };
            mount(&container, Path::new("/m")).target
        };
        assert_eq!(target(None), Path::new(USUAL));
        assert_eq!(target(Some("/tmp/end")), Path::new("/tmp/end"));
    }
}
