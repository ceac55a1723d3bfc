//! Builders of others: what `BuildKit`, docker, podman and buildah are asked for an image of a Dockerfile
//! or Blubber file, as command lines.
//!
//! Pure. That they are run, and what becomes of what they make, is in [`super::foreign`].

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use mwctl_core::lock::{FILE, Lock, LockedBase, SourceKind};
use mwctl_core::model::{BuildNetwork, Engine};
use mwctl_image::{Reference, recipe};

use super::base::pinned;

use crate::command::Command;

/// Where the image is in the folder of work when the last command has ended: an OCI layout, or an archive.
pub(super) const RESULT: &str = "image";

/// What an engine is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Who builds it.
    pub engine: Engine,
    /// The folder with the files that are copied; absolute.
    pub context: PathBuf,
    /// The Dockerfile or Blubber file; absolute.
    pub file: PathBuf,
    /// What it says.
    pub text: String,
    /// The stage or variant; `None` for the last stage.
    pub target: Option<String>,
    /// The stage or variant as people call it; `None` where it has no name.
    pub variant: Option<String>,
    /// Values of its arguments.
    pub arguments: BTreeMap<String, String>,
    /// The network of the programs that it runs; `None` for the engine's own.
    pub network: Option<BuildNetwork>,
    /// The images that it names, as far as they can be seen.
    pub images: BTreeSet<String>,
    /// Those of them that are recorded, as the file writes them.
    pub recorded: BTreeMap<String, Recorded>,
}

/// A base that is to be what a lock says, whatever its name means now.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// What the lock says.
    pub base: LockedBase,
    /// The name of exactly that.
    pub exact: String,
}

/// A base that `BuildKit` gets from this machine's store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Lent {
    /// How the file calls it.
    pub name: Reference,
    /// The digest of its manifest.
    pub digest: String,
    /// The folder of its layout, in the folder of work.
    pub folder: String,
}

/// An engine can't be asked for that.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// Blubber files are explained by an image that their first line names.
    #[error("`{}` lacks the line by which {engine} knows that it is a Blubber file", file.display())]
    NoSyntax {
        /// Who.
        engine: Engine,
        /// The file.
        file: PathBuf,
    },
    /// This engine doesn't read that line.
    #[error("{engine} builds no Blubber files")]
    Blubber {
        /// Who.
        engine: Engine,
    },
    /// The engine fetches bases by itself, and nobody gives it this one.
    #[error(
        "{engine} can't have `{reference}` as `{FILE}` records it: it was made or imported on a machine, and is in no registry"
    )]
    NotInRegistry {
        /// Who.
        engine: Engine,
        /// The base.
        reference: String,
    },
    /// The engine compares names before it puts values in for variables.
    #[error(
        "{engine} can't be told to take `{reference}` as `{FILE}` records it: the file puts its name together from variables"
    )]
    Variable {
        /// Who.
        engine: Engine,
        /// The base.
        reference: String,
    },
    /// The way out of builds is mwctl's own.
    #[error("{engine} has no network `relay`")]
    Relay {
        /// Who.
        engine: Engine,
    },
}

impl Refused {
    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::Relay { .. } => {
                "mwctl's own builds have it, without an engine; `--network host` and `none` are understood by all".to_owned()
            }
            Self::NotInRegistry { .. } | Self::Variable { .. } => {
                "`--engine buildkit` is given it from this machine's store, and mwctl itself, without an engine, takes it from there"
                    .to_owned()
            }
            Self::NoSyntax { .. } => {
                "begin it with the line `# syntax=…` that names Blubber's image, or leave the engine out: mwctl builds it by itself"
                    .to_owned()
            }
            Self::Blubber { .. } => {
                "`buildkit` and `docker` do, by their `# syntax=` line; so does mwctl itself, without an engine".to_owned()
            }
        }]
    }
}

impl Order {
    /// What is asked of an engine for a file with this text. Paths must be absolute.
    pub fn new(
        engine: Engine,
        context: &Path,
        file: &Path,
        text: String,
        variant: Option<&str>,
        arguments: &BTreeMap<String, String>,
    ) -> Result<Self, Refused> {
        let outline = recipe::outline(file, &text, variant, arguments);
        if recipe::is_blubber(file) {
            match (engine, &outline.syntax) {
                (Engine::Podman | Engine::Buildah, _) => return Err(Refused::Blubber { engine }),
                (_, None) => {
                    let file = file.to_path_buf();
                    return Err(Refused::NoSyntax { engine, file });
                }
                (_, Some(_)) => {}
            }
        }
        Ok(Self {
            engine,
            context: context.to_path_buf(),
            file: file.to_path_buf(),
            text,
            target: outline.target,
            variant: outline.variant,
            arguments: arguments.clone(),
            network: None,
            images: outline.images,
            recorded: BTreeMap::new(),
        })
    }

