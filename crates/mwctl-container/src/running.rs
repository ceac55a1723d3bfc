//! A process that runs: the first of a container, or one that was started in it later.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use mwctl_zygote::protocol::{End, Process, Size};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::sync::watch;

use crate::container::Streams;
use crate::limits::Group;
use crate::runtime::{Error, KILLED, Runtime};

/// A process that runs, or has ended. Copies are the same process; dropping them doesn't end it.
#[derive(Clone, Debug)]
pub struct Running {
    runtime: Runtime,
    begun: Begun,
    ended: watch::Receiver<Option<End>>,
    terminal: Option<Arc<OwnedFd>>,
    group: Arc<Group>,
}

/// How the zygote knows a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    /// The order that began it.
    pub(crate) order: u64,
    /// Its number, which may be another's when it has ended.
    pub(crate) pid: Option<i32>,
}

impl Running {
    pub(crate) fn new(
        runtime: Runtime,
        begun: Begun,
        ended: watch::Receiver<Option<End>>,
        terminal: Option<Arc<OwnedFd>>,
        group: Arc<Group>,
    ) -> Self {
        Self {
            runtime,
            begun,
            ended,
            terminal,
            group,
        }
    }

    /// A number that no other process of its runtime ever has.
    pub fn order(&self) -> u64 {
        self.begun.order
    }

    pub(crate) fn pid(&self) -> Option<i32> {
        self.begun.pid
    }

    /// What its container uses.
    pub fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// How it ended, if it has.
    pub fn end(&self) -> Option<End> {
        *self.ended.borrow()
    }

    /// Is back when it has ended. With the runtime everything is killed.
    ///
    /// Cancel safe.
    pub async fn ended(&self) -> End {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(end) => end.unwrap_or(KILLED),
            Err(_) => KILLED,
        }
    }

    /// Sends a signal, by its number. Fails with the step `Order` where it has ended.
    pub async fn signal(&self, signal: i32) -> Result<(), Error> {
        self.runtime.signal(self.order(), signal).await
    }

    /// Ends it without waiting for anything, as for those who are dropped. Nothing happens where it has ended.
    pub fn kill(&self) {
        self.runtime.kill(self.order());
    }

    /// Starts a further process in the container whose first process this is.
    ///
    /// Cancel safety: a process whose beginning nobody waits for is ended.
    pub async fn enter(&self, process: Process, streams: Streams) -> Result<Self, Error> {
        self.runtime.enter(self, process, streams).await
    }

    /// The other side of its terminal, if it has one.
    pub fn terminal(&self) -> Option<&Arc<OwnedFd>> {
        self.terminal.as_ref()
    }

    /// Tells the process that its terminal has another size. Nothing happens where it has none.
    pub fn resize(&self, size: Size) -> io::Result<()> {
        let Some(terminal) = &self.terminal else {
            return Ok(());
        };
        let size = Winsize {
            ws_row: size.rows,
            ws_col: size.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        Ok(tcsetwinsize(terminal, size)?)
    }
}
