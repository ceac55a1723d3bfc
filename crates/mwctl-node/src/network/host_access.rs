//! Services as they are reached from this machine: each has an address in 127.0.0.0/8, at which only its owner is answered.
//!
//! Nothing is set up for it: all of 127.0.0.0/8 belongs to every Linux. What connects is looked up by user, then carried on inside the
//! node's namespace to the service's address, so that endpoints are chosen as for pods.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::address::Cidr;
use super::config::Config;
use super::frontend::Frontend;
use super::host;
use super::kernel::Inside;
use super::namespace::{self, Resident};
use super::observed::Protocol;
use super::relay::is_passing;
use super::view::View;

/// Added to a port where an ordinary user may not listen, or somebody does at all addresses: 80 becomes 8080.
const INSTEAD: u16 = 8000;
const BUFFER: usize = 64 << 10;

/// A port of a service, by `namespace/name`, or of a pod that has one on the node, by `namespace/pod/name`.
pub type ServicePort = (String, u16);

/// Where the ports of services are reached from this machine.
pub type HostAddresses = BTreeMap<ServicePort, SocketAddrV4>;

/// Chooses a host address for each service. The same service gets the same one each time, unless another one has it already.
pub(crate) fn choose<'a>(
    network: Cidr,
    services: impl IntoIterator<Item = &'a str>,
) -> BTreeMap<&'a str, Ipv4Addr> {
    // The first address names the network and the second is the node's; the last might be taken for a broadcast.
    let size = u32::MAX
        .checked_shr(u32::from(network.prefix()))
        .unwrap_or(0)
        .saturating_sub(2);
    let mut taken = BTreeSet::new();
    let mut chosen = BTreeMap::new();
    let services: BTreeSet<&str> = services.into_iter().collect();
    for service in services {
        let mut hasher = DefaultHasher::new();
        service.hash(&mut hasher);
        let Some(begin) = hasher.finish().checked_rem(u64::from(size)) else {
            break;
        };
        let offsets = (begin as u32..size).chain(0..begin as u32);
        let free = offsets
            .map(|offset| offset + 2)
            .find(|offset| !taken.contains(offset));
        let Some(offset) = free else { break };
        taken.insert(offset);
        chosen.extend(network.nth(offset).map(|address| (service, address)));
    }
    chosen
}

/// What is to be listened on, and where it leads: service ports at the service's host address, node ports at the node's.
fn wanted(
    config: &Config,
    network: Cidr,
    view: &View,
) -> BTreeMap<SocketAddrV4, (ServicePort, SocketAddrV4)> {
    let kept: Vec<_> = (view.frontends.iter())
        .filter(|it| it.protocol == Protocol::Tcp && it.address != config.cluster_dns)
        .filter(|it| {
            config
                .api_server
                .is_none_or(|(service, _)| *service.ip() != it.address)
        })
        .collect();
    let node = network.nth(1);
    let is_node = |frontend: &Frontend| frontend.address == config.node();
    let services = kept.iter().filter(|it| !is_node(it));
    let addresses = choose(network, services.map(|it| it.service.as_str()));
    let mut wanted = BTreeMap::new();
    for frontend in kept {
        let own = if is_node(frontend) {
            node
        } else {
            addresses.get(frontend.service.as_str()).copied()
        };
        let own = own.map(|own| (own, frontend.port));
        let on_node = node.zip(frontend.node_port);
        for (address, number) in own.into_iter().chain(on_node) {
            let port = (frontend.service.clone(), number);
            let to = SocketAddrV4::new(frontend.address, frontend.port);
            wanted.insert(SocketAddrV4::new(address, number), (port, to));
        }
    }
    wanted
}

/// The listeners on the host's side.
#[derive(Debug)]
pub(crate) struct HostAccess {
    pub(crate) config: Arc<Config>,
    pub(crate) inside: Resident<Inside>,
    pub(crate) views: watch::Receiver<Arc<View>>,
    pub(crate) addresses: watch::Sender<HostAddresses>,
}

struct Listening {
    to: SocketAddrV4,
    port: ServicePort,
    at: SocketAddrV4,
    task: AbortHandle,
}

