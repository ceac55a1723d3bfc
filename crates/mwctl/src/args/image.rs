//! `mwctl build` and `mwctl image`: what can be typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mwctl_core::model::{BuildNetwork, Engine};

/// `mwctl build`.
#[derive(Args, Debug)]
pub struct Build {
    /// A service of the stack, or a folder; the current one where none is named.
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,

    /// The Blubber file or Dockerfile, instead of the one that the folder has.
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// The variant, or the stage of a Dockerfile; `production` or `test` where there is one, else the last stage.
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,

    /// Give a build argument a value; may be repeated.
    #[arg(long = "arg", value_name = "NAME=VALUE")]
    pub arguments: Vec<String>,

    /// Who builds it, instead of what `mwctl.yaml` says; all but `mwctl` are programs that must be installed.
    #[arg(long, value_enum, value_name = "NAME")]
    pub engine: Option<Builder>,

    /// The network of the programs that the file runs, instead of what `mwctl.yaml` says; the machine's where nobody says
    /// anything, or the engine's own.
    #[arg(long, value_enum, value_name = "NAME")]
    pub network: Option<BuildersNetwork>,

    /// A policy of Blubber that the file must keep.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,

    /// The image's name; `mwctl.local/SERVICE:VARIANT` where none is given.
    #[arg(long, value_name = "NAME:TAG")]
    pub tag: Option<String>,

    /// Write the image as an OCI layout into this new folder, too, as skopeo and umoci read it.
    #[arg(long, value_name = "FOLDER")]
    pub export: Option<PathBuf>,

    /// Print the steps, which of them are known, and why one isn't; make nothing.
    #[arg(long)]
    pub explain: bool,

    /// Open a shell where a step fails, with all that it left; what is done there is lost.
    #[arg(long, conflicts_with = "explain")]
    pub shell_on_failure: bool,

    /// Pull bases from this registry without TLS, as in `localhost:5000`; may be repeated.
    #[arg(long, value_name = "HOST:PORT")]
    pub plain_http: Vec<String>,
}

/// `mwctl image update`.
#[derive(Args, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct UpdateBases {
    /// The bases, as files and conventions name them; all of the stack where none is named.
    #[arg(value_name = "REF")]
    pub bases: Vec<String>,

    /// Show what would be recorded, and change nothing.
    #[arg(long, conflicts_with = "deploy")]
    pub dry_run: bool,

    /// Record what this machine's image store has, and ask nobody.
    #[arg(long)]
    pub offline: bool,

    /// Don't build the services that depend on what has changed; then they aren't tested or deployed, either.
    #[arg(long, conflicts_with = "deploy")]
    pub no_build: bool,

    /// Don't run these services' tests in the cluster, in the image for tests, before anything is recorded.
    #[arg(long)]
    pub no_test: bool,

    /// Deploy the stack afterwards also where it isn't deployed yet. Where a deployment fails, the old lock is taken back.
    #[arg(long)]
    pub deploy: bool,

    /// Don't deploy the stack afterwards where it is deployed already, which is otherwise done.
    #[arg(long, conflicts_with = "deploy")]
    pub no_deploy: bool,

    /// A registry that speaks HTTP without TLS, as in `localhost:5000`; may be repeated.
    #[arg(long, value_name = "HOST:PORT")]
    pub plain_http: Vec<String>,
}

/// Who builds an image of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Builder {
    /// This program, without a daemon.
    Mwctl,
    /// `BuildKit`, by `buildctl`: what mwctl refuses, and files that begin with `# syntax=`.
    Buildkit,
    /// `docker build`.
    Docker,
    /// `podman build`.
    Podman,
    /// `buildah build`.
    Buildah,
}

impl Builder {
    /// The engine of others that is meant; `None` for mwctl itself.
    pub fn engine(self) -> Option<Engine> {
        match self {
            Self::Mwctl => None,
            Self::Buildkit => Some(Engine::Buildkit),
            Self::Docker => Some(Engine::Docker),
            Self::Podman => Some(Engine::Podman),
            Self::Buildah => Some(Engine::Buildah),
        }
    }
}

/// The network of the programs that a build runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum BuildersNetwork {
    /// The machine's.
    Host,
    /// None but the loopback, whatever the file says.
    None,
    /// A way out through a proxy, which leads neither to this machine nor to clusters, whatever the file says but `none`.
    Relay,
}

impl From<BuildersNetwork> for BuildNetwork {
    fn from(network: BuildersNetwork) -> Self {
        match network {
            BuildersNetwork::Host => Self::Host,
            BuildersNetwork::None => Self::None,
            BuildersNetwork::Relay => Self::Relay,
        }
    }
}

/// `mwctl image`.
#[derive(Debug, Subcommand)]
pub enum Image {
    /// Take images from files: OCI layouts, what `docker save` wrote, root filesystems.
    Import {
        /// Archives, packed or not, or folders with an OCI layout; `-` is the standard input.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The image's name, where the file doesn't tell it or another one is wanted.
        #[arg(long, value_name = "NAME:TAG")]
        name: Option<String>,
    },
    /// Fetch images from their registries.
    ///
    /// Accounts are those of `docker login` and `podman login`.
    Pull {
        /// Their references.
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<String>,
        /// A registry that speaks HTTP without TLS, as in `localhost:5000`; may be repeated.
        #[arg(long, value_name = "HOST:PORT")]
        plain_http: Vec<String>,
    },
    /// List the images that are there.
    List,
    /// Show what an image does by itself, and its layers.
    Inspect {
        /// Its reference.
        #[arg(value_name = "IMAGE")]
        image: String,
    },
    /// Remove images, and what only they needed.
    Remove {
        /// Their references.
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<String>,
    },
    /// Show what is newer than the bases that the stack's images are built upon.
    ///
    /// A registry is asked whether the base's name means another image now, and a Debian archive, whose signature is
    /// checked, for newer packages. Changes nothing. Exits with 4 where one of them can't be reached.
    Outdated {
        /// Only packages that are newer for security's sake.
        #[arg(long)]
        security: bool,
        /// End with exit code 1 where anything is newer.
        #[arg(long)]
        exit_code: bool,
        /// A registry that speaks HTTP without TLS, as in `localhost:5000`; may be repeated.
        #[arg(long, value_name = "HOST:PORT")]
        plain_http: Vec<String>,
    },
    /// Take the newest bases: look their names up anew, build and test what depends on them, record them in `mwctl.lock`, roll them out.
    ///
    /// The lock stands beside `mwctl.yaml` and is made where there is none. From then on builds take exactly what
    /// it records. It is written after builds and tests: where one of them fails, or a registry can't be reached (exit code 4),
    /// nothing has changed. Where the stack is deployed, it is brought up to date. To go back, take the old lock back and type `mwctl up`.
    Update(UpdateBases),
    /// Remove what no image and no running container needs, and steps of builds that weren't used for a week.
    Prune {
        /// Remove all steps and caches of builds.
        #[arg(long)]
        all: bool,
    },
}
