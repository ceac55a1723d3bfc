//! The network of this crate, for pods.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use mwctl_container::Runtime;
use tokio::net::TcpStream;

use super::{Attachment, PodNetworks, Through};
use crate::network::pod_files::{self, Resolvers};
use crate::network::{Network, NetworkError};

/// A node's network for the containers of a runtime.
#[derive(Debug)]
pub struct Routed {
    network: Network,
    runtime: Runtime,
}

impl Routed {
    /// Namespaces are made by the runtime: containers can enter those of their own user namespace alone.
    pub fn new(network: Network, runtime: Runtime) -> Self {
        Self { network, runtime }
    }
}

#[async_trait]
impl PodNetworks for Routed {
    async fn attach(&self, pod: &Pod) -> io::Result<Attachment> {
        let config = self.network.config();
        // A machine that names no resolvers has pods that ask the cluster alone.
        let host = tokio::fs::read_to_string(&config.resolvers).await;
        let host = Resolvers::parse(&host.unwrap_or_default());
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let given = if self.network.address(uid).is_some() {
            None
        } else {
            let made = self.runtime.share(true, false, None).await;
            let made = made.map_err(io::Error::other)?.network;
            Some(made.ok_or(io::ErrorKind::NotFound)?.try_clone()?)
        };
        let place = self.network.add(pod, given).await.map_err(failed)?;
        let domain = &config.cluster_domain;
        Ok(Attachment {
            namespace: Arc::new(place.namespace),
            address: Some(place.address),
            resolv_conf: pod_files::resolv_conf(pod, config.cluster_dns, domain, &host),
            hosts: pod_files::hosts(pod, place.address, domain),
        })
    }

    async fn detach(&self, uid: &str) -> io::Result<()> {
        self.network.remove(uid).await.map_err(failed)
    }

    async fn connect(&self, uid: &str, port: u16, through: Through) -> io::Result<TcpStream> {
        let connected = match through {
            Through::Loopback => self.network.connect_within(uid, port).await,
            Through::Node(address) => {
                let to = SocketAddrV4::new(address, port);
                self.network.connect(to).await
            }
            Through::Address => match self.network.address(uid) {
                Some(address) => self.network.connect(SocketAddrV4::new(address, port)).await,
                None => Err(NetworkError::Unknown(uid.to_owned())),
            },
        };
        connected.map_err(failed)
    }

    fn node_address(&self) -> Ipv4Addr {
        self.network.config().node()
    }
}

/// The cause's kind stays: a probe tells a refused connection from one that timed out.
fn failed(error: NetworkError) -> io::Error {
    match error {
        NetworkError::Connect { source, .. } => io::Error::new(source.kind(), source),
        other => io::Error::other(other),
    }
}
