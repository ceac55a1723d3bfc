//! One developed service: its checkout, its agent, and the pure loop between them.
//!
//! ```text
//! watch ──Seen──┐                       ┌──→ read files
//! pods ──Target─┤→ core::develop::State ┼──→ messages to the agent
//! link ──Arrival┤     (no effects)      ├──→ a rebuild is asked for
//! timer ────────┘                       └──→ the next timer
//! ```
//!
//! This file waits; `effects` carries out what the state decides, `arrivals` translates what the agent
//! says. It runs
//! until it is dropped or told to stop, and survives every loss of pod, stream or API server.

mod arrivals;
mod commands;
mod effects;
mod lock_files;
mod reports;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use mwctl_core::develop::{Event as CoreEvent, Rules, State};
use mwctl_core::model::{Develop, Service};
use mwctl_core::name::ServiceName;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::lock_files::LockFiles;
use self::reports::Reports;
pub(crate) use self::reports::exit_in_words;
use super::checkout::{self, Content, ReadCheckout};
use super::link::{self, Arrival, Conversation, Identity, Link};
use crate::event::Events;
use crate::kube::Cluster;
use crate::kube::pods::{Target, follow, target};
use crate::watch::{Watch, WatchCheckout};

/// The pause after a first failed connection; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause between two tries to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A session can't go on.
#[derive(Debug, thiserror::Error)]
pub enum Session {
    /// The checkout can't be read.
    #[error(transparent)]
    Read(#[from] ReadCheckout),
    /// The checkout can't be watched.
    #[error(transparent)]
    Watch(#[from] WatchCheckout),
    /// A pattern of the service is invalid.
    #[error(transparent)]
    Rule(#[from] mwctl_core::develop::InvalidRule),
    /// Somebody else develops the service.
    #[error("`{service}` is being developed by {owner}")]
    Owned {
        /// The service.
        service: String,
        /// As the agent knows them.
        owner: String,
    },
}

/// What is developed, and where.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The service, as described at this moment.
    pub service: Service,
    /// How it is developed.
    pub develop: Develop,
    /// Its checkout.
    pub root: PathBuf,
    /// The selector of its pods.
    pub selector: String,
    /// The name of its main container in the pod.
    pub container: String,
}

/// How a session behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who this is.
    pub identity: Identity,
    /// Ends another session's ownership at the first connection.
    pub take_over: bool,
    /// Writes lock files that changed in the container into the checkout.
    pub take_lock_files: bool,
}

/// Whom a session tells.
#[derive(Clone, Debug)]
pub struct Reporting<'a> {
    /// What it tells people.
    pub events: &'a Events,
    /// Hears when sync can't express a change.
    pub rebuild_tx: mpsc::UnboundedSender<Service>,
    /// Hears each time the whole tree has arrived.
    pub arrived_tx: mpsc::UnboundedSender<Arrived>,
}

/// A service's whole tree has arrived in its container.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Arrived {
    /// The service.
    pub service: ServiceName,
    /// Whether its process runs with it.
    pub live: bool,
}

/// What a session can be told while it runs.
#[derive(Debug)]
pub enum Control {
    /// The service is described differently now.
    Describe(Box<Subject>),
    /// Run the dependency step now and restart; ends the session when it is done.
    Apply,
}

/// How a session that was told to [`Control::Apply`] ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Applied {
    /// The process runs with the new dependencies.
    Live,
    /// The step or the process failed; events have told why.
    Failed,
}

/// Reads what the ignore files and the description say about a checkout.
pub fn rules(subject: &Subject) -> Result<Rules, Session> {
    Ok(Rules::new(
        &subject.develop,
        &checkout::ignore_lines(&subject.root),
    )?)
}

struct Loop<'a> {
    subject: Subject,
    options: &'a Options,
    events: &'a Events,
    state: State,
    watch: Watch,
    start: Instant,
    wake: Option<Duration>,
    conversation: Option<Conversation>,
    /// The update that answers `Want`, as (number of the state, number on the wire).
    converging: Option<(u64, u64)>,
    needed: Vec<String>,
    /// What was read a moment ago, for the copy that follows.
    contents: BTreeMap<String, Content>,
    reports: Reports,
    lock_files: LockFiles,
    commands: commands::Running,
    next_wire: u64,
    rebuild_tx: mpsc::UnboundedSender<Service>,
    arrived_tx: mpsc::UnboundedSender<Arrived>,
    /// The wire's number of the commit that ends a comparison.
    settling: Option<u64>,
    apply: Option<Apply>,
    in_sync: bool,
    /// Whether the end of the process has been told since the last commit.
    told_exit: bool,
    /// Why the agent is about to close the stream.
    ending: Option<String>,
}

/// How far a requested dependency step is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Apply {
    Wanted,
    Running(u64),
}

