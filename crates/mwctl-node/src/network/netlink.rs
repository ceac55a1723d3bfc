//! Netlink messages and the socket they go over: the least that links, routes, connection tracking and the packet filter need.
//!
//! It knows no attribute's meaning; those are where they are used. Why not a library: `docs/design/0005-node-network.md`.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// What a netlink socket speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Links, addresses, routes.
    Route,
    /// The packet filter and connection tracking.
    Netfilter,
    /// Who has which sockets open.
    SocketDiagnosis,
}

/// Flags of a message header (`linux/netlink.h`).
pub(crate) mod flag {
    pub(crate) const REQUEST: u16 = 1;
    pub(crate) const ACK: u16 = 4;
    pub(crate) const DUMP: u16 = 0x300;
    pub(crate) const EXCL: u16 = 0x200;
    pub(crate) const CREATE: u16 = 0x400;
    pub(crate) const APPEND: u16 = 0x800;
}

const HEADER: usize = 16;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const NESTED: u16 = 0x8000;
const TYPE: u16 = 0x3fff;
/// Larger than any transaction that is sent in one piece; an unprivileged user gets less, which [`Socket::limit`] tells.
const BUFFER: usize = 8 << 20;

/// Messages in the making, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Messages {
    bytes: Vec<u8>,
    /// Where the last message begins.
    start: usize,
    count: u32,
    acknowledged: u32,
}

impl Messages {
    /// Begins a message: its kind, flags besides `REQUEST`, and the fixed part that kind has.
    pub(crate) fn begin(&mut self, kind: u16, flags: u16, fixed: &[u8]) -> &mut Self {
        self.start = self.bytes.len();
        self.count += 1;
        if flags & flag::ACK != 0 {
            self.acknowledged += 1;
        }
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes
            .extend_from_slice(&(flags | flag::REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&self.count.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(fixed);
        self.set_length();
        self
    }

    /// Adds an attribute to the message begun last, or to the nest that is open. At most 64 KiB.
    pub(crate) fn attribute(&mut self, kind: u16, data: &[u8]) -> &mut Self {
        let length =
            u16::try_from(4 + data.len()).expect("attributes are split before they are that long");
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(data);
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
        self.set_length();
        self
    }

    /// Adds an attribute that is a text, ended by a zero.
    pub(crate) fn text(&mut self, kind: u16, text: &str) -> &mut Self {
        self.attribute(kind, &[text.as_bytes(), &[0]].concat())
    }

    /// Adds an attribute that is a number in network byte order, as the packet filter wants them.
    pub(crate) fn number(&mut self, kind: u16, number: u32) -> &mut Self {
        self.attribute(kind, &number.to_be_bytes())
    }

    /// Adds an attribute that consists of attributes.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let place = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        fill(self);
        let length = u16::try_from(self.bytes.len() - place)
            .expect("nests are split before they are that long");
        self.bytes[place..place + 2].copy_from_slice(&length.to_ne_bytes());
        self.set_length();
        self
    }

    /// Adds bytes as they are, such as a fixed part within a nest.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self.set_length();
        self
    }

    /// How many bytes they take.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    fn set_length(&mut self) {
        let length = (self.bytes.len() - self.start) as u32;
        self.bytes[self.start..self.start + 4].copy_from_slice(&length.to_ne_bytes());
    }
}

