//! Finds the places of a way that was chosen: nodes that have to be looked for, and registries that are this machine.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mwctl_core::delivery::{Choice, Containers, Node, Runtime, Way, is_loopback};
use mwctl_image::{Credentials, Registry};

use super::{
    ByRegistry, Containerd, Delivery, DeliveryError, Docker, ImageDelivery, LocalStore,
    MinikubeLoad, machines,
};
use crate::command::{Command, CommandRunner, ignore_lines};

type Targets = Vec<Arc<dyn ImageDelivery>>;

/// How long the name of a registry may take to be looked up.
const LOOK_UP: Duration = Duration::from_secs(2);

pub(super) async fn find(
    choice: Choice,
    runner: Arc<dyn CommandRunner>,
    accounts: &Credentials,
) -> Result<Delivery, DeliveryError> {
    let Choice { way, why } = choice;
    let (mut names, mut warning) = (None, None);
    let targets: Targets = match way {
        Way::Store { folder } => vec![Arc::new(LocalStore::new(folder.into()))],
        Way::Nodes(nodes) => nodes.into_iter().map(|it| node(it, &runner)).collect(),
        Way::Containers(containers) => in_containers(&containers, &runner).await?,
        Way::Machines { profile, nodes } => match machines::reach(nodes, &runner).await {
            Ok(targets) => targets,
            Err(unreached) => {
                warning = Some(unreached.in_words(&profile));
                vec![Arc::new(MinikubeLoad::new(profile, runner))]
            }
        },
        Way::MinikubeLoad { profile } => vec![Arc::new(MinikubeLoad::new(profile, runner))],
        Way::Registry(registry) => {
            let address = registry.address().to_owned();
            let plain = if is_here(&address).await {
                vec![address]
            } else {
                Vec::new()
            };
            let client = Registry::new(plain, accounts.clone());
            names = Some(registry.clone());
            vec![Arc::new(ByRegistry::new(registry, client, why.clone()))]
        }
    };
    Ok(Delivery {
        targets,
        registry: names,
        why: Some(why),
        warning,
    })
}

fn node(node: Node, runner: &Arc<dyn CommandRunner>) -> Arc<dyn ImageDelivery> {
    let Node {
        name,
        words,
        runtime,
    } = node;
    match runtime {
        Runtime::Containerd => Arc::new(Containerd::new(name, words, runner.clone())),
        Runtime::Docker => Arc::new(Docker::new(name, words, runner.clone())),
    }
}

/// Nodes that are containers of the local docker; load balancers and registries are none.
async fn in_containers(
    containers: &Containers,
    runner: &Arc<dyn CommandRunner>,
) -> Result<Targets, DeliveryError> {
    let Containers {
        cluster,
        label,
        role,
        roles,
    } = containers;
    let filter = format!("label={label}");
    let format = format!("{{{{.Names}}}} {{{{.Label \"{role}\"}}}}");
    let listed = Command::new(["docker", "ps", "--filter", &filter, "--format", &format])
        .timeout(Duration::from_secs(20))
        .succeed(runner.as_ref(), &ignore_lines)
        .await
        .map_err(|source| DeliveryError::Command {
            node: cluster.clone(),
            source,
        })?
        .text();
    let nodes = listed.lines().filter_map(|line| {
        let (name, role) = line.split_once(' ')?;
        roles.contains(&role.trim()).then_some(name)
    });
    let targets: Targets = nodes
        .map(|name| {
            let words = ["docker", "exec", "-i", name, "ctr"];
            Arc::new(Containerd::new(name, words, runner.clone())) as Arc<dyn ImageDelivery>
        })
        .collect();
    if targets.is_empty() {
        let cluster = cluster.clone();
        return Err(DeliveryError::NoNodes { cluster });
    }
    Ok(targets)
}

/// Whether a registry is this machine itself, also by a name that leads here, as those in `/etc/hosts` do.
async fn is_here(address: &str) -> bool {
    if is_loopback(address) {
        return true;
    }
    let with_port = if address.contains(':') {
        address.to_owned()
    } else {
        format!("{address}:443")
    };
    let looked_up = tokio::time::timeout(LOOK_UP, tokio::net::lookup_host(with_port)).await;
    let Ok(Ok(found)) = looked_up else {
        return false;
    };
    let found: Vec<IpAddr> = found.map(|it| it.ip()).collect();
    !found.is_empty() && found.iter().all(IpAddr::is_loopback)
}
