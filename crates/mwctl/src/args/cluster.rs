//! `mwctl cluster`: what can be typed.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, Subcommand};

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

/// How a disposable cluster is served.
#[derive(Args, Clone, Copy, Debug)]
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