/// A netlink socket of the network namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl Socket {
    /// Opens one in the network namespace of the calling thread.
    pub(crate) fn open(family: Family) -> io::Result<Self> {
        let protocol = match family {
            // Number zero, which is what no protocol means.
            Family::Route => None,
            Family::Netfilter => Some(net::netlink::NETFILTER),
            Family::SocketDiagnosis => Some(net::netlink::SOCK_DIAG),
        };
        let socket = net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            protocol,
        )?;
        net::sockopt::set_socket_send_buffer_size(&socket, BUFFER)?;
        net::sockopt::set_socket_recv_buffer_size(&socket, BUFFER)?;
        // Only root may go beyond the system's limit; without, `limit` is smaller.
        net::sockopt::set_socket_send_buffer_size_force(&socket, BUFFER).ok();
        Ok(Self(socket))
    }

    /// How many bytes may be sent at once.
    pub(crate) fn limit(&self) -> io::Result<usize> {
        // The kernel keeps some bytes of the buffer for itself (`netlink_sendmsg`).
        Ok(net::sockopt::socket_send_buffer_size(&self.0)?.saturating_sub(64))
    }

    /// Sends messages as one datagram and waits for their acknowledgements, or the first error.
    pub(crate) fn request(&self, messages: &Messages) -> io::Result<()> {
        let outcome = self.exchange(messages);
        if outcome.is_err() {
            // The rest of the answers is there already; nobody may take it for an answer to the next request.
            let mut buffer = [0; 4096];
            while net::recv(&self.0, &mut buffer[..], RecvFlags::DONTWAIT).is_ok() {}
        }
        outcome
    }

    fn exchange(&self, messages: &Messages) -> io::Result<()> {
        net::send(&self.0, &messages.bytes, SendFlags::empty())?;
        let mut missing = messages.acknowledged;
        let mut buffer = vec![0; 64 << 10];
        while missing > 0 {
            let (_, length) = net::recv(&self.0, &mut buffer[..], RecvFlags::empty())?;
            for reply in replies(&buffer[..length]) {
                if reply.kind == ERROR {
                    failure(&reply)?;
                    missing = missing.saturating_sub(1);
                }
            }
        }
        Ok(())
    }

    /// Asks for a list and gives each entry (fixed part and attributes) to `each`.
    pub(crate) fn dump(&self, question: &Messages, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        net::send(&self.0, &question.bytes, SendFlags::empty())?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let (_, length) = net::recv(&self.0, &mut buffer[..], RecvFlags::empty())?;
            for reply in replies(&buffer[..length]) {
                match reply.kind {
                    DONE => return Ok(()),
                    ERROR => failure(&reply)?,
                    _ => each(reply.body),
                }
            }
        }
    }

    /// Asks one thing and gives the answer's fixed part and attributes.
    pub(crate) fn ask(&self, question: &Messages) -> io::Result<Vec<u8>> {
        net::send(&self.0, &question.bytes, SendFlags::empty())?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let (_, length) = net::recv(&self.0, &mut buffer[..], RecvFlags::empty())?;
            for reply in replies(&buffer[..length]) {
                if reply.kind == ERROR {
                    failure(&reply)?;
                } else {
                    return Ok(reply.body.to_vec());
                }
            }
        }
    }
}

struct Reply<'a> {
    kind: u16,
    sequence: u32,
    body: &'a [u8],
}

/// The messages in a datagram; what is cut short ends it.
fn replies(mut bytes: &[u8]) -> impl Iterator<Item = Reply<'_>> {
    std::iter::from_fn(move || {
        let header = bytes.get(..HEADER)?;
        let length = word(header) as usize;
        let body = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Reply {
            kind: u16::from_ne_bytes([header[4], header[5]]),
            sequence: word(&header[8..]),
            body,
        })
    })
}

/// The attributes in a message behind its fixed part, or in a nest.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header = bytes.get(..4)?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & TYPE;
        let data = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, data))
    })
}

/// The first attribute of a kind.
pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find_map(|(theirs, data)| (theirs == kind).then_some(data))
}

/// The error that a reply reports. Number zero is an acknowledgement.
fn failure(reply: &Reply<'_>) -> io::Result<()> {
    let code = reply.body.get(..4).map_or(0, |body| word(body) as i32);
    if code == 0 {
        return Ok(());
    }
    let error = io::Error::from_raw_os_error(code.saturating_neg());
    tracing::debug!(message = reply.sequence, %error, "the kernel refuses a message");
    Err(error)
}

fn word(bytes: &[u8]) -> u32 {
    bytes
        .first_chunk()
        .map_or(0, |word| u32::from_ne_bytes(*word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut messages = Messages::default();
        messages
            .begin(20, flag::ACK, &[1, 2, 3, 4])
            .text(1, "eth0")
            .nest(2, |nest| {
                nest.number(7, 5).attribute(8, &[9]);
            });
        let all: Vec<_> = replies(&messages.bytes).collect();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].kind, all[0].sequence), (20, 1));
        let body = &all[0].body[4..];
        assert_eq!(attribute(body, 1), Some(&b"eth0\0"[..]));
        let nest = attribute(body, 2).unwrap();
        let within: Vec<_> = attributes(nest).collect();
        assert_eq!(within, [(7, &[0, 0, 0, 5][..]), (8, &[9][..])]);
    }

    proptest! {
        #[test]
        fn no_bytes_from_the_kernel_make_it_stumble(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for reply in replies(&bytes) {
                failure(&reply).ok();
                for (_, data) in attributes(reply.body) {
                    attributes(data).count();
                }
            }
        }
    }
}
