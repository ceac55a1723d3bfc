//! Joining a stream to the running agent: `connect` hands its own input and output over a socket, so
//! that every byte goes from the exec's pipes to the agent without a copy in between.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use thiserror::Error;

/// The socket's name in the run directory.
const SOCKET: &str = "agent.sock";
/// Between two attempts to reach an agent that is only about to start.
const AGAIN: Duration = Duration::from_millis(5);

/// The stream cannot be joined.
#[derive(Debug, Error)]
pub(crate) enum JoinError {
    #[error("no agent listens on `{socket}`: is this container in its develop form?")]
    NoAgent {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the agent was lost")]
    Lost(#[source] io::Error),
}

/// Where the agent listens.
pub(crate) fn socket(run: &Path) -> PathBuf {
    run.join(SOCKET)
}

/// Hands input and output to the agent and stays until the agent is done with them.
pub(crate) fn join(
    run: &Path,
    wait: Duration,
    input: impl AsFd,
    output: impl AsFd,
) -> Result<(), JoinError> {
    let mut control = reach(&socket(run), wait)?;
    hand_over(&control, &input, &output).map_err(JoinError::Lost)?;
    // The agent says nothing here; the end of this stream is the end of the other.
    let mut nothing = [0; 64];
    loop {
        match control.read(&mut nothing) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(JoinError::Lost(error)),
        }
    }
}

fn reach(socket: &Path, wait: Duration) -> Result<UnixStream, JoinError> {
    let began = Instant::now();
    loop {
        match UnixStream::connect(socket) {
            Ok(control) => return Ok(control),
            Err(source) if began.elapsed() >= wait => {
                return Err(JoinError::NoAgent {
                    socket: socket.to_owned(),
                    source,
                });
            }
            Err(_) => std::thread::sleep(AGAIN),
        }
    }
}

fn hand_over(control: &UnixStream, input: &impl AsFd, output: &impl AsFd) -> io::Result<()> {
    let descriptors = [input.as_fd(), output.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    let byte = [IoSlice::new(b"J")];
    rustix::net::sendmsg(control, &byte, &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Takes the input and output that came over a new control stream.
pub(crate) fn take(control: &UnixStream) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::CMSG_CLOEXEC;
    rustix::net::recvmsg(
        control,
        &mut [IoSliceMut::new(&mut byte)],
        &mut ancillary,
        flags,
    )?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    match (descriptors.pop(), descriptors.pop()) {
        (Some(output), Some(input)) => Ok((input, output)),
        _ => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}

/// Says why a command failed: the error and its causes, on one line.
pub(crate) fn explain(error: &dyn std::error::Error, to: &mut impl Write) {
    let mut text = format!("mwctl-agent: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    // Without a reader nobody misses it.
    let _unread = writeln!(to, "{text}");
}
