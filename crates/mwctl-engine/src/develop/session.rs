//! One developed service: its checkout, its agent, and the pure loop between them.
//!
//! ```text
//! watch ──Seen──┐                       ┌──→ read files
//! pods ──Target─┤→ core::develop::State ┼──→ messages to the agent
//! link ──Arrival┤     (no effects)      ├──→ a rebuild is asked for
//! timer ────────┘                       └──→ the next timer
//! ```
//!
//! This file only carries out effects and translates; what to do is decided by the state. It runs
//! until it is dropped or told to stop, and survives every loss of pod, stream or API server.

mod lock_files;
mod reports;
pub(crate) mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use mwctl_agent::protocol::{FromAgent, Outcome, ProcessState, ToAgent};
use mwctl_core::develop::{Effect, Event as CoreEvent, Rules, State};
use mwctl_core::model::{Develop, Service};
use mwctl_core::name::ServiceName;
use mwctl_core::tree::Node;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::lock_files::LockFiles;
use self::reports::Reports;
pub(crate) use self::reports::exit_in_words;
use super::checkout::{self, Content, ReadCheckout};
use super::link::{self, Arrival, Conversation, Identity, Link};
use crate::event::{Event, Events};
use crate::kube::Cluster;
use crate::kube::pods::{Target, follow, target};
use crate::watch::{Seen, Watch, WatchCheckout};

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
    next_wire: u64,
    rebuild_tx: mpsc::UnboundedSender<Service>,
    arrived_tx: mpsc::UnboundedSender<Arrived>,
    /// The wire's number of the commit that ends a comparison.
    settling: Option<u64>,
    apply: Option<Apply>,
    in_sync: bool,
    /// Whether the end of the process has been told since the last commit.
    told_exit: bool,
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
        next_wire: 0,
        rebuild_tx,
        arrived_tx,
        settling: None,
        apply: None,
        in_sync: false,
        told_exit: false,
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
                        let text = format!("{owner} has taken over; waiting until it is free");
                        events.notice(Some(&this.subject.service.name), text);
                    }
                    connect(cluster, &this, running.as_ref(), LONGEST_PAUSE, false, &mut connecting);
                }
                Ok(Err(error)) => {
                    tracing::debug!("no connection: {}", chain(&error));
                    if matches!(error, Link::Refused { .. }) {
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

    fn event(&mut self, event: CoreEvent) {
        let now = self.now();
        for effect in self.state.handle(event, now) {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Read(paths) => {
                let mut found = Vec::with_capacity(paths.len());
                for path in paths {
                    let content = checkout::read(&self.subject.root, &path);
                    found.push((
                        path.clone(),
                        content.as_ref().map(|content| content.node.clone()),
                    ));
                    if let Some(content) = content {
                        self.contents.insert(path, content);
                    }
                }
                self.event(CoreEvent::Found(found));
                self.contents.clear();
            }
            Effect::Want { update } => {
                let wire = self.wire();
                self.converging = Some((update, wire));
                self.needed.clear();
                for message in wire::want(wire, self.state.desired()) {
                    self.send(message);
                }
            }
            Effect::Copy {
                update,
                put,
                delete,
            } => self.copy(update, put, delete),
            Effect::Commit {
                update,
                since,
                paths,
                dependencies,
                restart,
            } => {
                let step = self.step(dependencies);
                let converging = self.converging.take_if(|(number, _)| *number == update);
                let wire = match converging {
                    Some((_, wire)) => Some(wire),
                    None if step.is_some() || restart => Some(self.wire()),
                    None => None,
                };
                self.reports.commit(update, since, paths, wire);
                self.told_exit = false;
                if let Some(wire) = wire {
                    let in_place = self.subject.develop.in_place;
                    let whole = converging.is_some();
                    if whole {
                        self.settling = Some(wire);
                    }
                    self.send(wire::commit(wire, step, restart, whole, in_place));
                }
                self.tell_finished();
            }
            Effect::Rebuild(paths) => {
                let paths: Vec<_> = paths.into_iter().collect();
                let text = format!("{} needs a new image", paths.join(", "));
                self.events.notice(Some(&self.subject.service.name), text);
                drop(self.rebuild_tx.send(self.subject.service.clone()));
            }
            Effect::Wake(at) => self.wake = Some(at),
        }
    }

    fn copy(&mut self, update: u64, put: Vec<(String, Node)>, delete: Vec<String>) {
        let mut contents = Vec::with_capacity(put.len());
        let mut missed = Vec::new();
        for (path, node) in put {
            let content = self
                .contents
                .remove(&path)
                .or_else(|| checkout::read(&self.subject.root, &path))
                .filter(|content| content.node == node);
            match content {
                Some(content) => contents.push((wire::entry(&path, &node), content.bytes)),
                None => missed.push(path),
            }
        }
        let messages = match self.converging {
            Some((number, wire)) if number == update => wire::parts(wire, contents, &delete),
            _ => {
                let wire = self.wire();
                self.reports.copying(update, wire);
                wire::edit(wire, contents, delete, self.subject.develop.in_place)
            }
        };
        for message in messages {
            self.send(message);
        }
        if !missed.is_empty() {
            self.event(CoreEvent::Missed(missed));
        }
    }

    fn wire(&mut self) -> u64 {
        self.next_wire += 1;
        self.next_wire
    }

    fn send(&mut self, message: ToAgent) {
        if let Some(conversation) = &self.conversation {
            // A closed stream is reported by its other end.
            drop(conversation.outgoing_tx.send(message));
        }
    }

    fn saw(&mut self, seen: Seen) -> Result<(), Session> {
        match seen {
            Seen::Paths(paths) => {
                if paths.iter().any(|path| path.ends_with(".gitignore")) {
                    self.describe(self.subject.clone())?;
                }
                self.event(CoreEvent::Changed(paths));
            }
            Seen::Everything => {
                let walk = checkout::walk(&self.subject.root, "", self.state.rules())?;
                let mut paths: BTreeSet<String> = walk.tree.into_keys().collect();
                paths.extend(self.state.desired().keys().cloned());
                self.event(CoreEvent::Changed(paths));
            }
            Seen::Polled { folder, reason } => {
                let text = format!("{} is polled: {reason}", folder.display());
                self.events.notice(Some(&self.subject.service.name), text);
            }
        }
        Ok(())
    }

    fn describe(&mut self, subject: Subject) -> Result<(), Session> {
        let rules = rules(&subject)?;
        self.subject = subject;
        self.watch.set_rules(rules.clone());
        self.event(CoreEvent::Described(Box::new(rules)));
        self.saw(Seen::Everything)
    }

    fn connected(&mut self, conversation: Conversation, pod: String) {
        let started = !matches!(
            conversation.welcome.process,
            ProcessState::AwaitingSession | ProcessState::Stopped
        );
        self.conversation = Some(conversation);
        let service = self.subject.service.name.clone();
        self.events.send(Event::Connected { service, pod });
        self.event(CoreEvent::Connected { started });
    }

    fn lost(&mut self, reason: &str) {
        self.in_sync = false;
        self.converging = None;
        self.reports.abandon();
        if let Some(Apply::Running(_)) = self.apply {
            self.apply = Some(Apply::Wanted);
        }
        let service = self.subject.service.name.clone();
        self.events.send(Event::Disconnected {
            service,
            reason: reason.to_owned(),
        });
        self.event(CoreEvent::Lost);
    }

    fn failed(&self, summary: String) {
        self.events.send(Event::Failed {
            service: Some(self.subject.service.name.clone()),
            summary,
            details: Vec::new(),
            hint: None,
        });
    }

    fn arrived(&mut self, arrival: Arrival) {
        let message = match arrival {
            Arrival::Message(message) => message,
            Arrival::Closed { reason } => {
                self.conversation = None;
                self.lost(&reason);
                return;
            }
        };
        let now = self.now();
        let service = self.subject.service.name.clone();
        match message {
            FromAgent::Need {
                update,
                paths,
                last,
            } => {
                if let Some((number, wire)) = self.converging
                    && wire == update
                {
                    self.needed.extend(paths);
                    if last {
                        let paths = std::mem::take(&mut self.needed);
                        self.event(CoreEvent::Needed {
                            update: number,
                            paths,
                        });
                        self.in_sync = true;
                        self.apply_when_in_sync();
                    }
                }
            }
            FromAgent::Applied(applied) => {
                let changed = applied.written + applied.deleted;
                self.reports.written(applied.update, changed, now);
                for refused in applied.failed.iter().chain(&applied.kept) {
                    let text = format!("{}: {}", refused.path, refused.reason);
                    self.events.notice(Some(&service), text);
                }
            }
            FromAgent::Phase { update, phase, .. } => self.reports.phase(update, &phase, now),
            FromAgent::Finished {
                update, outcome, ..
            } => {
                if self.apply == Some(Apply::Running(update)) {
                    self.apply = None;
                    let live = matches!(outcome, Outcome::Live | Outcome::Synchronised);
                    self.reports.applied = Some(if live { Applied::Live } else { Applied::Failed });
                }
                self.reports.finished(update, &outcome, now);
                self.tell_finished();
                if self.settling.take_if(|wire| *wire == update).is_some() {
                    // Nobody may be interested any more.
                    let live = matches!(outcome, Outcome::Live | Outcome::Synchronised);
                    drop(self.arrived_tx.send(Arrived { service, live }));
                }
            }
            FromAgent::StepOutput { bytes, .. } => {
                for line in String::from_utf8_lossy(&bytes.0).lines() {
                    let (service, line) = (service.clone(), line.to_owned());
                    self.events.send(Event::Dependencies { service, line });
                }
            }
            FromAgent::FilesChanged { entries, .. } => {
                let paths = self.lock_files.changed(&entries);
                if self.options.take_lock_files {
                    self.send(ToAgent::Fetch { paths });
                } else {
                    for path in paths {
                        let service = service.clone();
                        self.events.send(Event::LockFile {
                            service,
                            path,
                            written: false,
                        });
                    }
                }
            }
            FromAgent::Fetched { path, entry } => {
                let done = self.lock_files.fetched(path, entry);
                self.take_lock_file(done);
            }
            FromAgent::Contents { data } => {
                let done = self.lock_files.contents(data);
                self.take_lock_file(done);
            }
            // Until something changes, the next try will end like this one.
            FromAgent::ProcessExited(_) if self.told_exit => {}
            FromAgent::ProcessExited(exited) => {
                self.told_exit = true;
                self.events.send(Event::ProcessExited {
                    service,
                    how: reports::exit_in_words(exited.exit),
                    last_lines: exited.last_lines,
                });
            }
            FromAgent::Ready { .. } => self.events.send(Event::Ready { service }),
            FromAgent::Problem { text, .. } => self.failed(text),
            FromAgent::NotReady { reason } => tracing::debug!("{service} is not ready: {reason}"),
            FromAgent::Heartbeat { .. } | FromAgent::Welcome(_) | FromAgent::Refused(_) => {}
        }
    }

    fn take_lock_file(&mut self, done: Option<lock_files::LockFile>) {
        let Some(file) = done else { return };
        let service = self.subject.service.name.clone();
        match lock_files::write(&self.subject.root, &file) {
            Ok(node) => {
                self.event(CoreEvent::Taken(file.path.clone(), node));
                self.events.send(Event::LockFile {
                    service,
                    path: file.path,
                    written: true,
                });
            }
            Err(error) => self.failed(format!("cannot write `{}`: {error}", file.path)),
        }
    }

    fn tell_finished(&mut self) {
        for update in self.reports.take_finished() {
            self.events.send(Event::Update(update));
        }
    }

    fn apply_when_in_sync(&mut self) {
        if self.in_sync && self.apply == Some(Apply::Wanted) {
            let wire = self.wire();
            self.apply = Some(Apply::Running(wire));
            let now = self.now();
            let step = self.step(true).unwrap_or_default();
            let update = u64::MAX - wire;
            self.reports
                .commit(update, now, BTreeSet::new(), Some(wire));
            self.send(wire::run_step(wire, step));
        }
    }

    fn applied(&mut self) -> Option<Applied> {
        self.reports.applied.take()
    }

    fn step(&self, wanted: bool) -> Option<mwctl_agent::protocol::Step> {
        let dependencies = self.subject.develop.dependencies.as_ref()?;
        wanted.then(|| wire::step(dependencies))
    }
}
