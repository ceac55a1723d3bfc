//! Builders of others: what `BuildKit`, docker, podman and buildah are asked for an image of a Dockerfile
//! or Blubber file, as command lines.
//!
//! Pure. That they are run, and what becomes of what they make, is in [`super::foreign`].

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use mwctl_core::model::Engine;
use mwctl_image::{Reference, recipe};

use crate::command::Command;

/// Where the image is in the folder of work when the last command has ended: an OCI layout, or an archive.
pub(super) const RESULT: &str = "image";

/// What an engine is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
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
    /// The images that it names, as far as they can be seen.
    pub images: BTreeSet<String>,
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
}

impl Refused {
    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        vec![match self {
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
            images: outline.images,
        })
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
        for (name, value) in &self.arguments {
            argv.extend(["--build-arg".to_owned(), format!("{name}={value}")]);
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
