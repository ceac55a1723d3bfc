//! The network of a node: pods with addresses of their own, services, names, policies and the way out, all in a namespace of its own.
//!
//! ```text
//! cluster ──watch──→ cluster::Cluster ──→ observed::Observed ──→ view::View ─┬─→ ruleset::Ruleset ──kernel──→ packet filter
//!                                        policy, frontend, dns::zone ┘       ├─→ dns::server   names
//!                                                                            ├─→ relay         the way out
//!                                                                            └─→ host_access   the way in from this machine
//! ```
//!
//! Everything up to the ruleset is pure. Effects happen in one namespace that this process makes, so the host's interfaces, rules and
//! settings are never touched, and nothing is left when the process ends, however it ends. It works as root and as an ordinary user in a
//! user namespace. IPv4 only; TCP alone goes out. Why it is so: `docs/design/0005-node-network.md`.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::Pod;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{mpsc, oneshot, watch as channel};
use tokio::task::JoinSet;

pub mod address;
mod closing;
pub mod cluster;
mod conductor;
pub mod config;
mod connections;
mod dns;
pub mod frontend;
mod host;
mod host_access;
mod kernel;
mod links;
pub mod loopback;
mod namespace;
mod netlink;
pub mod observed;
pub mod pod_files;
pub mod policy;
mod relay;
pub mod ruleset;
mod view;
pub mod watch;

use self::cluster::Change;
use self::conductor::{Conductor, Order};
pub use self::config::Config;
use self::dns::server::Names;
use self::dns::upstream::Upstream;
use self::host_access::HostAccess;
pub use self::host_access::{HostAddresses, ServicePort};
use self::kernel::Inside;
use self::namespace::Resident;
use self::relay::Relay;
use self::view::View;

