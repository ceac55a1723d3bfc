//! Which places hold a cluster's images, by the kind of cluster.

use std::sync::Arc;
use std::time::Duration;

use mwctl_core::cluster::Kind;
use mwctl_core::minikube::Profile;

use super::{Containerd, DeliveryError, Docker, ImageDelivery, LocalStore, MinikubeLoad};
use crate::command::{Command, CommandRunner, ignore_lines};

type Targets = Vec<Arc<dyn ImageDelivery>>;

pub(super) async fn find(
    kind: &Kind,
    profile: Option<&Profile>,
    runner: Arc<dyn CommandRunner>,
) -> Result<Targets, DeliveryError> {
    let docker = |name: &str, words: &[&str]| -> Targets {
        vec![Arc::new(Docker::new(
            name,
            words.iter().copied(),
            runner.clone(),
        ))]
    };
    match kind {
        Kind::Containerd { socket, ctr } => Ok(vec![Arc::new(Containerd::new(
            format!("containerd at {socket}"),
            [ctr.as_str(), "-a", socket],
            runner,
        ))]),
        Kind::K3s => Ok(vec![Arc::new(Containerd::new(
            "k3s",
            ["k3s", "ctr"],
            runner,
        ))]),
        Kind::Kind { name } => {
            let labels = Labels {
                cluster: format!("io.x-k8s.kind.cluster={name}"),
                role: "io.x-k8s.kind.role",
                roles: &["control-plane", "worker"],
            };
            in_containers(&format!("kind cluster `{name}`"), &labels, runner).await
        }
        Kind::K3d { name } => {
            let labels = Labels {
                cluster: format!("k3d.cluster={name}"),
                role: "k3d.role",
                roles: &["server", "agent"],
            };
            in_containers(&format!("k3d cluster `{name}`"), &labels, runner).await
        }
        Kind::Minikube { profile: name } => Ok(minikube(name, profile, runner)),
        Kind::DockerDesktop => Ok(docker("Docker Desktop", &["docker"])),
        Kind::Orbstack => Ok(docker("OrbStack", &["docker", "--context", "orbstack"])),
        Kind::RancherDesktop => Ok(docker(
            "Rancher Desktop",
            &["docker", "--context", "rancher-desktop"],
        )),
        Kind::Colima { profile } => {
            let context = if profile == "default" {
                "colima".to_owned()
            } else {
                format!("colima-{profile}")
            };
            Ok(docker("colima", &["docker", "--context", &context]))
        }
        Kind::Embedded { images: None } => Err(DeliveryError::NoContainers),
        Kind::Embedded {
            images: Some(folder),
        } => Ok(vec![Arc::new(LocalStore::new(folder.into()))]),
        Kind::Microk8s | Kind::Crc | Kind::Remote { .. } | Kind::Unknown => {
            Err(DeliveryError::Unsupported {
                cluster: match kind {
                    Kind::Microk8s | Kind::Crc => kind.label().to_owned(),
                    _ => "this cluster".to_owned(),
                },
            })
        }
    }
}

fn minikube(name: &str, profile: Option<&Profile>, runner: Arc<dyn CommandRunner>) -> Targets {
    let in_docker = profile.filter(|profile| profile.in_docker());
    let machines = |words: &'static str| {
        let profile = in_docker.into_iter().flat_map(|profile| &profile.machines);
        profile.map(move |machine| {
            (
                machine.clone(),
                ["docker", "exec", "-i", machine, words].map(str::to_owned),
            )
        })
    };
    match in_docker.map(|profile| profile.runtime.as_str()) {
        Some("containerd") => machines("ctr")
            .map(|(name, words)| {
                let node = Containerd::new(name, words, runner.clone());
                Arc::new(node) as Arc<dyn ImageDelivery>
            })
            .collect(),
        Some("docker") => machines("docker")
            .map(|(name, words)| {
                let node = Docker::new(name, words, runner.clone());
                Arc::new(node) as Arc<dyn ImageDelivery>
            })
            .collect(),
        // CRI-O, and machines that aren't containers of this docker.
        _ => vec![Arc::new(MinikubeLoad::new(name, runner))],
    }
}

struct Labels {
    cluster: String,
    role: &'static str,
    roles: &'static [&'static str],
}

/// Nodes that are containers of the local docker; load balancers and registries are none.
async fn in_containers(
    cluster: &str,
    labels: &Labels,
    runner: Arc<dyn CommandRunner>,
) -> Result<Targets, DeliveryError> {
    let filter = format!("label={}", labels.cluster);
    let format = format!("{{{{.Names}}}} {{{{.Label \"{}\"}}}}", labels.role);
    let listed = Command::new(["docker", "ps", "--filter", &filter, "--format", &format])
        .timeout(Duration::from_secs(20))
        .succeed(runner.as_ref(), &ignore_lines)
        .await
        .map_err(|source| DeliveryError::Command {
            node: cluster.to_owned(),
            source,
        })?
        .text();
    let nodes = listed.lines().filter_map(|line| {
        let (name, role) = line.split_once(' ')?;
        labels.roles.contains(&role.trim()).then_some(name)
    });
    let targets: Targets = nodes
        .map(|name| {
            let words = ["docker", "exec", "-i", name, "ctr"];
            Arc::new(Containerd::new(name, words, runner.clone())) as Arc<dyn ImageDelivery>
        })
        .collect();
    if targets.is_empty() {
        return Err(DeliveryError::NoNodes {
            cluster: cluster.to_owned(),
        });
    }
    Ok(targets)
}
