//! Namespaces that several containers join. They live as long as somebody holds their files.

use std::fs::File;
use std::os::fd::OwnedFd;

use mwctl_zygote::protocol::{Share, Step};
use rustix::thread::UnshareFlags;

use super::error::{At, Outcome};
use super::system;

/// The namespaces asked for, in the order network, ipc, uts.
pub(crate) fn share(wanted: &Share) -> Outcome<Vec<OwnedFd>> {
    let mut flags = UnshareFlags::empty();
    flags.set(UnshareFlags::NEWNET, wanted.network);
    flags.set(UnshareFlags::NEWIPC, wanted.ipc);
    flags.set(UnshareFlags::NEWUTS, wanted.hostname.is_some());
    system::unshare(flags).at(Step::Namespace, "network, ipc, uts")?;
    let mut made = Vec::new();
    if wanted.network {
        prepare_network()?;
        made.push(open("net")?);
    }
    if wanted.ipc {
        made.push(open("ipc")?);
    }
    if let Some(name) = &wanted.hostname {
        rustix::system::sethostname(name.as_bytes()).at(Step::Namespace, name)?;
        made.push(open("uts")?);
    }
    Ok(made)
}

fn open(kind: &str) -> Outcome<OwnedFd> {
    let path = format!("/proc/self/ns/{kind}");
    Ok(File::open(&path).at(Step::Namespace, path)?.into())
}

/// As container runtimes leave it: loopback, every port for everybody, and echo requests without privileges.
fn prepare_network() -> Outcome<()> {
    system::loopback_up().at(Step::Namespace, "loopback")?;
    let ports = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    std::fs::write(ports, "0").at(Step::Namespace, ports)?;
    // Only groups that are mapped can be named; without it `ping` needs a capability, no more.
    for range in ["0 2147483647", "0 65535", "0 0"] {
        if std::fs::write("/proc/sys/net/ipv4/ping_group_range", range).is_ok() {
            break;
        }
    }
    Ok(())
}