    /// The same with a network for its programs.
    pub fn within(mut self, network: Option<BuildNetwork>) -> Result<Self, Refused> {
        if network == Some(BuildNetwork::Relay) {
            return Err(Refused::Relay {
                engine: self.engine,
            });
        }
        self.network = network;
        Ok(self)
    }

    /// The same upon what a lock records for a platform.
    pub fn upon(mut self, lock: &Lock, platform: &str) -> Result<Self, Refused> {
        for name in &self.images {
            // What is no reference may be one to the engine, with a variable in it.
            let Ok(reference) = Reference::parse(name) else {
                continue;
            };
            let Some(base) = lock.get(reference.as_str(), platform) else {
                continue;
            };
            let Some(exact) = pinned(base) else { continue };
            self.may_have(name, base)?;
            let base = base.clone();
            self.recorded.insert(name.clone(), Recorded { base, exact });
        }
        Ok(self)
    }

    /// Whether the engine can be told to take what is recorded.
    fn may_have(&self, name: &str, base: &LockedBase) -> Result<(), Refused> {
        let engine = self.engine;
        if engine == Engine::Buildkit {
            return Ok(());
        }
        let reference = base.reference.clone();
        if base.source.kind != SourceKind::Registry {
            return Err(Refused::NotInRegistry { engine, reference });
        }
        if engine == Engine::Docker || writes(&self.text, name) {
            Ok(())
        } else {
            Err(Refused::Variable { engine, reference })
        }
    }

    /// Whether the file itself says what it is built upon, so that a lock can be followed. What a Blubber file means is
    /// Blubber's own image to know.
    pub fn names_its_bases(&self) -> bool {
        !recipe::is_blubber(&self.file)
    }

    /// The commands, one after the other, in a folder of work that gets the result.
    pub(super) fn commands(&self, name: &Reference, lent: &[Lent], work: &Path) -> Vec<Command> {
        let argv = match self.engine {
            Engine::Buildkit => vec![self.buildctl(lent)],
            Engine::Docker => vec![
                self.build("docker", &["build"], name),
                words(&["docker", "save", "--output", RESULT, name.as_str()]),
            ],
            Engine::Podman => vec![
                self.build("podman", &["build", "--format", "oci"], name),
                words(&[
                    "podman",
                    "save",
                    "--format",
                    "oci-archive",
                    "--output",
                    RESULT,
                    name.as_str(),
                ]),
            ],
            Engine::Buildah => vec![
                self.build("buildah", &["build", "--format", "oci", "--layers"], name),
                words(&[
                    "buildah",
                    "push",
                    name.as_str(),
                    &format!("oci-archive:{RESULT}"),
                ]),
            ],
        };
        argv.into_iter()
            .map(|argv| Command::new(argv).directory(work))
            .collect()
    }

    /// What docker, podman and buildah understand alike.
    fn build(&self, program: &str, verb: &[&str], name: &Reference) -> Vec<String> {
        let mut argv = words(&[program]);
        argv.extend(words(verb));
        argv.extend(["--file".to_owned(), text(&self.file)]);
        if let Some(target) = &self.target {
            argv.extend(["--target".to_owned(), target.clone()]);
        }
        if let Some(network) = self.network {
            argv.extend(["--network".to_owned(), network.name().to_owned()]);
        }
        for (name, value) in &self.arguments {
            argv.extend(["--build-arg".to_owned(), format!("{name}={value}")]);
        }
        for (written, Recorded { exact, .. }) in &self.recorded {
            let reference = Reference::parse(written).ok();
            let name = match &reference {
                // Podman and Buildah look for the word that stands in the file.
                Some(reference) if self.engine == Engine::Docker => familiar(reference),
                _ => written,
            };
            let context = format!("{name}=docker-image://{exact}");
            argv.extend(["--build-context".to_owned(), context]);
        }
        argv.extend(["--tag".to_owned(), name.to_string(), text(&self.context)]);
        argv
    }

    /// What `BuildKit`'s own client is asked. The result is a folder that isn't packed: whoever needs an archive
    /// of it writes only what is missing elsewhere.
    fn buildctl(&self, lent: &[Lent]) -> Vec<String> {
        let folder = self.file.parent().unwrap_or(&self.context);
        let name = self.file.file_name().unwrap_or(OsStr::new("Dockerfile"));
        let mut argv = words(&[
            "buildctl",
            "build",
            "--progress",
            "plain",
            "--frontend",
            "dockerfile.v0",
        ]);
        let mut pair = |flag: &str, value: String| argv.extend([flag.to_owned(), value]);
        pair("--local", format!("context={}", text(&self.context)));
        pair("--local", format!("dockerfile={}", text(folder)));
        pair("--opt", format!("filename={}", name.to_string_lossy()));
        if let Some(target) = &self.target {
            pair("--opt", format!("target={target}"));
        }
        if let Some(network) = self.network {
            pair("--opt", format!("force-network-mode={}", network.name()));
            if network == BuildNetwork::Host {
                // What the daemon allows by its own configuration, the client has to allow once more.
                pair("--allow", "network.host".to_owned());
            }
        }
        for (name, value) in &self.arguments {
            pair("--opt", format!("build-arg:{name}={value}"));
        }
        for base in lent {
            let Lent {
                name,
                digest,
                folder,
            } = base;
            pair("--oci-layout", format!("{folder}={folder}"));
            let name = familiar(name);
            pair(
                "--opt",
                format!("context:{name}=oci-layout://{folder}@{digest}"),
            );
        }
        pair(
            "--output",
            format!("type=oci,tar=false,compression=uncompressed,dest={RESULT}"),
        );
        argv
    }
}

