//! A cluster's API as a thing that runs: in this process without a socket ([`Server::client`]), and over TLS for others ([`Server::listen`]).

mod certificate;
mod connection;
mod kubeconfig;

use crate::kinds;
use crate::registry::Registry;
use crate::serving::Api;
use crate::status::Status;
use crate::storage::{OpenStore, Store};
use certificate::Certificate;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(crate) use connection::serve;
pub use kubeconfig::Kubeconfig;

/// A cluster's API. A clone is the same one.
#[derive(Debug, Clone)]
pub struct Server {
    api: Arc<Api>,
    /// Made when it is first asked for.
    certificate: Arc<OnceLock<Certificate>>,
}

/// A socket that the API is served on, until this is dropped.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    kubeconfig: Kubeconfig,
    /// Accepts connections and owns them; ended with this.
    _tasks: JoinSet<()>,
}

/// A folder that no cluster can be served of.
#[derive(Debug, thiserror::Error)]
pub enum OpenServer {
    /// Its objects cannot be had.
    #[error("cannot read the cluster's objects")]
    Store(#[from] OpenStore),
    /// They are not those of a cluster.
    #[error("the cluster's objects are no cluster")]
    Api(#[from] Status),
}

impl Server {
    /// The API of an empty cluster of the built-in kinds.
    pub fn new() -> Result<Self, Status> {
        let registry = Registry::new(kinds::builtin())?;
        Ok(Self {
            api: Arc::new(Api::new(registry)?),
            certificate: Arc::default(),
        })
    }

    /// The API of the cluster that is kept in a folder, as the last server left it; a new one where there is none. Every change is in the
    /// folder before it is answered.
    pub fn open(folder: &Path) -> Result<Self, OpenServer> {
        let store = Store::open(folder)?;
        let registry = Registry::of(kinds::builtin(), store)?;
        Ok(Self {
            api: Arc::new(Api::new(registry)?),
            certificate: Arc::default(),
        })
    }

    /// What answers requests.
    pub fn api(&self) -> &Arc<Api> {
        &self.api
    }

    /// The authority that signed the certificate of every socket of this server, as PEM.
    pub fn authority(&self) -> io::Result<&str> {
        Ok(&self.certificate()?.authority)
    }

    fn certificate(&self) -> io::Result<&Certificate> {
        if let Some(made) = self.certificate.get() {
            return Ok(made);
        }
        let made = Certificate::new().map_err(io::Error::other)?;
        // Whoever asked at the same time may have been faster; then that one is it.
        Ok(self.certificate.get_or_init(|| made))
    }

    /// Serves on a port of this machine's own network, which nobody else reaches; 0 is any free one.
    pub async fn listen(&self, port: u16) -> io::Result<Endpoint> {
        let certificate = self.certificate()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let kubeconfig = Kubeconfig {
            server: format!("https://{address}"),
            authority: certificate.authority.clone(),
            token: self.api.admin_token().to_owned(),
            images: None,
        };
        let tls = certificate.acceptor().map_err(io::Error::other)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(connection::accept(listener, tls, self.api.clone()));
        Ok(Endpoint {
            address,
            kubeconfig,
            _tasks: tasks,
        })
    }
}

impl Endpoint {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client needs to know.
    pub fn kubeconfig(&self) -> &Kubeconfig {
        &self.kubeconfig
    }
}
