//! Who builds an image from a file, where it isn't mwctl itself, and the network of what it runs.
//!
//! How they are asked is the engine crate's knowledge.

use std::fmt;

use serde::Serialize;

/// A builder that is a program of its own.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Engine {
    /// `BuildKit`, asked by its own client.
    Buildkit,
    /// Docker, with whichever builder it has.
    Docker,
    /// Podman.
    Podman,
    /// Buildah.
    Buildah,
}

impl Engine {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Buildkit, Self::Docker, Self::Podman, Self::Buildah];

    /// How it is called in descriptions and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Buildkit => "buildkit",
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Buildah => "buildah",
        }
    }

    /// The program that is run.
    pub fn program(self) -> &'static str {
        match self {
            Self::Buildkit => "buildctl",
            other => other.name(),
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The network of the programs that a build runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum BuildNetwork {
    /// The machine's.
    Host,
    /// None but the loopback.
    None,
    /// A way out alone, which leads neither to this machine nor to clusters. Only `mwctl`'s own builds have it.
    Relay,
}

impl BuildNetwork {
    /// How it is called in descriptions, on the command line, and by all engines that have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::None => "none",
            Self::Relay => "relay",
        }
    }
}
