//! Which way images take into a cluster, and why.
//!
//! Decides from facts that were read elsewhere. Looking for a cluster's nodes, and carrying anything
//! there, is the engine's work.

mod registry;

pub use registry::{Advertised, BadPlace, Registry, Unread, is_loopback, read};

use serde::Serialize;

use crate::cluster::Kind;
use crate::minikube::Profile;

/// Where the cluster says which registry it reads: the ConfigMap, its namespace, its key. See KEP-1755.
pub const HOSTING: (&str, &str, &str) = (
    "kube-public",
    "local-registry-hosting",
    "localRegistryHosting.v1",
);

/// What is known when a way is chosen.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What kind of cluster it is.
    pub kind: &'a Kind,
    /// The minikube profile, where it is one.
    pub profile: Option<&'a Profile>,
    /// What the cluster says of its registry, as it is written there.
    pub advertised: Option<&'a str>,
    /// What the user said.
    pub asked: Option<&'a Asked>,
}

/// What a user says of registries, as in `--registry`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Asked {
    /// To push to this one.
    Push(Registry),
    /// To push to none, whatever the cluster says.
    None,
}

impl std::str::FromStr for Asked {
    type Err = BadPlace;

    /// Reads `HOST`, `HOST=HOST-ON-NODES` or `none`.
    fn from_str(text: &str) -> Result<Self, BadPlace> {
        if text == "none" {
            return Ok(Self::None);
        }
        let (host, on_nodes) = match text.split_once('=') {
            Some((host, on_nodes)) => (host, Some(on_nodes)),
            None => (text, None),
        };
        Registry::new(host, on_nodes, None).map(Self::Push)
    }
}

/// What was decided.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decision {
    /// The way, where there is one.
    pub choice: Result<Choice, NoWay>,
    /// What is wrong with what the cluster says of its registry, where that is why it isn't used.
    pub warning: Option<String>,
}

/// A way, and why it is the one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Choice {
    /// The way.
    pub way: Way,
    /// Why, as one sentence for people.
    pub why: String,
}

/// How images get into a cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Way {
    /// Its containers run from a store on this machine.
    Store {
        /// The folder.
        folder: String,
    },
    /// Each of these holds images, and is reached by a program.
    Nodes(Vec<Node>),
    /// The same, where the nodes are containers of the local docker that have to be looked for.
    Containers(Containers),
    /// The same by ssh, where a shell reads what follows a node's words. It isn't known yet whether ssh gets there; where it doesn't,
    /// the way is [`Way::MinikubeLoad`].
    Machines {
        /// The profile.
        profile: String,
        /// Its machines.
        nodes: Vec<Node>,
    },
    /// `minikube image load`, for machines that neither docker nor ssh can reach into.
    MinikubeLoad {
        /// The profile.
        profile: String,
    },
    /// A registry that this machine pushes to and the nodes pull from.
    Registry(Registry),
}

/// A place that holds images.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Node {
    /// Its name, for people.
    pub name: String,
    /// The program that reaches it, as `docker exec -i NODE ctr`.
    pub words: Vec<String>,
    /// What holds its images.
    pub runtime: Runtime,
}

/// What holds a node's images.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum Runtime {
    /// containerd, by its `ctr`.
    Containerd,
    /// dockerd, by `docker`.
    Docker,
}

/// Nodes that are containers of the local docker.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Containers {
    /// The cluster, for people.
    pub cluster: String,
    /// The label that all of its containers have, with its value.
    pub label: String,
    /// The label that says what a container is.
    pub role: &'static str,
    /// The roles of nodes; load balancers and registries are none.
    pub roles: &'static [&'static str],
}

/// No way is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NoWay {
    /// Nothing is known of how images get there.
    Unsupported {
        /// What kind of cluster it is.
        cluster: String,
        /// Where it says how to have a registry.
        help: Option<String>,
    },
    /// The cluster is an API only.
    NoContainers,
}

