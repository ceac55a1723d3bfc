//! What made a cluster, from what its kubeconfig entries say.
//!
//! The order matters: an extension written by the tool itself is proof, a name is a convention of
//! the tool, and a name counts only on an address that isn't public.

use std::path::Path;

use super::Kind;
use super::address::is_public;

/// Everything about one context that detection looks at.
pub(super) struct Traits<'a> {
    pub(super) context: &'a str,
    pub(super) cluster: &'a str,
    pub(super) server: &'a str,
    /// The value of `provider` in the cluster's or context's minikube extension.
    pub(super) provider: Option<&'a str>,
    /// The cluster's extension `mwctl`.
    pub(super) own: Option<&'a serde_json::Value>,
    pub(super) authority: Option<&'a Path>,
    /// The kubeconfig that holds the cluster entry.
    pub(super) file: &'a Path,
    pub(super) minikube_home: Option<&'a Path>,
    pub(super) is_profile: bool,
}

const MINIKUBE: &str = "minikube.sigs.k8s.io";

pub(super) fn detect(traits: &Traits<'_>) -> Kind {
    if let Some(kind) = by_own_extension(traits) {
        return kind;
    }
    let authority_is_minikubes = match (traits.authority, traits.minikube_home) {
        (Some(authority), Some(home)) => authority.starts_with(home),
        _ => false,
    };
    if traits.provider == Some(MINIKUBE) || authority_is_minikubes {
        return Kind::Minikube {
            profile: traits.cluster.to_owned(),
        };
    }
    if let Some(why) = remote_name(traits) {
        return Kind::Remote { why };
    }
    let Some(kind) = by_name(traits) else {
        return without_name(traits);
    };
    if is_public(traits.server) {
        return Kind::Remote {
            why: format!(
                "it is called like a {} cluster, but its server {} is public",
                kind.label(),
                traits.server
            ),
        };
    }
    kind
}

fn by_own_extension(traits: &Traits<'_>) -> Option<Kind> {
    let own = traits.own?;
    let text = |key: &str| own.get(key).and_then(serde_json::Value::as_str);
    match text("provider")? {
        "containerd" => Some(Kind::Containerd {
            socket: text("socket")?.to_owned(),
            ctr: text("ctr").unwrap_or("ctr").to_owned(),
        }),
        "embedded" => Some(Kind::Embedded {
            images: text("images").map(str::to_owned),
        }),
        _ => None,
    }
}

fn by_name(traits: &Traits<'_>) -> Option<Kind> {
    let cluster = traits.cluster;
    let after = |prefix: &str| cluster.strip_prefix(prefix).map(str::to_owned);
    if let Some(name) = after("kind-") {
        return Some(Kind::Kind { name });
    }
    if let Some(name) = after("k3d-") {
        return Some(Kind::K3d { name });
    }
    match cluster {
        "docker-desktop" | "docker-for-desktop-cluster" => return Some(Kind::DockerDesktop),
        "orbstack" => return Some(Kind::Orbstack),
        "rancher-desktop" => return Some(Kind::RancherDesktop),
        "colima" => {
            return Some(Kind::Colima {
                profile: "default".to_owned(),
            });
        }
        "microk8s-cluster" | "microk8s" => return Some(Kind::Microk8s),
        "api-crc-testing:6443" | "api-crc-testing" | "crc" => return Some(Kind::Crc),
        _ => {}
    }
    if let Some(profile) = after("colima-") {
        return Some(Kind::Colima { profile });
    }
    if traits.file.starts_with("/etc/rancher/k3s") {
        return Some(Kind::K3s);
    }
    traits.is_profile.then(|| Kind::Minikube {
        profile: cluster.to_owned(),
    })
}

fn remote_name(traits: &Traits<'_>) -> Option<String> {
    for name in [traits.context, traits.cluster] {
        for (mark, owner) in [
            ("gke_", "Google Kubernetes Engine"),
            ("arn:aws:eks:", "Amazon EKS"),
            ("arn:aws-cn:eks:", "Amazon EKS"),
            ("arn:aws-us-gov:eks:", "Amazon EKS"),
            ("do-", "DigitalOcean"),
        ] {
            if name.starts_with(mark) {
                return Some(format!("its name `{name}` is {owner}'s"));
            }
        }
        if name.ends_with(".eksctl.io") {
            return Some(format!("its name `{name}` is Amazon EKS's"));
        }
    }
    None
}

fn without_name(traits: &Traits<'_>) -> Kind {
    for name in [traits.context, traits.cluster] {
        let lower = name.to_ascii_lowercase();
        let production = lower
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| matches!(word, "prod" | "production" | "prd" | "live"));
        if production {
            return Kind::Remote {
                why: format!("its name `{name}` speaks of production"),
            };
        }
    }
    if is_public(traits.server) {
        return Kind::Remote {
            why: format!("its server {} is public", traits.server),
        };
    }
    Kind::Unknown
}
