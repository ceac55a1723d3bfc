//! Debian itself as a base, made of its packages by `mmdebstrap`, where no other place has it.
//!
//! What is made is called `mwctl.local/debian:SUITE` in this machine's store, and has the name that was asked for
//! as well where that meant nothing. It is no registry's image, so whoever waits for it is told.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mwctl_image::oci::architecture;
use mwctl_image::{ImportOptions, Reference};

use super::{Base, BaseError, BaseSource};
use crate::command::{Command, CommandRunner, ignore_lines};
use crate::delivery::LocalStore;
use crate::image::cache::Cache;
use crate::image::document::BlobDescriptor;
use crate::image::local;

/// Hears one sentence for people.
#[derive(Clone)]
pub struct Tell(Arc<dyn Fn(String) + Send + Sync>);

impl Tell {
    /// Hands sentences to `hear`.
    pub fn new(hear: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    /// Says one.
    pub fn say(&self, text: String) {
        (self.0)(text);
    }
}

impl fmt::Debug for Tell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tell")
    }
}

/// A slow archive on a slow machine; it takes some 15 s.
const LONGEST: Duration = Duration::from_mins(10);

/// Makes Debian.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    store: PathBuf,
    cache: Cache,
    runner: Arc<dyn CommandRunner>,
    tell: Tell,
}

/// The suite of Debian that a whole name means, if it means one.
pub fn suite(name: &str) -> Option<&'static str> {
    let places = ["docker.io/library/debian:", "mwctl.local/debian:"];
    let tag = places
        .into_iter()
        .find_map(|place| name.strip_prefix(place))?;
    Some(match tag.strip_suffix("-slim").unwrap_or(tag) {
        "11" | "bullseye" => "bullseye",
        "12" | "bookworm" => "bookworm",
        "13" | "trixie" => "trixie",
        "latest" | "stable" => "stable",
        "testing" => "testing",
        "sid" | "unstable" => "sid",
        _ => return None,
    })
}

/// What is made of a suite is called so.
pub fn made(suite: &str) -> String {
    format!("mwctl.local/debian:{suite}")
}

impl Bootstrap {
    /// Makes images in a store.
    pub fn new(store: PathBuf, cache: Cache, runner: Arc<dyn CommandRunner>, tell: Tell) -> Self {
        Self {
            store,
            cache,
            runner,
            tell,
        }
    }

    /// Makes a suite anew, and gives it a name if that means nothing yet.
    pub async fn make(&self, suite: &str, name: &str) -> Result<(), BaseError> {
        let fetch = |source: Box<dyn std::error::Error + Send + Sync>| BaseError::Fetch {
            reference: name.to_owned(),
            source,
        };
        let place = self
            .cache
            .workspace()
            .map_err(|error| fetch(error.into()))?;
        let archive = place.path().join("debian.tar");
        (self.tell.0)(format!(
            "`{name}`: no registry gives it, so it is made of Debian's packages by `mmdebstrap`, which takes a while"
        ));
        let mut command = Command::new(["mmdebstrap", "--variant=minbase"]);
        let rest = ["--include=ca-certificates", "--format=tar", suite];
        command.argv.extend(rest.map(str::to_owned));
        command.argv.push(archive.display().to_string());
        // Equal packages make equal images.
        let command = command.variable("SOURCE_DATE_EPOCH", "0").timeout(LONGEST);
        let done = command.succeed(self.runner.as_ref(), &ignore_lines).await;
        done.map_err(|error| {
            if lacks_network(error.tail()) {
                BaseError::Unreachable {
                    reference: name.to_owned(),
                    place: "Debian's archive",
                    source: error.into(),
                }
            } else {
                fetch(error.into())
            }
        })?;
        let parse = |text: &str| Reference::parse(text).map_err(|error| fetch(error.into()));
        let (own, wanted) = (parse(&made(suite))?, parse(name)?);
        let options = ImportOptions {
            name: Some(own.clone()),
            architecture: architecture().to_owned(),
        };
        let import = local::with(&self.store, move |store| {
            store.import(&archive, &options)?;
            if store.record(&wanted)?.is_none() {
                store.also_known_as(&own, &wanted)?;
            }
            Ok(())
        });
        import
            .await
            .map_err(|error: mwctl_image::ImportError| fetch(error.into()))
    }
}

