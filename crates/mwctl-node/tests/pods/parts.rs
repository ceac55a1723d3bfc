//! The least that a node is put together from: images that are this machine, and pods that are alone on their loopback.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use mwctl_container::Runtime;
use mwctl_node::attachment::{Attachment, PodNetworks, Through};
use mwctl_node::images::{Image, ImageConfig, ImageError, Images, Kept};
use tokio::net::{TcpSocket, TcpStream};

/// The image of this machine's own programs, alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostImage;

#[async_trait]
impl Images for HostImage {
    async fn find(&self, reference: &str) -> Result<Option<Image>, ImageError> {
        if reference != "mwctl.local/host" {
            return Ok(None);
        }
        let (root, mounts) = mwctl_container::host::root();
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        Ok(Some(Image {
            id: reference.to_owned(),
            root,
            mounts,
            config: ImageConfig {
                command: vec!["/bin/sh".to_owned()],
                environment: vec![path.to_owned()],
                ..ImageConfig::default()
            },
            kept: Kept::default(),
        }))
    }

    async fn pull(&self, reference: &str) -> Result<Image, ImageError> {
        self.find(reference).await?.ok_or_else(|| ImageError {
            reason: "ErrImagePull",
            message: format!("{reference}: this node has no image but one"),
        })
    }
}

/// No network: each pod has its own loopback, and nobody else can be reached.
#[derive(Debug)]
pub(crate) struct LoopbackOnly {
    runtime: Runtime,
    pods: Mutex<HashMap<String, Arc<OwnedFd>>>,
}

impl LoopbackOnly {
    /// With namespaces that this runtime makes.
    pub(crate) fn new(runtime: Runtime) -> Self {
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
