//! One joined stream: a thread that reads frames, and an outbox that never blocks the agent.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::frame::{Decoder, encode};
use crate::protocol::{FromAgent, ToAgent};

/// A session that doesn't read this much is given up.
const LARGEST_BACKLOG: usize = 64 << 20;

/// What a connection tells the agent.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A message, and when its last byte came.
    Message(ToAgent, Instant),
    /// The stream ended; why, if that was not by its own will.
    Closed(Option<String>),
}

/// The agent's side of a joined stream. Dropping it closes the stream.
#[derive(Debug)]
pub(crate) struct Connection {
    control: UnixStream,
    outbox: Arc<Outbox>,
}

impl Connection {
    /// Starts to read.
    pub(crate) fn start(
        control: UnixStream,
        input: OwnedFd,
        output: OwnedFd,
        tell: impl Fn(Heard) + Send + 'static,
    ) -> io::Result<Self> {
        set_nonblocking(&input)?;
        set_nonblocking(&output)?;
        let watched = control.try_clone()?;
        std::thread::spawn(move || {
            let reason = read(File::from(input), &watched, &tell).err();
            tell(Heard::Closed(reason));
        });
        let outbox = Arc::new(Outbox {
            output,
            backlog: Mutex::default(),
        });
        Ok(Self { control, outbox })
    }

    /// Sends a message. Fails when the session is gone or doesn't read.
    pub(crate) fn send(&self, message: &FromAgent) -> io::Result<()> {
        let frame = encode(message).map_err(io::Error::other)?;
        self.outbox.send(&frame)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Wakes the reader and lets `connect` end; whatever is still in the outbox goes first only
        // if its reader is quick. What must arrive is small and was written at once.
        let _gone = self.control.shutdown(Shutdown::Both);
    }
}

fn set_nonblocking(stream: &OwnedFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(stream)?;
    Ok(rustix::fs::fcntl_setfl(stream, flags | OFlags::NONBLOCK)?)
}

fn read(mut input: File, control: &UnixStream, tell: &impl Fn(Heard)) -> Result<(), String> {
    let mut decoder = Decoder::<ToAgent>::default();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match input.read(&mut buffer) {
            Ok(0) if decoder.is_between_frames() => return Ok(()),
            Ok(0) => return Err("the stream ended inside of a frame".to_owned()),
            Ok(count) => {
                let received = Instant::now();
                decoder.push(&buffer[..count]);
                while let Some(message) = decoder.next_frame().map_err(|error| error.to_string())? {
                    tell(Heard::Message(message, received));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut watched = [
                    PollFd::new(&input, PollFlags::IN),
                    PollFd::new(control, PollFlags::IN | PollFlags::RDHUP),
                ];
                match poll(&mut watched, None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(errno) => return Err(errno.to_string()),
                }
                if !watched[1].revents().is_empty() && watched[0].revents().is_empty() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Writes at once what the stream takes; a thread of its own waits for the rest.
#[derive(Debug)]
struct Outbox {
    output: OwnedFd,
    backlog: Mutex<Backlog>,
}

#[derive(Debug, Default)]
struct Backlog {
    bytes: VecDeque<u8>,
    failed: bool,
}

impl Outbox {
    fn send(self: &Arc<Self>, frame: &[u8]) -> io::Result<()> {
        let mut backlog = self.backlog.lock().unwrap_or_else(PoisonError::into_inner);
        if backlog.failed || backlog.bytes.len() > LARGEST_BACKLOG {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe));
        }
        if !backlog.bytes.is_empty() {
            backlog.bytes.extend(frame);
            return Ok(());
        }
        let mut rest = frame;
        while !rest.is_empty() {
            match rustix::io::write(&self.output, rest) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    backlog.bytes.extend(rest);
                    let outbox = self.clone();
                    std::thread::spawn(move || outbox.drain());
                    return Ok(());
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn drain(&self) {
        loop {
            let mut watched = [PollFd::from_borrowed_fd(
                self.output.as_fd(),
                PollFlags::OUT,
            )];
            let polled = poll(&mut watched, None);
            let mut backlog = self.backlog.lock().unwrap_or_else(PoisonError::into_inner);
            match polled.and_then(|_| rustix::io::write(&self.output, backlog.bytes.as_slices().0))
            {
                Ok(count) => drop(backlog.bytes.drain(..count)),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => {
                    backlog.failed = true;
                    backlog.bytes.clear();
                }
            }
            if backlog.bytes.is_empty() {
                return;
            }
        }
    }
}
