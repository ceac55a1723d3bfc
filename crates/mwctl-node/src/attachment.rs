//! How pods come onto a network, whichever it is.

mod routed;

pub use routed::Routed;

use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use tokio::net::TcpStream;

/// A network for pods.
#[async_trait]
pub trait PodNetworks: fmt::Debug + Send + Sync {
    /// Puts a pod onto it. Asked again for the same pod, it is the same place.
    async fn attach(&self, pod: &Pod) -> io::Result<Attachment>;

    /// Takes a pod off. One that isn't there is no error.
    async fn detach(&self, uid: &str) -> io::Result<()>;

    /// Connects to a port of a pod.
    async fn connect(&self, uid: &str, port: u16, through: Through) -> io::Result<TcpStream>;

    /// The address of the node.
    fn node_address(&self) -> Ipv4Addr;
}

/// By which of its addresses a pod is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    /// Its own loopback, as forwarded ports do.
    Loopback,
    /// The address that others have of it, as probes do.
    Address,
    /// Not it at all: another pod or a service, as the node reaches it. A hook may name one.
    Node(Ipv4Addr),
}

/// A pod's place on a network.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// Its network namespace.
    pub namespace: Arc<OwnedFd>,
    /// Its address, if it has one that others reach.
    pub address: Option<Ipv4Addr>,
    /// Its `resolv.conf`.
    pub resolv_conf: String,
    /// Its `hosts`.
    pub hosts: String,
}