/// Why the network doesn't do what it was asked to.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NetworkError {
    /// The namespace of the node can't be made or prepared.
    #[error("cannot make the node's network; `mwctl doctor` tells what this machine lacks")]
    Start(#[source] Arc<io::Error>),
    /// There is no address left.
    #[error("the pod gets no address")]
    Address(#[source] address::Exhausted),
    /// The kernel refused the rules. Those that were there still hold.
    #[error("cannot change the rules of the pod network")]
    Rules(#[source] Arc<io::Error>),
    /// The pod's own namespace can't be made or connected.
    #[error("cannot connect the pod to the network")]
    Attach(#[source] Arc<io::Error>),
    /// The pod can't be taken off the network; its address isn't given out again.
    #[error("cannot take the pod at {address} off the network")]
    Detach {
        /// Its address.
        address: Ipv4Addr,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// The pod isn't on this network.
    #[error("the pod {0} isn't on this node's network")]
    Unknown(String),
    /// Nobody answers there.
    #[error("cannot connect to {to}")]
    Connect {
        /// Where to.
        to: SocketAddrV4,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// It was shut down.
    #[error("the node's network has ended")]
    Ended,
}

/// Where an address leads, for whoever passes on what comes from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To another machine.
    Elsewhere,
    /// To this one.
    ThisMachine,
    /// To nobody who could be meant: link-local addresses and those of no single machine.
    Nobody,
}

/// Where an address leads now. The kernel is asked, in the namespace of the calling thread: a new interface counts at once.
pub fn reach(address: Ipv4Addr) -> io::Result<Reach> {
    if address.is_loopback() || address.is_unspecified() {
        return Ok(Reach::ThisMachine);
    }
    if relay::destination::is_never_passed_on(address) {
        return Ok(Reach::Nobody);
    }
    Ok(if host::is_own(address)? {
        Reach::ThisMachine
    } else {
        Reach::Elsewhere
    })
}

/// A pod's place on the network.
#[derive(Debug)]
pub struct PodNetwork {
    /// The pod's network namespace, ready for its containers: loopback and `eth0` are up. It lives as long as somebody holds it.
    pub namespace: OwnedFd,
    /// The pod's address.
    pub address: Ipv4Addr,
}

/// A node's network. It ends when this is dropped.
#[derive(Debug)]
pub struct Network {
    config: Arc<Config>,
    inside: Resident<Inside>,
    orders: mpsc::Sender<Order>,
    host_addresses: channel::Receiver<HostAddresses>,
    pods: Mutex<HashMap<String, PodNetwork>>,
    _tasks: JoinSet<()>,
}

impl Network {
    /// Makes the network, and keeps it as `changes` tell ([`watch::cluster`]).
    ///
    /// The calling process must have the rights of root in its user namespace. Must be called on a runtime.
    pub async fn start(
        config: Config,
        changes: BoxStream<'static, Change>,
    ) -> Result<Self, NetworkError> {
        let start = |error: io::Error| NetworkError::Start(Arc::new(error));
        let config = Arc::new(config);
        let preparing = Arc::clone(&config);
        let inside = Resident::start("node-network", move || Inside::prepare(&preparing));
        let inside = inside.map_err(start)?;
        let (view_tx, views) = channel::channel(Arc::default());
        let mut conductor = Conductor::new(Arc::clone(&config), inside.clone(), view_tx);
        conductor.begin().await.map_err(start)?;
        let (orders, order_rx) = mpsc::channel(64);
        let (address_tx, host_addresses) = channel::channel(HostAddresses::new());
        let mut tasks = JoinSet::new();
        serve(&config, &inside, &views, &mut tasks)
            .await
            .map_err(start)?;
        if let Some(network) = config.host_access {
            let access = HostAccess {
                config: Arc::clone(&config),
                inside: inside.clone(),
                views: views.clone(),
                addresses: address_tx,
            };
            let serving = access.serve(network);
            tasks.spawn(async move { report("the listeners for this machine", serving.await) });
        }
        tasks.spawn(conductor.run(changes, order_rx));
        Ok(Self {
            config,
            inside,
            orders,
            host_addresses,
            pods: Mutex::default(),
            _tasks: tasks,
        })
    }

    /// The settings it was started with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Puts a pod on the network, in a namespace of its own, or in a `given` one that containers of another user namespace may
    /// enter. When it returns, the policies that concern the pod hold. Asked again for the same pod, it is the same place.
    ///
    /// Waits until the cluster's policies are known. Not cancel safe: call [`Network::remove`] if it was given up.
    pub async fn add(&self, pod: &Pod, given: Option<OwnedFd>) -> Result<PodNetwork, NetworkError> {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let (address_tx, address_rx) = oneshot::channel();
        let (ruled_tx, ruled_rx) = oneshot::channel();
        let order = Order::Allocate {
            uid: uid.clone(),
            pod: Arc::new(pod.clone()),
            address: address_tx,
            ruled: ruled_tx,
        };
        self.orders
            .send(order)
            .await
            .map_err(|_| NetworkError::Ended)?;
        let address = address_rx.await.map_err(|_| NetworkError::Ended)??;
        let namespace = async {
            if let Some(known) = self.namespace(&uid) {
                return known;
            }
            self.attach(&uid, address, given).await
        };
        let ruled = async { ruled_rx.await.map_err(|_| NetworkError::Ended)? };
        let (namespace, ()) = tokio::try_join!(
            async {
                namespace
                    .await
                    .map_err(|error| NetworkError::Attach(Arc::new(error)))
            },
            ruled,
        )?;
        Ok(PodNetwork { namespace, address })
    }

    /// Takes a pod off the network: its connections end, its address becomes free. One that isn't there is no error.
    pub async fn remove(&self, uid: &str) -> Result<(), NetworkError> {
        drop(self.pods().remove(uid));
        let (done, done_rx) = oneshot::channel();
        let order = Order::Release {
            uid: uid.to_owned(),
            done,
        };
        self.orders
            .send(order)
            .await
            .map_err(|_| NetworkError::Ended)?;
        done_rx.await.map_err(|_| NetworkError::Ended)?
    }

    /// Connects from the node to a pod or a service, as probes do. Policies never forbid it.
    pub async fn connect(&self, to: SocketAddrV4) -> Result<TcpStream, NetworkError> {
        let connected = async {
            let socket = self.inside.run(|_| namespace::tcp_socket()).await?;
            namespace::connect(socket, to).await
        };
        connected.await.map_err(|error| refused(to, error))
    }

    /// Connects to a port of a pod's own loopback, as port forwarding does: what listens there for the pod alone is reached too.
    pub async fn connect_within(&self, uid: &str, port: u16) -> Result<TcpStream, NetworkError> {
        let namespace = self
            .namespace(uid)
            .ok_or_else(|| NetworkError::Unknown(uid.to_owned()))?;
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let connected = async { namespace::connect_in(namespace?, to).await };
        connected.await.map_err(|error| refused(to, error))
    }

    /// Where services are reached from this machine, as it changes.
    pub fn host_addresses(&self) -> channel::Receiver<HostAddresses> {
        self.host_addresses.clone()
    }

    async fn attach(
        &self,
        uid: &str,
        address: Ipv4Addr,
        given: Option<OwnedFd>,
    ) -> io::Result<OwnedFd> {
        let number = conductor::number(&self.config, address);
        let (gateway, inside) = (self.config.node(), self.inside.clone());
        let prepare = move |namespace: BorrowedFd<'_>| {
            links::prepare_namespace();
            let handle = namespace.try_clone_to_owned()?;
            inside.run_blocking(move |inside| inside.attach(number, address, handle.as_fd()))?;
            links::prepare_pod(address, gateway)
        };
        let (namespace, ()) = match given {
            Some(given) => namespace::within(given, prepare).await?,
            None => namespace::in_new(prepare).await?,
        };
        let kept = PodNetwork {
            namespace: namespace.try_clone()?,
            address,
        };
        drop(self.pods().insert(uid.to_owned(), kept));
        Ok(namespace)
    }

    fn namespace(&self, uid: &str) -> Option<io::Result<OwnedFd>> {
        self.pods()
            .get(uid)
            .map(|known| known.namespace.try_clone())
    }

    /// The address of a pod that is on the network.
    pub fn address(&self, uid: &str) -> Option<Ipv4Addr> {
        self.pods().get(uid).map(|known| known.address)
    }

    fn pods(&self) -> MutexGuard<'_, HashMap<String, PodNetwork>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(to: SocketAddrV4, error: io::Error) -> NetworkError {
    NetworkError::Connect {
        to,
        source: Arc::new(error),
    }
}

/// Serves what is listened on inside.
async fn serve(
    config: &Arc<Config>,
    inside: &Resident<Inside>,
    views: &channel::Receiver<Arc<View>>,
    tasks: &mut JoinSet<()>,
) -> io::Result<()> {
    let listening = Arc::clone(config);
    let listeners = inside.run(move |_| Inside::listen(&listening)).await?;
    let names = Names {
        views: views.clone(),
        upstream: Arc::new(Upstream::new(config.resolvers.clone())),
    };
    let relay = Relay {
        config: Arc::clone(config),
        views: views.clone(),
        turn: Arc::default(),
    };
    let udp = dns::server::serve_udp(names.clone(), UdpSocket::from_std(listeners.dns_udp)?);
    tasks.spawn(async move { report("the name server", udp.await) });
    let tcp = dns::server::serve_tcp(names, TcpListener::from_std(listeners.dns_tcp)?);
    tasks.spawn(async move { report("the name server", tcp.await) });
    let relaying = relay::serve(relay, TcpListener::from_std(listeners.relay)?);
    tasks.spawn(async move { report("the relay", relaying.await) });
    Ok(())
}

/// A part that ends by itself has failed.
fn report(what: &str, outcome: io::Result<()>) {
    if let Err(error) = outcome {
        tracing::error!(%error, "{what} has ended");
    }
}
