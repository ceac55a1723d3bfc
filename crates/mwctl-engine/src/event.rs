//! Everything that a run can tell its user, as values.
//!
//! The engine sends these and never prints; the CLI shows them as text or as JSON lines (one
//! object a line, `"schema": 1`, documented in `docs/reference/events.md`).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use mwctl_core::name::ServiceName;
use mwctl_core::problem::Problem;
use serde::Serialize;

/// The version of the JSON form: raised when a field changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(
    tag = "event",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Event {
    /// A step of a plan began.
    StepStarted {
        /// The step's number in its plan.
        step: usize,
        /// What it does, as in `apply Deployment mathoid-local`.
        title: String,
        /// The service it is for.
        service: Option<ServiceName>,
    },
    /// A step says how far it is.
    StepProgress {
        /// The step's number in its plan.
        step: usize,
        /// One line.
        message: String,
    },
    /// A step succeeded.
    StepDone {
        /// The step's number in its plan.
        step: usize,
        /// What it did.
        title: String,
        /// The service it was for.
        service: Option<ServiceName>,
        /// How long it took.
        millis: u64,
    },
    /// A step was given up before its end: the user interrupted it, or newer work takes its place.
    StepStopped {
        /// The step's number in its plan.
        step: usize,
        /// What it did.
        title: String,
        /// The service it was for.
        service: Option<ServiceName>,
    },
    /// Something failed, with its cause as far as it is known.
    Failed {
        /// The service, where it is one's.
        service: Option<ServiceName>,
        /// What failed: one sentence.
        summary: String,
        /// The cause in more lines: a process's last output, a reason of Kubernetes.
        details: Vec<String>,
        /// What to type next.
        hint: Option<String>,
    },
    /// Something is wrong that may still pass; what was asked for goes on.
    Warning {
        /// The service, where it is one's.
        service: Option<ServiceName>,
        /// What is wrong: one sentence.
        summary: String,
        /// The cause in more lines, as in `failed`.
        details: Vec<String>,
        /// What to type next.
        hint: Option<String>,
    },
    /// A service's agent answers.
    Connected {
        /// The service.
        service: ServiceName,
        /// The pod it runs in.
        pod: String,
    },
    /// A service's agent is gone; another connection is tried.
    Disconnected {
        /// The service.
        service: ServiceName,
        /// Why, as far as it is known.
        reason: String,
    },
    /// Edits have reached a container.
    Update(Update),
    /// A developed process ended by itself.
    ProcessExited {
        /// The service.
        service: ServiceName,
        /// How, as in `exit code 1`.
        how: String,
        /// Its last output.
        last_lines: Vec<String>,
    },
    /// A developed process accepts connections.
    Ready {
        /// The service.
        service: ServiceName,
    },
    /// Output of a dependency step.
    Dependencies {
        /// The service.
        service: ServiceName,
        /// One line, without its end.
        line: String,
    },
    /// A command that runs on this machine when files change has succeeded; one that fails is `failed`.
    Ran {
        /// The service.
        service: ServiceName,
        /// The command, as it can be pasted.
        command: String,
        /// How long it took.
        millis: u64,
    },
    /// A line of a container's log.
    Log {
        /// The service.
        service: ServiceName,
        /// The pod.
        pod: String,
        /// The container.
        container: String,
        /// The line, without its end.
        line: String,
    },
    /// A dependency step changed a file that belongs into the checkout.
    LockFile {
        /// The service.
        service: ServiceName,
        /// The path in the checkout.
        path: String,
        /// Whether the checkout has it now.
        written: bool,
    },
    /// A local port leads to a service.
    Forwarding {
        /// The service.
        service: ServiceName,
        /// Where to connect.
        local: SocketAddr,
        /// The port in the pod.
        port: u16,
    },
    /// What the user wrote has problems; what ran before goes on.
    Problems {
        /// All of them.
        problems: Vec<Problem>,
    },
    /// A deployment is over; the last line of `up`.
    Done(Deployed),
    /// Tests are over; the last line of `test`.
    Tested {
        /// The service.
        service: ServiceName,
        /// The exit code of the test command.
        exit_code: i32,
    },
    /// Anything else worth a line.
    Notice {
        /// The service, where it is one's.
        service: Option<ServiceName>,
        /// One sentence without a full stop.
        text: String,
        /// What to type.
        hint: Option<String>,
    },
}

/// Edits that have reached a container, and how long each part took.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Update {
    /// The service.
    pub service: ServiceName,
    /// The session's number of the update.
    pub update: u64,
    /// The paths that changed.
    pub paths: BTreeSet<String>,
    /// What was done, in order.
    pub phases: Vec<Phase>,
    /// How it ended, as in `live`, `synchronised`, `crashed`.
    pub outcome: String,
    /// Milliseconds from the moment the first change was noticed to the end.
    pub millis: f64,
}

/// One part of an update.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Phase {
    /// As in `written`, `dependencies`, `stopped`, `started`, `ready`.
    pub name: String,
    /// Milliseconds since the first change was noticed.
    pub at: f64,
}

/// How a deployment ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployed {
    /// How many steps were done.
    pub done: usize,
    /// How many failed.
    pub failed: usize,
    /// How many were not begun.
    pub remaining: usize,
    /// How many objects were as wanted before.
    pub unchanged: usize,
    /// The stack's services.
    pub services: Vec<Address>,
}

/// Where a service is reached.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Address {
    /// The service.
    pub service: ServiceName,
    /// Its address inside the cluster; `null` where it has no port.
    pub url: Option<String>,
    /// Its addresses on this machine, that of its own port first; none where the cluster gives it none, and `forward` leads
    /// the way.
    pub local: Vec<String>,
}

/// Where events go: shared by everything that runs for one command.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl std::fmt::Debug for Events {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Events")
    }
}

impl Events {
    /// Sends events to `sink`, which must not block.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Tells one event.
    pub fn send(&self, event: Event) {
        (self.0)(event);
    }

    /// Tells one sentence.
    pub fn notice(&self, service: Option<&ServiceName>, text: impl Into<String>) {
        self.send(Event::Notice {
            service: service.cloned(),
            text: text.into(),
            hint: None,
        });
    }
}
