//! The node of an embedded cluster: it composes containers, images, pods' network and the API's way to all of them.
//!
//! What a pod needs is decided in `mwctl-node`; this is where a node of this machine is put together from its parts.

mod backend;
mod images;

use std::io;
use std::net::{IpAddr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::Arc;

use mwctl_apiserver::backend::Registration;
use mwctl_apiserver::server::{Endpoint, Server};
use mwctl_container::{Runtime, StartError as RuntimeError};
use mwctl_image::{Credentials, Owners, Store, StoreError};
use mwctl_node::attachment::Routed;
use mwctl_node::network::{Config, Network, NetworkError, watch};
use mwctl_node::{Node, Options};

use self::backend::NodeBackend;
use self::images::StoreImages;

/// Where pods find the API: the service `kubernetes`.
const API_SERVICE: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::new(10, 96, 0, 1), 443);

/// What a node needs of this machine.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// The store of images.
    pub images: PathBuf,
    /// Files of the form of docker's `config.json`, which know the accounts of registries.
    pub accounts: Vec<PathBuf>,
    /// Folders below which pods may mount files of this machine.
    pub mountable: Vec<PathBuf>,
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
    runtime: Runtime,
}

impl Running {
    /// Ends all containers, and is back when nothing of them runs.
    pub(super) async fn stop(self) {
        let runtime = self.runtime.clone();
        drop(self);
        runtime.stop().await;
    }
}

/// Starts a node called `name` in the cluster of this server, with the logs of its pods in a folder.
pub(super) async fn start(
    server: &Server,
    endpoint: &Endpoint,
    name: &str,
    logs: PathBuf,
    options: NodeOptions,
) -> Result<Running, NodeError> {
    std::fs::create_dir_all(&logs).map_err(NodeError::Logs)?;
    let client = server.client();
    let runtime = Runtime::start(mwctl_container::Options::default()).await?;
    let IpAddr::V4(address) = endpoint.address().ip() else {
        // The server listens on 127.0.0.1 alone.
        return Err(NodeError::Logs(io::ErrorKind::AddrNotAvailable.into()));
    };
    let config = Config {
        api_server: Some((
            API_SERVICE,
            SocketAddrV4::new(address, endpoint.address().port()),
        )),
        ..Config::default()
    };
    let network = Network::start(config, watch::cluster(&client)).await?;
    let store = Store::open(&options.images, Owners::of_process())?;
    let node = Node::start(
        client,
        runtime.clone(),
        Arc::new(StoreImages::new(store, Credentials::new(options.accounts))),
        Arc::new(Routed::new(network, runtime.clone())),
        Options {
            name: name.to_owned(),
            logs,
            mountable: options.mountable,
        },
    )
    .await?;
    let backend = Arc::new(NodeBackend::new(node.streams()));
    let registration = server.api().backends().register(name, backend);
    Ok(Running {
        _registration: registration,
        _node: node,
        runtime,
    })
}
