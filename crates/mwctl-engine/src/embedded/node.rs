//! The node of an embedded cluster: it composes containers, images, pods' network and the API's way to all of them.
//!
//! What a pod needs is decided in `mwctl-node`; this is where a node of this machine is put together from its parts.

mod backend;
mod images;
mod readers;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use mwctl_apiserver::backend::Registration;
use mwctl_apiserver::server::{Endpoint, Server};
use mwctl_container::{Runtime, StartError as RuntimeError};
use mwctl_image::{Credentials, Owners, Store, StoreError};
use mwctl_node::attachment::Routed;
use mwctl_node::network::loopback::Loopback;
use mwctl_node::network::{Config, Network, NetworkError, watch};
use mwctl_node::{Node, Options};
use tokio::task::JoinSet;

use self::backend::NodeBackend;
use self::images::StoreImages;
use crate::kube::host_access;

/// Where pods find the API: the service `kubernetes`.
const API_SERVICE: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::new(10, 96, 0, 1), 443);

/// How long the names of other clusters' servers are looked up. Whoever is offline doesn't wait for them.
const TO_LOOK_UP: Duration = Duration::from_millis(300);

/// What a node needs of this machine.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// The store of images.
    pub images: PathBuf,
    /// Files of the form of docker's `config.json`, which know the accounts of registries.
    pub accounts: Vec<PathBuf>,
    /// Folders below which pods may mount files of this machine.
    pub mountable: Vec<PathBuf>,
    /// Ports of this machine that pods may reach, by the names by which they were allowed.
    pub host_ports: BTreeMap<String, u16>,
    /// A folder of symbolic links to the checkouts that pods may mount, which may come and go.
    pub checkouts: Option<PathBuf>,
    /// Hosts and ports that pods must not reach: the servers of other clusters.
    pub refused: Vec<(String, u16)>,
}

/// A node can't be had.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Containers can't be run.
    #[error("this machine doesn't run containers; `mwctl doctor` tells what it lacks")]
    Containers(#[from] RuntimeError),
    /// The store of images can't be used.
    #[error("the node has no images")]
    Images(#[from] StoreError),
    /// There is no network for pods.
    #[error("the node has no network for pods")]
    Network(#[from] NetworkError),
    /// The cluster doesn't take it.
    #[error("the node can't join its cluster")]
    Join(#[from] mwctl_node::StartError),
    /// The folder of its logs can't be made.
    #[error("the node can't write logs")]
    Logs(#[source] io::Error),
}

/// A node that runs. Dropping it ends its pods.
#[derive(Debug)]
pub(super) struct Running {
    // In this order: nobody is sent to a node that is no more.
    _registration: Registration,
    _node: Node,
    _tasks: JoinSet<()>,
    // The addresses are this node's for as long as it may listen.
    _loopback: Option<Loopback>,
    runtime: Runtime,
}

impl Running {
    /// Is back when all containers have ended at once, whoever did that.
    pub(super) async fn lost(&self) {
        self.runtime.ended().await;
    }

    /// Ends all containers, and is back when nothing of them runs.
    pub(super) async fn stop(self) {
        let runtime = self.runtime.clone();
        drop(self);
        runtime.stop().await;
    }
}

/// Starts a node called `name` in the cluster of this server, whose folder gets the logs of its pods.
pub(super) async fn start(
    server: &Server,
    endpoint: &Endpoint,
    name: &str,
    folder: &Path,
    options: NodeOptions,
) -> Result<Running, NodeError> {
    let logs = folder.join("logs");
    std::fs::create_dir_all(&logs).map_err(NodeError::Logs)?;
    let client = server.client();
    let (runtime, refused) = tokio::join!(
        Runtime::start(mwctl_container::Options::default()),
        look_up(&options.refused, TO_LOOK_UP)
    );
    let runtime = runtime?;
    let loopback = Loopback::take(&folder.to_string_lossy());
    let loopback = loopback
        .inspect_err(|error| tracing::warn!(%error, "services can't be reached from this machine"))
        .ok();
    let IpAddr::V4(address) = endpoint.address().ip() else {
        // The server listens on 127.0.0.1 alone.
        return Err(NodeError::Logs(io::ErrorKind::AddrNotAvailable.into()));
    };
    let config = Config {
        api_server: Some((
            API_SERVICE,
            SocketAddrV4::new(address, endpoint.address().port()),
        )),
        refused,
        host_ports: options.host_ports,
        host_access: loopback.as_ref().map(Loopback::network),
        ..Config::default()
    };
    let network = Network::start(config, watch::cluster(&client)).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(readers::admit(client.clone()));
    if loopback.is_some() {
        tasks.spawn(host_access::tell(client.clone(), network.host_addresses()));
    }
    let store = Store::open(&options.images, Owners::of_process())?;
    let written = written::may_lie_in(folder, &runtime).then(|| folder.join("written"));
    let node = Node::start(
        client,
        runtime.clone(),
        Arc::new(StoreImages::new(store, Credentials::new(options.accounts))),
        Arc::new(Routed::new(network, runtime.clone())),
        Options {
            name: name.to_owned(),
            logs,
            mountable: options.mountable,
            checkouts: options.checkouts,
            empty: folder.join("empty"),
            written,
        },
    )
    .await?;
    let backend = Arc::new(NodeBackend::new(node.streams(), node.meter()));
    let registration = server.api().backends().register(name, backend);
    Ok(Running {
        _registration: registration,
        _node: node,
        _tasks: tasks,
        _loopback: loopback,
        runtime,
    })
}

/// The addresses behind names. A name that isn't known in time has none.
async fn look_up(places: &[(String, u16)], limit: Duration) -> BTreeSet<SocketAddrV4> {
    let found = join_all(places.iter().map(|(host, port)| async move {
        let looked_up = tokio::net::lookup_host((host.as_str(), *port));
        let found = tokio::time::timeout(limit, looked_up).await;
        let found = found.into_iter().flatten().flatten();
        let found = found.filter_map(|address| match address {
            SocketAddr::V4(address) => Some(address),
            SocketAddr::V6(_) => None,
        });
        found.collect::<Vec<_>>()
    }));
    found.await.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn servers_are_known_by_name_and_by_number() {
        let places = [
            ("192.168.49.2".to_owned(), 8443),
            ("localhost".to_owned(), 6443),
            ("no such name".to_owned(), 443),
        ];
        let expected: [SocketAddrV4; 2] = [
            "127.0.0.1:6443".parse().unwrap(),
            "192.168.49.2:8443".parse().unwrap(),
        ];
        let found = look_up(&places, Duration::from_mins(1)).await;
        assert_eq!(found, BTreeSet::from(expected));
    }
}
