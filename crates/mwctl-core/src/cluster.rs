//! Which clusters a kubeconfig names, which of them are known to be this machine's own, and which
//! one a command works on.
//!
//! Known to be local is an allow-list: a context counts when it is recognised as one of the tools
//! that make clusters on a developer's machine. Everything else has to be allowed by its name, so
//! that nothing is deployed to production by mistake. Reading the files and asking whether a
//! cluster answers is the engine's work.

mod address;
mod choice;
mod detect;
mod kubeconfig;

pub use choice::{
    Choice, EMBEDDED, EMBEDDED_CONTEXT, MinikubeState, Question, Reason, Refusal, choose,
};
pub use kubeconfig::{Detection, Kubeconfig, read};

use serde::Serialize;

/// One context of a kubeconfig, with what was concluded about its cluster.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Context {
    /// The context's name, as in `kubectl --context NAME`.
    pub name: String,
    /// The name of its cluster entry.
    pub cluster: String,
    /// The API server's address.
    pub server: String,
    /// The namespace it names, if any.
    pub namespace: Option<String>,
    /// What made the cluster.
    pub kind: Kind,
}

/// What made a cluster, with what is needed to reach its nodes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// A minikube profile.
    Minikube {
        /// The profile's name.
        profile: String,
    },
    /// A kind cluster.
    Kind {
        /// Its name, without the `kind-` of its context.
        name: String,
    },
    /// A k3d cluster.
    K3d {
        /// Its name, without the `k3d-` of its context.
        name: String,
    },
    /// A node on this machine whose containerd can be reached by its socket; said so by the
    /// extension `mwctl` of the cluster entry.
    Containerd {
        /// The socket of containerd.
        socket: String,
        /// The `ctr` program that fits this containerd.
        ctr: String,
    },
    /// A cluster that a process of `mwctl` serves; said so by the same extension.
    Embedded {
        /// The store from which its node takes images; `None` where it has no node that runs containers.
        images: Option<String>,
    },
    /// Docker Desktop's own Kubernetes.
    DockerDesktop,
    /// A colima machine.
    Colima {
        /// Its profile; `default` where none is named.
        profile: String,
    },
    /// `OrbStack`'s own Kubernetes.
    Orbstack,
    /// Rancher Desktop's own Kubernetes.
    RancherDesktop,
    /// k3s on this machine.
    K3s,
    /// `MicroK8s` on this machine.
    Microk8s,
    /// `OpenShift` Local.
    Crc,
    /// Somebody else's, most likely production.
    Remote {
        /// What says so.
        why: String,
    },
    /// Nothing was recognised.
    Unknown,
}

impl Kind {
    /// Whether the cluster is known to be this machine's own.
    pub fn is_local(&self) -> bool {
        !matches!(self, Self::Remote { .. } | Self::Unknown)
    }

    /// The name of the tool, for people.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Minikube { .. } => "minikube",
            Self::Kind { .. } => "kind",
            Self::K3d { .. } => "k3d",
            Self::Containerd { .. } => "containerd",
            Self::Embedded { .. } => "embedded",
            Self::DockerDesktop => "Docker Desktop",
            Self::Colima { .. } => "colima",
            Self::Orbstack => "OrbStack",
            Self::RancherDesktop => "Rancher Desktop",
            Self::K3s => "k3s",
            Self::Microk8s => "MicroK8s",
            Self::Crc => "OpenShift Local",
            Self::Remote { .. } => "remote",
            Self::Unknown => "unknown",
        }
    }
}
