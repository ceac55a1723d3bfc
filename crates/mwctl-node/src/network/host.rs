//! What only the host's kernel can tell: which addresses are this machine's, and which user a connection comes from.
//!
//! Asked, never changed. The sockets are of the calling thread's namespace, which must be the host's.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::netlink::{Family, Messages, Socket};

const GET_ROUTE: u16 = 26;
const ROUTE_IS_LOCAL: u8 = 2;

const SOCKET_BY_FAMILY: u16 = 20;
const AF_INET: u8 = 2;
const TCP: u8 = 6;
const ALL_STATES: u32 = u32::MAX;
/// Where an answer (`struct inet_diag_msg`) has the user and the inode.
const USER: usize = 64;
const INODE: usize = 68;

/// Whether packets to an address stay on this machine.
pub(crate) fn is_own(address: Ipv4Addr) -> io::Result<bool> {
    let mut question = Messages::default();
    let fixed = [AF_INET, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    question
        .begin(GET_ROUTE, 0, &fixed)
        .attribute(1, &address.octets());
    let answer = Socket::open(Family::Route)?.ask(&question)?;
    // `rtm_type` of `struct rtmsg`.
    Ok(answer.get(7) == Some(&ROUTE_IS_LOCAL))
}

/// The user whose socket is at `theirs`, connected to `ours`; both ends are on this machine. `None` if nobody has it open any more.
///
/// The number is that of the user namespace of this process; users it doesn't know have the overflow number.
pub(crate) fn user_of(theirs: SocketAddrV4, ours: SocketAddrV4) -> io::Result<Option<u32>> {
    let mut question = Messages::default();
    question
        .begin(SOCKET_BY_FAMILY, 0, &[])
        .raw(&request(theirs, ours));
    let answer = match Socket::open(Family::SocketDiagnosis)?.ask(&question) {
        Ok(answer) => answer,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let word = |place: usize| Some(u32::from_ne_bytes(*answer.get(place..)?.first_chunk()?));
    // A socket that was closed already has no inode, and may show as root's.
    let open = word(INODE).is_some_and(|inode| inode != 0);
    Ok(word(USER).filter(|_| open))
}

/// `struct inet_diag_req_v2` for one socket, seen from its owner's side.
fn request(theirs: SocketAddrV4, ours: SocketAddrV4) -> Vec<u8> {
    let address = |address: &Ipv4Addr| {
        let mut bytes = address.octets().to_vec();
        bytes.resize(16, 0);
        bytes
    };
    let mut bytes = vec![AF_INET, TCP, 0, 0];
    bytes.extend(ALL_STATES.to_ne_bytes());
    bytes.extend(theirs.port().to_be_bytes());
    bytes.extend(ours.port().to_be_bytes());
    bytes.extend(address(theirs.ip()));
    bytes.extend(address(ours.ip()));
    // Any interface, and no cookie.
    bytes.extend(0u32.to_ne_bytes());
    bytes.extend([0xff; 8]);
    bytes
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use super::*;

    fn v4(address: SocketAddr) -> SocketAddrV4 {
        match address {
            SocketAddr::V4(address) => address,
            SocketAddr::V6(_) => unreachable!(),
        }
    }

    #[test]
    fn the_user_of_a_connection_is_found_while_it_is_open() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, from) = listener.accept().unwrap();
        let ours = v4(server.local_addr().unwrap());
        let me = rustix::process::geteuid().as_raw();
        assert_eq!(user_of(v4(from), ours).unwrap(), Some(me));
        drop(client);
        assert_eq!(user_of(v4(from), ours).unwrap(), None);
    }

    #[test]
    fn loopback_is_this_machine() {
        assert!(is_own(Ipv4Addr::LOCALHOST).unwrap());
    }
}
