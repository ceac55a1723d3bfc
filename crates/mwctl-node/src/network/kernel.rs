//! The node's namespace: all that is done in it is done here, by the thread that lives there.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::config::Config;
use super::connections;
use super::links;
use super::namespace::set;
use super::netlink::{Family, Socket};
use super::ruleset::{Ruleset, encode};
use super::view::View;

/// The two names that the table of rules has by turns.
const TABLES: [&str; 2] = ["mwctl-a", "mwctl-b"];

/// The sockets of the node's namespace.
#[derive(Debug)]
pub(crate) struct Inside {
    route: Socket,
    filter: Socket,
    table: Option<&'static str>,
    tracking_set: bool,
}

/// What is listened on inside, to be served from outside.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) relay: TcpListener,
    pub(crate) dns_tcp: TcpListener,
    pub(crate) dns_udp: UdpSocket,
}

impl Inside {
    /// Prepares the namespace of the calling thread.
    pub(crate) fn prepare(config: &Config) -> io::Result<Self> {
        let route = Socket::open(Family::Route)?;
        links::prepare_node(&route, &config.own_addresses(), config.services)?;
        Ok(Self {
            route,
            filter: Socket::open(Family::Netfilter)?,
            table: None,
            tracking_set: false,
        })
    }

    /// Opens the listeners.
    pub(crate) fn listen(config: &Config) -> io::Result<Listeners> {
        let listeners = Listeners {
            relay: TcpListener::bind(config.relay())?,
            dns_tcp: TcpListener::bind(config.name_server())?,
            dns_udp: UdpSocket::bind(config.name_server())?,
        };
        listeners.relay.set_nonblocking(true)?;
        listeners.dns_tcp.set_nonblocking(true)?;
        listeners.dns_udp.set_nonblocking(true)?;
        Ok(listeners)
    }

    /// Puts rules in the place of those that are there. On an error those stay.
    pub(crate) fn apply(&mut self, ruleset: &Ruleset) -> io::Result<()> {
        let table = TABLES.into_iter().find(|table| Some(*table) != self.table);
        let table = table.unwrap_or(TABLES[0]);
        let limit = self.filter.limit()?;
        for transaction in encode::transactions(ruleset, table, self.table, limit) {
            self.filter.request(&transaction)?;
        }
        self.table = Some(table);
        self.set_tracking()
    }

    /// How connections are tracked; the settings exist only once rules ask for it.
    fn set_tracking(&mut self) -> io::Result<()> {
        if !self.tracking_set {
            // A connection that was cut isn't taken up again in the middle.
            set("netfilter/nf_conntrack_tcp_loose", "0")?;
            // A packet that comes late is nothing to end a connection for.
            set("netfilter/nf_conntrack_tcp_be_liberal", "1")?;
            self.tracking_set = true;
        }
        Ok(())
    }

    /// Ends the open connections that are allowed no more; how many there were.
    pub(crate) fn cut(&mut self, config: &Config, view: &View) -> io::Result<usize> {
        let own = config.own_addresses();
        self.forget(|connection| {
            connections::must_end(
                connection,
                &view.isolations,
                &view.frontends,
                &own,
                config.relay(),
            )
        })
    }

    fn forget(&mut self, which: impl Fn(&connections::Connection) -> bool) -> io::Result<usize> {
        let all = connections::list(&self.filter)?;
        let mut count = 0;
        for connection in all.iter().filter(|connection| which(connection)) {
            connections::forget(&self.filter, connection)?;
            count += 1;
        }
        Ok(count)
    }

    /// Connects a pod's namespace to the node.
    pub(crate) fn attach(
        &mut self,
        number: u32,
        address: Ipv4Addr,
        namespace: BorrowedFd<'_>,
    ) -> io::Result<()> {
        links::attach_pod(&self.route, number, address, namespace)
    }

    /// Takes pods off the network, each by the number of its interface, and ends their connections, so that who has their addresses next
    /// inherits none. Says of which it can't, and why.
    pub(crate) fn release(
        &mut self,
        pods: &BTreeMap<Ipv4Addr, u32>,
    ) -> BTreeMap<Ipv4Addr, Arc<io::Error>> {
        let mut failed = BTreeMap::new();
        for (address, number) in pods {
            if let Err(error) = links::detach_pod(&self.route, *number) {
                failed.insert(*address, Arc::new(error));
            }
        }
        let cut = self.forget(|it| {
            let mut ends = [it.from, it.to, it.answers].into_iter();
            ends.any(|end| pods.contains_key(&end))
        });
        if let Err(error) = cut {
            let error = Arc::new(error);
            for address in pods.keys() {
                failed.entry(*address).or_insert_with(|| error.clone());
            }
        }
        failed
    }
}
