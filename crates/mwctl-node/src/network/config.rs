//! How a node's network is set up. All of it is decided before it starts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;

use super::address::Cidr;
use super::ruleset::Addresses;

/// The name by which pods reach this machine, where that is allowed.
pub const HOST_NAME: &str = "host.mwctl.internal";
/// What that name stands for: an address for documentation (RFC 5737), so that it is nobody's.
pub const HOST_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Addresses at the begin of the pod network that the node keeps for itself.
pub(crate) const RESERVED: u32 = 10;
const RELAY_PORT: u16 = 15001;
const DNS_PORT: u16 = 53;

/// The settings of a node's network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where pods are. At least a /27, so that something is left beside the node's own addresses.
    pub pods: Cidr,
    /// Where the cluster's services are.
    pub services: Cidr,
    /// The service address of the cluster's name server.
    pub cluster_dns: Ipv4Addr,
    /// What all names of the cluster end with.
    pub cluster_domain: String,
    /// Where pods find the API server (the address and port of the service `kubernetes`), and where it really listens.
    pub api_server: Option<(SocketAddrV4, SocketAddrV4)>,
    /// Ports of this machine's loopback that pods may reach as [`HOST_NAME`], by the name of what listens there.
    pub host_ports: BTreeMap<String, u16>,
    /// Destinations that the relay refuses besides those it always refuses, such as other clusters' API servers.
    pub refused: BTreeSet<SocketAddrV4>,
    /// A part of 127.0.0.0/8 in which services can be reached from this machine. `None`: not at all.
    pub host_access: Option<Cidr>,
    /// The users, besides the one this process runs as, who may do so. Numbers as this process sees them.
    pub host_users: BTreeSet<u32>,
    /// The file that names the resolvers for what isn't in the cluster.
    pub resolvers: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            pods: Cidr::new(Ipv4Addr::new(10, 42, 0, 0), 16),
            services: Cidr::new(Ipv4Addr::new(10, 96, 0, 0), 12),
            cluster_dns: Ipv4Addr::new(10, 96, 0, 10),
            cluster_domain: "cluster.local".to_owned(),
            api_server: None,
            host_ports: BTreeMap::new(),
            refused: BTreeSet::new(),
            host_access: None,
            host_users: BTreeSet::new(),
            resolvers: PathBuf::from("/etc/resolv.conf"),
        }
    }
}

impl Config {
    /// The node's address, which is the gateway of all pods.
    pub fn node(&self) -> Ipv4Addr {
        self.own(1)
    }

    /// Where the name server listens, behind [`Config::cluster_dns`].
    pub fn name_server(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.own(2), DNS_PORT)
    }

    /// Where the relay listens.
    pub(crate) fn relay(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.node(), RELAY_PORT)
    }

    /// All addresses of the node itself.
    pub(crate) fn own_addresses(&self) -> [Ipv4Addr; 2] {
        [self.node(), *self.name_server().ip()]
    }

    pub(crate) fn addresses(&self) -> Addresses {
        Addresses {
            pods: self.pods,
            services: self.services,
            node: self.node(),
            relay: self.relay(),
        }
    }

    fn own(&self, offset: u32) -> Ipv4Addr {
        self.pods.nth(offset).unwrap_or(self.pods.base())
    }
}