impl HostAccess {
    /// Listens for what the view wants, until there are no more views.
    pub(crate) async fn serve(mut self, network: Cidr) -> io::Result<()> {
        let mut listeners: HashMap<SocketAddrV4, Listening> = HashMap::new();
        let mut tasks = JoinSet::new();
        let mut told = BTreeSet::new();
        loop {
            let view = Arc::clone(&self.views.borrow_and_update());
            let mut wanted = wanted(&self.config, network, &view);
            listeners.retain(|at, it| {
                let same = wanted
                    .get(at)
                    .is_some_and(|(port, to)| (port, to) == (&it.port, &it.to));
                if same {
                    wanted.remove(at);
                } else {
                    it.task.abort();
                }
                same
            });
            for (at, (port, to)) in wanted {
                match listen(at).await {
                    Ok((listener, bound)) => {
                        let (config, inside) = (Arc::clone(&self.config), self.inside.clone());
                        let task = tasks.spawn(accept(config, inside, listener, to));
                        listeners.insert(
                            at,
                            Listening {
                                to,
                                port,
                                at: bound,
                                task,
                            },
                        );
                    }
                    Err(error) => {
                        // It is tried again with each change, but told once.
                        if told.insert(at) {
                            let service = port.0;
                            tracing::warn!(%at, service, %error, "a service can't be reached from this machine");
                        }
                    }
                }
            }
            let addresses = listeners
                .values()
                .map(|it| (it.port.clone(), it.at))
                .collect();
            self.addresses.send_if_modified(|known| {
                let changed = *known != addresses;
                *known = addresses;
                changed
            });
            tokio::select! {
                changed = self.views.changed() => if changed.is_err() { return Ok(()) },
                Some(_) = tasks.join_next() => {}
            }
        }
    }
}

async fn listen(at: SocketAddrV4) -> io::Result<(TcpListener, SocketAddrV4)> {
    match TcpListener::bind(at).await {
        Ok(listener) => Ok((listener, at)),
        Err(error) => {
            let other = at.port().checked_add(INSTEAD).ok_or(error)?;
            let at = SocketAddrV4::new(*at.ip(), other);
            Ok((TcpListener::bind(at).await?, at))
        }
    }
}

async fn accept(
    config: Arc<Config>,
    inside: Resident<Inside>,
    listener: TcpListener,
    to: SocketAddrV4,
) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    let (config, inside) = (Arc::clone(&config), inside.clone());
                    connections.spawn(async move { carry(&config, &inside, stream, from, to).await });
                }
                Err(error) if is_passing(&error) => tokio::task::yield_now().await,
                Err(error) => return Err(error),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(
    config: &Config,
    inside: &Resident<Inside>,
    mut stream: TcpStream,
    from: SocketAddr,
    to: SocketAddrV4,
) {
    let outcome = async {
        check_user(config, &stream, from)?;
        let socket = inside.run(|_| namespace::tcp_socket()).await?;
        let mut there = namespace::connect(socket, to).await?;
        stream.set_nodelay(true)?;
        copy_bidirectional_with_sizes(&mut stream, &mut there, BUFFER, BUFFER).await
    };
    if let Err(error) = outcome.await {
        tracing::debug!(%from, %to, %error, "a connection from this machine ends");
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).ok();
    }
}

/// Refuses other users of this machine: what runs in somebody's cluster is theirs.
fn check_user(config: &Config, stream: &TcpStream, from: SocketAddr) -> io::Result<()> {
    let (SocketAddr::V4(from), SocketAddr::V4(ours)) = (from, stream.local_addr()?) else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let me = rustix::process::geteuid().as_raw();
    match host::user_of(from, ours)? {
        Some(user) if user == me || config.host_users.contains(&user) => Ok(()),
        Some(user) => {
            tracing::warn!(user, %ours, "another user is refused");
            Err(io::ErrorKind::PermissionDenied.into())
        }
        None => Err(io::ErrorKind::NotConnected.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_keeps_its_address_whoever_else_is_there() {
        let network: Cidr = "127.77.0.0/16".parse().unwrap();
        let alone = choose(network, ["default/web"]);
        let many: Vec<String> = (0..200)
            .map(|number| format!("default/s{number}"))
            .collect();
        let all = choose(
            network,
            many.iter().map(String::as_str).chain(["default/web"]),
        );
        assert_eq!(all.len(), 201);
        assert_eq!(all["default/web"], alone["default/web"]);
        let distinct: BTreeSet<_> = all.values().collect();
        assert_eq!(distinct.len(), 201);
        assert!(
            all.values().all(
                |address| network.contains(*address) && *address > Ipv4Addr::new(127, 77, 0, 1)
            )
        );
    }

    #[test]
    fn a_network_that_is_too_small_serves_as_many_as_it_can() {
        let network: Cidr = "127.77.0.0/30".parse().unwrap();
        assert_eq!(choose(network, ["a", "b", "c"]).len(), 1);
        assert!(choose("127.0.0.1/32".parse().unwrap(), ["a"]).is_empty());
    }
}