/// Runs a session until it ends by itself, which it only does when told to [`Control::Apply`].
///
/// Cancel safety: dropping it closes the
/// stream; the container goes on with what it has.
pub async fn run(
    cluster: &Cluster,
    subject: Subject,
    options: &Options,
    reporting: Reporting<'_>,
    mut control_rx: mpsc::UnboundedReceiver<Control>,
) -> Result<Applied, Session> {
    let Reporting {
        events,
        rebuild_tx,
        arrived_tx,
    } = reporting;
    let rules = rules(&subject)?;
    let walk = checkout::walk(&subject.root, "", &rules)?;
    let watch = Watch::new(&subject.root, rules.clone(), &walk.folders)?;
    // Edits between the walk and the watch would be missed: look again, now that all is watched.
    let tree = checkout::walk(&subject.root, "", &rules)?.tree;
    let mut this = Loop {
        state: State::new(rules, tree),
        watch,
        options,
        events,
        start: Instant::now(),
        wake: None,
        conversation: None,
        converging: None,
        needed: Vec::new(),
        contents: BTreeMap::new(),
        reports: Reports::new(subject.service.name.clone()),
        lock_files: LockFiles::default(),
        commands: commands::Running::new(),
        next_wire: 0,
        rebuild_tx,
        arrived_tx,
        settling: None,
        apply: None,
        in_sync: false,
        told_exit: false,
        ending: None,
        subject,
    };
    let mut pods = pin!(follow(cluster, &this.subject.selector.clone()));
    let mut running: Option<Target> = None;
    let mut connecting: JoinSet<Result<Conversation, Link>> = JoinSet::new();
    let mut pause = FIRST_PAUSE;
    let mut first = true;
    let mut told_of_owner = false;
    loop {
        let now = this.start.elapsed();
        let timer = this.wake.map(|at| this.start + at.max(now));
        tokio::select! {
            biased;
            arrival = next(&mut this.conversation) => {
                this.arrived(arrival);
                if this.conversation.is_none() {
                    pause = FIRST_PAUSE;
                    connect(cluster, &this, running.as_ref(), Duration::ZERO, false, &mut connecting);
                }
                if let Some(applied) = this.applied() {
                    return Ok(applied);
                }
            }
            () = sleep_until(timer), if timer.is_some() => {
                this.wake = None;
                this.event(CoreEvent::Tick);
            }
            seen = this.watch.next() => this.saw(seen)?,
            Some(Ok(ended)) = this.commands.join_next() => this.ended_here(ended),
            Some(found) = pods.next() => if let Ok(found) = found {
                let now_running = target(&found, &this.subject.container);
                if now_running != running {
                    if this.conversation.take().is_some() {
                        this.lost("its container was replaced");
                    }
                    running = now_running;
                    pause = FIRST_PAUSE;
                    connecting.abort_all();
                    let take_over = first && options.take_over;
                    connect(cluster, &this, running.as_ref(), Duration::ZERO, take_over, &mut connecting);
                }
            },
            Some(connected) = connecting.join_next() => match connected {
                Ok(Ok(conversation)) => {
                    first = false;
                    told_of_owner = false;
                    pause = FIRST_PAUSE;
                    let pod = running.as_ref().map(|target| target.pod.clone());
                    this.connected(conversation, pod.unwrap_or_default());
                }
                Ok(Err(Link::Refused { refused, .. })) if refused.owner.is_some() => {
                    let owner = refused.owner.unwrap_or_default();
                    if first {
                        let service = this.subject.service.name.to_string();
                        return Err(Session::Owned { service, owner });
                    }
                    if !told_of_owner {
                        told_of_owner = true;
                        let text = format!("is with {owner} for now; waiting until it is free");
                        events.notice(Some(&this.subject.service.name), text);
                    }
                    connect(cluster, &this, running.as_ref(), LONGEST_PAUSE, false, &mut connecting);
                }
                Ok(Err(error)) => {
                    tracing::debug!("no connection: {}", chain(&error));
                    if matches!(error, Link::Refused { .. } | Link::OtherAgent { .. }) {
                        this.failed(error.to_string());
                    }
                    connect(cluster, &this, running.as_ref(), pause, false, &mut connecting);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(_aborted) => {}
            },
            Some(control) = control_rx.recv() => match control {
                Control::Describe(subject) => this.describe(*subject)?,
                Control::Apply => {
                    this.apply = Some(Apply::Wanted);
                    this.apply_when_in_sync();
                }
            },
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

async fn next(conversation: &mut Option<Conversation>) -> Arrival {
    match conversation {
        Some(conversation) => match conversation.incoming_rx.recv().await {
            Some(arrival) => arrival,
            None => Arrival::Closed {
                reason: "the stream ended".to_owned(),
            },
        },
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn connect(
    cluster: &Cluster,
    this: &Loop<'_>,
    running: Option<&Target>,
    pause: Duration,
    take_over: bool,
    connecting: &mut JoinSet<Result<Conversation, Link>>,
) {
    let Some(target) = running.cloned() else {
        return;
    };
    let (cluster, container) = (cluster.clone(), this.subject.container.clone());
    let identity = this.options.identity.clone();
    connecting.spawn(async move {
        tokio::time::sleep(pause).await;
        link::open(&cluster, &target.pod, &container, &identity, take_over).await
    });
}

impl Loop<'_> {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn applied(&mut self) -> Option<Applied> {
        self.reports.applied.take()
    }
}
