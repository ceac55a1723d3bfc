//! How pods come onto a network, whichever it is.

mod routed;

pub use routed::Routed;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use mwctl_container::Runtime;
use tokio::net::{TcpSocket, TcpStream};

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

/// No network: each pod has its own loopback, and nobody else can be reached.
#[derive(Debug)]
pub struct LoopbackOnly {
    runtime: Runtime,
    pods: Mutex<HashMap<String, Arc<OwnedFd>>>,
}

impl LoopbackOnly {
    /// With namespaces that this runtime makes.
    pub fn new(runtime: Runtime) -> Self {
        Self {
            runtime,
            pods: Mutex::default(),
        }
    }

    fn known(&self, uid: &str) -> Option<Arc<OwnedFd>> {
        self.pods
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(uid)
            .cloned()
    }
}

#[async_trait]
impl PodNetworks for LoopbackOnly {
    async fn attach(&self, pod: &Pod) -> io::Result<Attachment> {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let namespace = if let Some(namespace) = self.known(&uid) {
            namespace
        } else {
            let made = self.runtime.share(true, false, None).await;
            let made = made.map_err(io::Error::other)?.network;
            let made = made.ok_or(io::ErrorKind::NotFound)?;
            let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
            pods.insert(uid, made.clone());
            made
        };
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        Ok(Attachment {
            namespace,
            address: None,
            resolv_conf: String::new(),
            hosts: format!("127.0.0.1\tlocalhost {name}\n"),
        })
    }

    async fn detach(&self, uid: &str) -> io::Result<()> {
        self.pods
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
        Ok(())
    }

    async fn connect(&self, uid: &str, port: u16, _: Through) -> io::Result<TcpStream> {
        let namespace = self.known(uid).ok_or(io::ErrorKind::NotConnected)?;
        let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK;
        let socket = self
            .runtime
            .socket(namespace, libc::AF_INET, kind, 0)
            .await
            .map_err(io::Error::other)?;
        let socket = TcpSocket::from_std_stream(socket.into());
        socket
            .connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            .await
    }

    fn node_address(&self) -> Ipv4Addr {
        Ipv4Addr::LOCALHOST
    }
}
