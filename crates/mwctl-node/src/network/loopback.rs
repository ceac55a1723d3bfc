//! A part of 127.0.0.0/8 for one node, so that clusters beside each other don't want the same addresses.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::Ipv4Addr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use super::address::Cidr;

/// How many addresses a node gets: 1,024, of which some are never used.
const PREFIX: u8 = 22;
/// The parts there are: 127.64.0.0 to 127.127.255.255, where nothing else is known to be.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 64, 0, 0);
const PARTS: u32 = 1 << 12;

/// A part that this process has. Others may have it when this is dropped.
#[derive(Debug)]
pub struct Loopback {
    network: Cidr,
    /// Kept by a name rather than by a port, which a program might want: the kernel frees it with the process, and it
    /// belongs to the same network namespace as the addresses.
    _kept: UnixListener,
}

impl Loopback {
    /// Takes a part of its own. The same name gets the same one each time, unless somebody has it.
    pub fn take(name: &str) -> io::Result<Self> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let begin = (hasher.finish() % u64::from(PARTS)) as u32;
        for place in (begin..PARTS).chain(0..begin) {
            let base = Ipv4Addr::from_bits(FIRST.to_bits() + (place << (32 - PREFIX)));
            let address = SocketAddr::from_abstract_name(format!("mwctl-loopback-{base}"))?;
            match UnixListener::bind_addr(&address) {
                Ok(kept) => {
                    return Ok(Self {
                        network: Cidr::new(base, PREFIX),
                        _kept: kept,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AddrNotAvailable.into())
    }

    /// The addresses.
    pub fn network(&self) -> Cidr {
        self.network
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_its_addresses_and_no_other_has_them_meanwhile() {
        // No other test takes this name.
        let name = format!("loopback {}", std::process::id());
        let one = Loopback::take(&name).unwrap();
        let other = Loopback::take(&name).unwrap();
        assert_ne!(one.network(), other.network());
        for taken in [&one, &other] {
            let base = taken.network().base();
            assert!(base.is_loopback() && base.octets()[1] >= 64);
        }
        let before = one.network();
        drop(one);
        assert_eq!(Loopback::take(&name).unwrap().network(), before);
    }
}
