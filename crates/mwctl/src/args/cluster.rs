//! `mwctl cluster`: what can be typed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::duration;

/// `mwctl cluster`.
#[derive(Debug, Subcommand)]
pub enum Cluster {
    /// Make a disposable cluster in a process of its own.
    Create {
        /// Its name; its context is called `mwctl-NAME`.
        name: String,
        /// How it is served.
        #[command(flatten)]
        disposable: Disposable,
        /// Remove it after this time, as in `90s`, `5m` or `1h`.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        ttl: Option<Duration>,
        /// Keep its objects on disk, and begin with those of the last cluster of this name that was kept.
        #[arg(long)]
        persist: bool,
    },
    /// Remove disposable clusters, with what was kept of them.
    Delete {
        /// Their names.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Print where the kubeconfig of a disposable cluster is.
    Kubeconfig {
        /// The cluster.
        name: String,
    },
    /// Run a command with a cluster of its own, which is gone afterwards; its exit code is the command's.
    Run {
        /// How it is served.
        #[command(flatten)]
        disposable: Disposable,
        /// The command, which finds its cluster by `KUBECONFIG`.
        #[arg(required = true, last = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Serve a disposable cluster until this process is told to end.
    #[command(hide = true)]
    Serve {
        /// Its name.
        name: String,
        /// How it is served.
        #[command(flatten)]
        disposable: Disposable,
        /// End after this time.
        #[arg(long, value_parser = duration)]
        ttl: Option<Duration>,
        /// Keep its objects on disk.
        #[arg(long)]
        persist: bool,
    },
    /// List the clusters of the kubeconfig, and which one would be used; and the disposable ones.
    List,
    /// Start a minikube profile, or the embedded cluster: `embedded`.
    Start {
        /// The profile.
        #[arg(default_value = "minikube")]
        profile: String,
        /// The driver, as in `docker`; the profile's own where it has one.
        #[arg(long)]
        driver: Option<String>,
        /// What pods of the embedded cluster may have of this machine: it is remembered until something else is said.
        #[command(flatten)]
        allowed: Allowed,
    },
    /// Stop a minikube profile, or a cluster that `mwctl` serves.
    Stop {
        /// The profile.
        #[arg(default_value = "minikube")]
        profile: String,
    },
    /// Say what is wrong with a minikube profile, and what to type.
    Diagnose {
        /// The profile.
        #[arg(default_value = "minikube")]
        profile: String,
    },
}

/// What pods may have of this machine beside what is theirs.
#[derive(Args, Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Allowed {
    /// Let pods reach this port of the machine at `host.mwctl.internal`, as in `collector=4317`; may be repeated.
    #[arg(long = "host-port", value_name = "NAME=PORT", value_parser = host_port)]
    pub host_ports: Vec<(String, u16)>,

    /// Let pods mount what is below this folder, by `hostPath`; may be repeated.
    #[arg(long = "host-folder", value_name = "FOLDER")]
    pub host_folders: Vec<PathBuf>,
}

impl Allowed {
    /// Whether it is nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn host_port(text: &str) -> Result<(String, u16), String> {
    let wrong = || format!("`{text}` isn't NAME=PORT, as in `collector=4317`");
    let (name, port) = text.split_once('=').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    if name.is_empty() || port == 0 {
        return Err(wrong());
    }
    Ok((name.to_owned(), port))
}

/// How a disposable cluster is served.
#[derive(Args, Clone, Debug)]
pub struct Disposable {
    /// What it can do.
    #[arg(long, value_enum, default_value_t)]
    pub grade: Grade,

    /// Let pods become ready though nothing runs in them.
    #[arg(long)]
    pub simulate_pods: bool,

    /// The API alone: whoever else acts on objects is started by you.
    #[arg(long, conflicts_with = "simulate_pods")]
    pub without_controllers: bool,

    /// What its pods may have of this machine.
    #[command(flatten)]
    pub allowed: Allowed,
}

/// What a disposable cluster can do.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Grade {
    /// The Kubernetes API with its controllers; no containers run.
    #[default]
    Api,
    /// The same, and a node of this machine that runs pods as containers.
    Node,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_the_machine_has_a_name() {
        assert_eq!(host_port("a=80"), Ok(("a".to_owned(), 80)));
        for wrong in ["80", "=80", "a=", "a=0", "a=70000"] {
            host_port(wrong).unwrap_err();
        }
    }
}