/// Whether apt failed because it got to nobody (`apt-pkg/acquire`, `methods/connect.cc`).
fn lacks_network(said: &str) -> bool {
    [
        "Temporary failure resolving",
        "Could not resolve",
        "Could not connect",
        "Unable to connect",
        "Cannot initiate the connection",
    ]
    .iter()
    .any(|words| said.contains(words))
}

#[async_trait]
impl BaseSource for Bootstrap {
    fn describe(&self) -> String {
        "Debian's packages".to_owned()
    }

    fn makes(&self) -> bool {
        true
    }

    async fn resolve(&self, name: &str, nodes: &str) -> Result<Option<Base>, BaseError> {
        let Some(suite) = suite(name).filter(|_| nodes == architecture()) else {
            return Ok(None);
        };
        self.make(suite, name).await?;
        let store = LocalStore::new(self.store.clone());
        let found = store.resolve(&made(suite), nodes).await?;
        Ok(found.map(|base| Base {
            reference: name.to_owned(),
            ..base
        }))
    }

    async fn layer(
        &self,
        base: &Base,
        layer: &BlobDescriptor,
        into: &Path,
    ) -> Result<bool, BaseError> {
        LocalStore::new(self.store.clone())
            .layer(base, layer, into)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::fake::ScriptedRunner;
    use crate::image::{Bases, Cache};

    /// What `mmdebstrap` would write.
    fn debian(command: &Command) {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(5);
        archive
            .append_data(&mut header, "etc/passwd", &b"root\n"[..])
            .unwrap();
        std::fs::write(command.argv.last().unwrap(), archive.into_inner().unwrap()).unwrap();
    }

    #[tokio::test]
    async fn a_suite_that_nobody_has_is_made_once_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let runner = Arc::new(ScriptedRunner::new().doing("mmdebstrap", debian));
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let hear = told.clone();
        let bootstrap = Bootstrap::new(
            store.clone(),
            Cache::new(folder.path().join("cache")),
            runner.clone(),
            Tell::new(move |text| hear.lock().unwrap().push(text)),
        );
        let bases = Bases::new(vec![
            Arc::new(LocalStore::new(store.clone())),
            Arc::new(bootstrap),
        ]);
        let base = bases
            .resolve("debian:12-slim", architecture())
            .await
            .unwrap();
        let asked = runner.asked();
        assert!(
            asked[0].starts_with("mmdebstrap --variant=minbase"),
            "{asked:?}"
        );
        assert!(asked[0].contains(" bookworm "), "{asked:?}");
        assert!(told.lock().unwrap()[0].contains("`docker.io/library/debian:12-slim`"));
        // The store has it now, under both names.
        for name in ["debian:12-slim", "mwctl.local/debian:bookworm"] {
            let again = bases.resolve(name, architecture()).await.unwrap();
            assert_eq!(again.digest, base.digest);
        }
        assert_eq!(runner.asked().len(), 1);
        for other in ["debian:12-20250520", "other/debian:12", "node:20"] {
            assert!(
                bases.resolve(other, architecture()).await.is_err(),
                "{other}"
            );
        }
        assert!(bases.resolve("debian:13", "s390x").await.is_err());
        assert_eq!(runner.asked().len(), 1);
    }

    #[tokio::test]
    async fn an_archive_that_cannot_be_reached_is_told_from_one_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let make = async |said: &str| {
            let bootstrap = Bootstrap::new(
                folder.path().join("store"),
                Cache::new(folder.path().join("cache")),
                Arc::new(ScriptedRunner::new().on("mmdebstrap", 25, said)),
                Tell::new(drop),
            );
            bootstrap.make("bookworm", "debian:12").await.unwrap_err()
        };
        let offline = make("E: Failed to fetch http://a/InRelease  Could not resolve 'a'\n").await;
        assert!(matches!(offline, BaseError::Unreachable { .. }));
        let full = make("E: No space left on device\n").await;
        assert!(matches!(full, BaseError::Fetch { .. }));
    }

    #[tokio::test]
    async fn without_the_program_it_is_told_beside_what_the_others_said() {
        let folder = tempfile::tempdir().unwrap();
        let bootstrap = Bootstrap::new(
            folder.path().join("store"),
            Cache::new(folder.path().join("cache")),
            Arc::new(ScriptedRunner::new()),
            Tell::new(drop),
        );
        let bases = Bases::new(vec![Arc::new(bootstrap)]);
        let error = bases
            .resolve("debian:12", architecture())
            .await
            .unwrap_err();
        let told = error.to_string();
        assert!(told.contains("`mmdebstrap` is not installed"), "{told}");
    }
}