/// Whether a Dockerfile names an image by just this word.
fn writes(text: &str, name: &str) -> bool {
    let origin = format!("from={name}");
    text.lines().any(|line| {
        let mut words = line.split_whitespace();
        let is_from = words
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("from"));
        let mut parts = line.split(|letter: char| letter.is_whitespace() || letter == ',');
        is_from && words.any(|word| word == name) || parts.any(|part| part.ends_with(&origin))
    })
}

/// A reference without what docker's world leaves out, by which `BuildKit` looks for bases that it is given.
fn familiar(name: &Reference) -> &str {
    let name = name.as_str();
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    name.strip_suffix(":latest").unwrap_or(name)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use mwctl_core::lock::Source;

    use super::*;
    use crate::command::pasteable;

    fn order(engine: Engine, file: &str, text: &str) -> Result<Order, Refused> {
        let arguments = BTreeMap::from([("WHO".to_owned(), "a b".to_owned())]);
        let context = Path::new("/srv/one");
        let file = context.join(file);
        Order::new(
            engine,
            context,
            &file,
            text.to_owned(),
            Some("prod"),
            &arguments,
        )
    }

    fn lines(engine: Engine, lent: &[Lent]) -> Vec<String> {
        let order = order(engine, "sub/Dockerfile", "FROM debian AS prod\n").unwrap();
        let name = Reference::parse("mwctl.local/one:prod").unwrap();
        let commands = order.commands(&name, lent, Path::new("/work"));
        let is_there = |command: &Command| command.directory.as_deref() == Some(Path::new("/work"));
        assert!(commands.iter().all(is_there));
        commands.iter().map(|it| pasteable(&it.argv)).collect()
    }

    #[test]
    fn buildkit_writes_a_layout_and_is_given_bases_under_the_names_that_it_looks_for() {
        let lent = |name: &str, folder: &str| Lent {
            name: Reference::parse(name).unwrap(),
            digest: "sha256:ab".to_owned(),
            folder: folder.to_owned(),
        };
        let bases = [
            lent("debian", "base0"),
            lent("mwctl.local/a:1", "base1"),
            lent("me/b:2", "base2"),
        ];
        assert_eq!(
            lines(Engine::Buildkit, &bases),
            [
                "buildctl build --progress plain --frontend dockerfile.v0 --local context=/srv/one \
              --local dockerfile=/srv/one/sub --opt filename=Dockerfile --opt target=prod --opt 'build-arg:WHO=a b' \
              --oci-layout base0=base0 --opt context:debian=oci-layout://base0@sha256:ab \
              --oci-layout base1=base1 --opt context:mwctl.local/a:1=oci-layout://base1@sha256:ab \
              --oci-layout base2=base2 --opt context:me/b:2=oci-layout://base2@sha256:ab \
              --output type=oci,tar=false,compression=uncompressed,dest=image"
            ]
        );
    }

    #[test]
    fn the_others_keep_the_image_under_its_name_and_write_an_archive_of_it() {
        let same = "--file /srv/one/sub/Dockerfile --target prod --build-arg 'WHO=a b' --tag mwctl.local/one:prod /srv/one";
        assert_eq!(
            lines(Engine::Docker, &[]),
            [
                format!("docker build {same}"),
                "docker save --output image mwctl.local/one:prod".to_owned()
            ]
        );
        assert_eq!(
            lines(Engine::Podman, &[]),
            [
                format!("podman build --format oci {same}"),
                "podman save --format oci-archive --output image mwctl.local/one:prod".to_owned()
            ]
        );
        assert_eq!(
            lines(Engine::Buildah, &[]),
            [
                format!("buildah build --format oci --layers {same}"),
                "buildah push mwctl.local/one:prod oci-archive:image".to_owned()
            ]
        );
    }

    #[test]
    fn each_engine_is_told_of_the_network_in_its_own_way() {
        let line = |engine, network| {
            let order = order(engine, "Dockerfile", "FROM debian AS prod\n").unwrap();
            let order = order.within(Some(network)).unwrap();
            let name = Reference::parse("mwctl.local/one:prod").unwrap();
            pasteable(&order.commands(&name, &[], Path::new("/work"))[0].argv)
        };
        for engine in [Engine::Docker, Engine::Podman, Engine::Buildah] {
            let line = line(engine, BuildNetwork::None);
            assert!(line.contains(" --target prod --network none "), "{line}");
        }
        let host = line(Engine::Buildkit, BuildNetwork::Host);
        let told = " --opt force-network-mode=host --allow network.host ";
        assert!(host.contains(told), "{host}");
        let none = line(Engine::Buildkit, BuildNetwork::None);
        assert!(none.contains(" --opt force-network-mode=none "), "{none}");
        assert!(!none.contains("--allow"), "{none}");
    }

    /// A lock of one base.
    fn lock(name: &str, kind: SourceKind) -> Lock {
        let mut lock = Lock::default();
        lock.set(LockedBase {
            reference: Reference::parse(name).unwrap().to_string(),
            source: Source {
                kind,
                from: String::new(),
            },
            digest: format!("sha256:{}", "ab".repeat(32)),
            index: None,
            platform: "linux/amd64".to_owned(),
            packages: BTreeMap::new(),
            checked: String::new(),
            place: None,
        });
        lock
    }

    fn upon(engine: Engine, text: &str, lock: &Lock) -> Result<String, Refused> {
        let order = order(engine, "Dockerfile", text)?.upon(lock, "linux/amd64")?;
        let name = Reference::parse("mwctl.local/one:prod").unwrap();
        let commands = order.commands(&name, &[], Path::new("/work"));
        Ok(pasteable(&commands[0].argv))
    }

    #[test]
    fn each_engine_is_told_in_its_own_way_what_is_recorded() {
        let text = "FROM docker.io/library/debian:latest AS a\nFROM a AS prod\n";
        let lock = lock("debian", SourceKind::Registry);
        let exact = format!(
            "docker-image://docker.io/library/debian@sha256:{}",
            "ab".repeat(32)
        );
        let docker = upon(Engine::Docker, text, &lock).unwrap();
        assert!(
            docker.contains(&format!("--build-context debian={exact} ")),
            "{docker}"
        );
        for engine in [Engine::Podman, Engine::Buildah] {
            let told = upon(engine, text, &lock).unwrap();
            let written = format!("--build-context docker.io/library/debian:latest={exact} ");
            assert!(told.contains(&written), "{told}");
        }
        // For another platform nothing is recorded, and of another base neither.
        let other = order(Engine::Docker, "Dockerfile", text).unwrap();
        assert!(
            other
                .upon(&lock, "linux/arm64")
                .unwrap()
                .recorded
                .is_empty()
        );
        let others = upon(Engine::Docker, "FROM debian:12\n", &lock).unwrap();
        assert!(!others.contains("--build-context"), "{others}");
    }

    #[test]
    fn who_cannot_follow_a_lock_is_refused_with_who_can() {
        let computed = "ARG B=debian\nFROM $B AS prod\n";
        let copied =
            "FROM scratch AS prod\nCOPY --from=debian /a /\nRUN --mount=type=bind,from=debian x\n";
        for (text, kind, refused) in [
            ("FROM debian AS prod\n", SourceKind::Store, [true, true]),
            (computed, SourceKind::Registry, [false, true]),
            (copied, SourceKind::Registry, [false, false]),
        ] {
            let lock = lock("debian", kind);
            for (engine, refused) in [Engine::Docker, Engine::Podman].into_iter().zip(refused) {
                let told = upon(engine, text, &lock);
                assert_eq!(told.is_err(), refused, "{engine} {text}");
                if let Err(error) = told {
                    assert!(
                        error.to_string().contains("as `mwctl.lock` records it"),
                        "{error}"
                    );
                    assert!(error.hints()[0].starts_with("`--engine buildkit`"));
                }
            }
            assert!(upon(Engine::Buildkit, text, &lock).is_ok());
        }
    }

    #[test]
    fn a_blubber_file_goes_to_those_that_let_blubber_explain_it() {
        let file = ".pipeline/blubber.yaml";
        let text = "# syntax=example.org/blubber:v1\nversion: v4\n";
        for engine in Engine::ALL {
            let without = order(engine, file, "version: v4\n").unwrap_err();
            let with = order(engine, file, text);
            match engine {
                Engine::Buildkit | Engine::Docker => {
                    assert_eq!(with.unwrap().target.as_deref(), Some("prod"));
                    assert!(without.to_string().contains("lacks the line"), "{without}");
                }
                Engine::Podman | Engine::Buildah => {
                    assert_eq!(with.unwrap_err(), without);
                    assert!(without.hints()[0].contains("`buildkit` and `docker` do"));
                }
            }
        }
    }
}
