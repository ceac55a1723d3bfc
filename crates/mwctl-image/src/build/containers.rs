//! What the programs of a build run in: containers of a runtime that is started for the first of them, with what they see of the machine
//! and of its network.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use mwctl_container::{Join, Options, Running, Runtime};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tokio::runtime::Handle;

use super::StepError;
use super::relay::{self, Gate};
use crate::plan::Network;

/// Runs programs in containers, the first of which takes a little longer.
pub struct Containers {
    pub(super) handle: Handle,
    pub(super) outside: Outside,
    runtime: Mutex<Option<Runtime>>,
    pub(super) shell: Option<Shell>,
}

/// Lets somebody look around where a program has failed.
pub struct Shell {
    /// What kind of terminal there is (`TERM`).
    pub terminal: String,
    /// Is given the shell that runs there, with a terminal; on a thread of the build's own, which waits for it.
    pub open: Box<Open>,
}

/// What opens a shell.
pub type Open = dyn Fn(&Running, &Handle) + Send + Sync;

impl fmt::Debug for Containers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Containers");
        shown
            .field("outside", &self.outside)
            .finish_non_exhaustive()
    }
}

/// What programs see of the machine.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// A file with the certificates that the machine trusts; networks that look into
    /// connections have their own there.
    pub certificates: Option<PathBuf>,
    /// Variables that lead to the network, such as `https_proxy`. No part of an image or a key.
    pub variables: BTreeMap<String, String>,
    /// Where those may connect to that have a way out alone ([`Network::Relay`]).
    pub gate: Gate,
}

impl Containers {
    /// Nothing is started until a program is to be run. Call it within a runtime of tokio, which
    /// must have threads of its own: builds block.
    pub fn new(outside: Outside) -> Self {
        Self {
            handle: Handle::current(),
            outside,
            runtime: Mutex::default(),
            shell: None,
        }
    }

    /// Opens a shell where a program fails, with all that the program left.
    #[must_use]
    pub fn with_shell(mut self, shell: Shell) -> Self {
        self.shell = Some(shell);
        self
    }

    pub(super) fn runtime(&self) -> Result<Runtime, StepError> {
        let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = runtime.as_ref() {
            return Ok(runtime.clone());
        }
        let started = self.handle.block_on(Runtime::start(Options::default()));
        let started = started.map_err(|error| {
            let cure = error.cure().map(|cure| format!("; `{cure}` helps"));
            StepError::Start(told(&error) + &cure.unwrap_or_default())
        })?;
        for lack in started.lacks() {
            tracing::warn!("{lack}: {}", lack.cure());
        }
        *runtime = Some(started.clone());
        Ok(started)
    }

    /// What a program joins: the machine's network; or another, whose loopback is up, with a way out where that is asked for.
    pub(super) fn network(
        &self,
        network: Option<Network>,
    ) -> Result<(Join, Option<relay::Running>), StepError> {
        let mut join = Join {
            host_network: true,
            ..Join::default()
        };
        if matches!(network, None | Some(Network::Host)) {
            return Ok((join, None));
        }
        let failed = |error: &dyn std::error::Error| StepError::Start(told(error));
        let runtime = self.runtime()?;
        let shared = self.handle.block_on(runtime.share(true, false, None));
        let own = shared.map_err(|error| failed(&error))?.network;
        join.host_network = false;
        join.network.clone_from(&own);
        let (Some(Network::Relay), Some(own)) = (network, own) else {
            return Ok((join, None));
        };
        let family = i32::from(AddressFamily::INET.as_raw());
        let kind = (SocketType::STREAM.as_raw() | SocketFlags::CLOEXEC.bits()).cast_signed();
        let socket = self.handle.block_on(runtime.socket(own, family, kind, 0));
        let socket = socket.map_err(|error| failed(&error))?;
        let _spawns = self.handle.enter();
        let Outside {
            gate, variables, ..
        } = &self.outside;
        let relay = relay::start(socket, gate.clone(), variables);
        Ok((join, Some(relay.map_err(|error| failed(&error))?)))
    }
}

/// An error with its causes, as one line.
pub(super) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
