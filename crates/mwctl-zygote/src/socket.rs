//! One message with its file descriptors over a `SOCK_SEQPACKET` socket. A long message travels in memory of its own, since a
//! packet may not be longer than the socket's buffer.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest message that travels in the packet itself.
const SHORT: usize = 32 * 1024;
/// The longest message at all: far above what an environment and arguments can be.
const LONGEST: u64 = 64 * 1024 * 1024;
/// The kernel passes no more at once (`SCM_MAX_FD`).
pub const MOST_DESCRIPTORS: usize = 253;

/// The first byte of a packet: the message follows.
const HERE: u8 = 0;
/// The first byte of a packet: the message is the content of the last file descriptor.
const THERE: u8 = 1;

/// Two connected sockets that no program inherits.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

/// Sends one message. Fails with `EPIPE` where the other side is gone.
pub fn send<T: Serialize>(
    socket: impl AsFd,
    message: &T,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let body = postcard::to_stdvec(message).map_err(io::Error::other)?;
    if body.len() <= SHORT {
        return packet(socket, HERE, &body, descriptors);
    }
    let memory = memfd_create(c"mwctl-message", MemfdFlags::CLOEXEC)?;
    let mut rest = body.as_slice();
    while !rest.is_empty() {
        let written = rustix::io::write(&memory, rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    let descriptors: Vec<_> = descriptors
        .iter()
        .copied()
        .chain([memory.as_fd()])
        .collect();
    packet(socket, THERE, &[], &descriptors)
}

fn packet(
    socket: impl AsFd,
    mark: u8,
    body: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    if descriptors.len() > MOST_DESCRIPTORS {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "{} files at once are too many; {MOST_DESCRIPTORS} can be passed",
                descriptors.len()
            ),
        ));
    }
    let mut space =
        vec![MaybeUninit::uninit(); SendAncillaryMessage::ScmRights(descriptors).size()];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let mark = [mark];
    let parts = [IoSlice::new(&mark), IoSlice::new(body)];
    rustix::io::retry_on_intr(|| sendmsg(&socket, &parts, &mut control, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// Waits for one message. `None`: the other side is gone.
pub fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut buffer = vec![0; SHORT + 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        let mut parts = [IoSliceMut::new(&mut buffer)];
        recvmsg(&socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)
    });
    let length = match received {
        // A socket whose other side died with something unread says so instead of ending.
        Err(Errno::CONNRESET) => return Ok(None),
        received => received?.bytes,
    };
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            descriptors.extend(passed);
        }
    }
    let Some((mark, body)) = buffer.get(..length).and_then(<[u8]>::split_first) else {
        return Ok(None);
    };
    let message = if *mark == THERE {
        let memory = descriptors.pop().ok_or(io::ErrorKind::InvalidData)?;
        postcard::from_bytes(&content(&memory)?)
    } else {
        postcard::from_bytes(body)
    };
    let message = message.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(Some((message, descriptors)))
}

fn content(memory: &OwnedFd) -> io::Result<Vec<u8>> {
    let length = u64::try_from(rustix::fs::fstat(memory)?.st_size).unwrap_or(u64::MAX);
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut content = vec![0; usize::try_from(length).unwrap_or_default()];
    let mut filled = 0;
    while let Some(rest) = content.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let read = rustix::io::pread(memory, rest, filled as u64)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_any_length_arrive_with_their_files() {
        let (one, other) = pair().unwrap();
        for length in [0, 1, SHORT, SHORT + 1, 3_000_000] {
            let text = "x".repeat(length);
            send(&one, &text, &[one.as_fd()]).unwrap();
            let (arrived, files): (String, _) = receive(&other).unwrap().unwrap();
            assert_eq!(arrived.len(), length);
            assert_eq!(files.len(), 1);
        }
    }

    #[test]
    fn the_end_of_the_other_side_is_an_end() {
        let (one, other) = pair().unwrap();
        drop(one);
        assert!(receive::<String>(&other).unwrap().is_none());
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        let (one, other) = pair().unwrap();
        packet(&one, THERE, &[], &[]).unwrap();
        assert!(receive::<String>(&other).is_err());
        packet(&one, HERE, &[255, 255], &[]).unwrap();
        assert!(receive::<String>(&other).is_err());
    }
}