/// Chooses. A store that is mounted as it lies beats everything; then counts what the user said, then
/// what the cluster says, then what is known of its kind.
pub fn choose(facts: Facts<'_>) -> Decision {
    let choice = |way, why: &str| Decision {
        choice: Ok(Choice {
            way,
            why: why.to_owned(),
        }),
        warning: None,
    };
    if let Kind::Embedded {
        images: Some(folder),
    } = facts.kind
    {
        let way = Way::Store {
            folder: folder.clone(),
        };
        return choice(way, "its containers run from this machine's image store");
    }
    let advertised = match facts.asked {
        Some(Asked::Push(registry)) => {
            let way = Way::Registry(registry.clone());
            return choice(way, "`--registry` names it");
        }
        Some(Asked::None) => Ok(Advertised::default()),
        None => facts
            .advertised
            .map_or_else(|| Ok(Advertised::default()), read),
    };
    let (namespace, name, _) = HOSTING;
    let said = format!("the cluster's ConfigMap `{namespace}/{name}`");
    let (help, warning) = match advertised {
        Ok(Advertised {
            registry: Some(registry),
            ..
        }) => return choice(Way::Registry(registry), &format!("{said} names it")),
        Ok(Advertised { help, .. }) => (help, None),
        Err(unread) => (None, Some(format!("{said} is passed over: {unread}"))),
    };
    Decision {
        choice: own(facts, help),
        warning,
    }
}

/// The way that is known for a kind of cluster, without a registry.
fn own(facts: Facts<'_>, help: Option<String>) -> Result<Choice, NoWay> {
    let node = |name: &str, runtime: Runtime, words: &[&str]| {
        Way::Nodes(vec![Node {
            name: name.to_owned(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            runtime,
        }])
    };
    let docker = |name: &str, words: &[&str]| node(name, Runtime::Docker, words);
    let unsupported = |cluster: &str| NoWay::Unsupported {
        cluster: cluster.to_owned(),
        help,
    };
    let way = match facts.kind {
        Kind::Containerd { socket, ctr } => node(
            &format!("containerd at {socket}"),
            Runtime::Containerd,
            &[ctr, "-a", socket],
        ),
        Kind::K3s => node("k3s", Runtime::Containerd, &["k3s", "ctr"]),
        Kind::Kind { name } => Way::Containers(Containers {
            cluster: format!("kind cluster `{name}`"),
            label: format!("io.x-k8s.kind.cluster={name}"),
            role: "io.x-k8s.kind.role",
            roles: &["control-plane", "worker"],
        }),
        Kind::K3d { name } => Way::Containers(Containers {
            cluster: format!("k3d cluster `{name}`"),
            label: format!("k3d.cluster={name}"),
            role: "k3d.role",
            roles: &["server", "agent"],
        }),
        Kind::Minikube { profile } => minikube(profile, facts.profile),
        Kind::DockerDesktop => docker("Docker Desktop", &["docker"]),
        Kind::Orbstack => docker("OrbStack", &["docker", "--context", "orbstack"]),
        Kind::RancherDesktop => docker(
            "Rancher Desktop",
            &["docker", "--context", "rancher-desktop"],
        ),
        Kind::Colima { profile } => {
            let context = if profile == "default" {
                "colima".to_owned()
            } else {
                format!("colima-{profile}")
            };
            docker("colima", &["docker", "--context", &context])
        }
        Kind::Embedded { .. } => return Err(NoWay::NoContainers),
        Kind::Microk8s | Kind::Crc => return Err(unsupported(facts.kind.label())),
        Kind::Remote { .. } | Kind::Unknown => return Err(unsupported("this cluster")),
    };
    let kind = facts.kind.label();
    Ok(Choice {
        way,
        why: format!("that is how images get into {kind}"),
    })
}

fn minikube(name: &str, profile: Option<&Profile>) -> Way {
    let whole = Way::MinikubeLoad {
        profile: name.to_owned(),
    };
    let Some(profile) = profile else {
        return whole;
    };
    let (runtime, program) = match profile.runtime.as_str() {
        "containerd" => (Runtime::Containerd, "ctr"),
        "docker" => (Runtime::Docker, "docker"),
        // CRI-O, which takes nothing but whole images.
        _ => return whole,
    };
    let node = |name: &str, mut words: Vec<String>| {
        words.push(program.to_owned());
        Node {
            name: name.to_owned(),
            words,
            runtime,
        }
    };
    if profile.in_docker() {
        let nodes = profile.machines.iter().map(|machine| {
            let words = ["docker", "exec", "-i", machine];
            node(machine, words.map(str::to_owned).into())
        });
        return Way::Nodes(nodes.collect());
    }
    if profile.by_ssh.is_empty() {
        return whole;
    }
    // Who comes is rarely root, and never asked for a password.
    let sudo = || ["sudo", "-n"].map(str::to_owned);
    let nodes = profile.by_ssh.iter().map(|machine| {
        let words = machine.ssh().into_iter().chain(sudo());
        node(&machine.name, words.collect())
    });
    Way::Machines {
        profile: name.to_owned(),
        nodes: nodes.collect(),
    }
}

#[cfg(test)]
mod tests;
