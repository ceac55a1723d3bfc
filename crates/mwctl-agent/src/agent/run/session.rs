//! The agent's side of a conversation: who is let in, and what each message does.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::{Agent, Event};
use crate::agent::connection::Connection;
use crate::agent::ownership::{Answer, ConnectionId};
use crate::agent::process::note;
use crate::agent::supervise::{Commitment, Input};
use crate::protocol::{
    Applied, CHUNK, Commit, Data, FromAgent, Hello, PROTOCOL, Restart, Step, ToAgent, WANT_PART,
    Welcome,
};

impl Agent {
    pub(super) fn join(&mut self, control: UnixStream, input: OwnedFd, output: OwnedFd) {
        self.joined += 1;
        let (id, events) = (self.joined, self.events.clone());
        let tell = move |heard| {
            // The loop is gone when the agent leaves.
            let _gone = events.send(Event::Heard(id, heard));
        };
        match Connection::start(control, input, output, tell) {
            Ok(connection) => drop(self.connections.insert(id, connection)),
            Err(error) => note(&format!("a stream could not be joined: {error}")),
        }
    }

    pub(super) fn closed(&mut self, connection: ConnectionId, reason: Option<String>) {
        if let Some(text) = reason
            && let Some(stream) = self.connections.get(&connection)
        {
            note(&format!("a session's stream is closed: {text}"));
            let _gone = stream.send(&FromAgent::Problem { text, fatal: true });
        }
        self.connections.remove(&connection);
        if self.ownership.closed(connection) {
            self.files.abandon(None);
        }
    }

    /// Tells the owner, if there is one.
    pub(super) fn tell(&mut self, message: &FromAgent) {
        if let Some(owner) = self.ownership.connection() {
            self.send(owner, message);
        }
    }

    fn send(&mut self, connection: ConnectionId, message: &FromAgent) {
        let Some(stream) = self.connections.get(&connection) else {
            return;
        };
        if let Err(error) = stream.send(message) {
            self.closed(
                connection,
                Some(format!("it doesn't take messages: {error}")),
            );
        }
    }

    pub(super) fn message(&mut self, from: ConnectionId, message: ToAgent, received: Duration) {
        if !self.connections.contains_key(&from) {
            // It was closed while this was on its way.
            return;
        }
        let message = match message {
            ToAgent::Hello(hello) => return self.hello(from, &hello),
            message => message,
        };
        let now = self.now();
        let Some(session) = self.ownership.heard(from, now).map(str::to_owned) else {
            let text = "the first message must be a hello".to_owned();
            self.send(from, &FromAgent::Problem { text, fatal: true });
            return self.closed(from, None);
        };
        match message {
            ToAgent::Hello(_) => {}
            ToAgent::Heartbeat { nonce } => self.tell(&FromAgent::Heartbeat { nonce }),
            ToAgent::Want {
                update,
                entries,
                last,
            } => {
                if let Some(paths) = self.files.want(update, entries, last) {
                    self.need(update, &paths);
                }
            }
            ToAgent::Put { update, entry } => self.files.put(update, entry),
            ToAgent::Chunk { data } => self.files.chunk(data),
            ToAgent::Delete { update, paths } => self.files.delete(update, &paths),
            ToAgent::Commit(commit) => self.commit(&session, commit, received),
            ToAgent::Update {
                puts,
                deletes,
                commit,
            } => {
                self.files.abandon(None);
                self.files.put_complete(commit.update, puts);
                self.files.delete(commit.update, &deletes);
                self.commit(&session, commit, received);
            }
            ToAgent::Abandon { update } => self.files.abandon(Some(update)),
            ToAgent::RunStep {
                update,
                step,
                restart,
            } => {
                let step = Step {
                    force: true,
                    ..step
                };
                self.commit_nothing(update, Some(step), restart, received);
            }
            ToAgent::Restart { update } => {
                self.commit_nothing(update, None, Restart::Always, received);
            }
            ToAgent::Fetch { paths } => paths.into_iter().for_each(|path| self.fetch(path)),
            ToAgent::Stop => self.feed(Input::Stop),
        }
    }

    fn hello(&mut self, from: ConnectionId, hello: &Hello) {
        let now = self.now();
        match self.ownership.ask(hello, from, now) {
            Answer::Refused(refused) => {
                self.send(from, &FromAgent::Refused(refused));
                self.closed(from, None);
            }
            Answer::Accepted {
                superseded,
                previous,
            } => {
                if let Some(before) = superseded {
                    let text = format!("{} took this container over", hello.owner);
                    self.send(before, &FromAgent::Problem { text, fatal: true });
                    self.connections.remove(&before);
                }
                self.files.abandon(None);
                let welcome = Welcome {
                    protocol: PROTOCOL,
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    digest: self.options.digest.clone(),
                    agent_id: self.id.clone(),
                    process: self.supervisor.state(now),
                    last_update: self.files.last_update(),
                    mounted: self.options.mounted,
                    previous_owner: previous,
                };
                self.send(from, &FromAgent::Welcome(welcome));
                self.feed(Input::SessionJoined);
            }
        }
    }

    fn need(&mut self, update: u64, paths: &[String]) {
        let mut parts = paths.chunks(WANT_PART).peekable();
        if parts.peek().is_none() {
            self.tell(&FromAgent::Need {
                update,
                paths: Vec::new(),
                last: true,
            });
        }
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            self.tell(&FromAgent::Need {
                update,
                paths: part.to_vec(),
                last,
            });
        }
    }

    fn commit(&mut self, session: &str, commit: Commit, received: Duration) {
        let Commit {
            update,
            step,
            restart,
            in_place,
        } = commit;
        let mut done = self.files.commit(session, update, in_place);
        done.applied.micros = self.micros_since(received);
        self.tell(&FromAgent::Applied(done.applied));
        let step = step.map(|step| {
            let touched = step.inputs.iter().any(|input| done.changed.contains(input));
            (step, touched)
        });
        let changed = !done.changed.is_empty();
        self.feed(Input::Committed(Commitment {
            update,
            received,
            changed,
            step,
            restart,
        }));
    }

    /// What is answered like a commit but has no files.
    fn commit_nothing(
        &mut self,
        update: u64,
        step: Option<Step>,
        restart: Restart,
        received: Duration,
    ) {
        let micros = self.micros_since(received);
        self.tell(&FromAgent::Applied(Applied {
            update,
            micros,
            ..Applied::default()
        }));
        let step = step.map(|step| (step, false));
        let commitment = Commitment {
            update,
            received,
            changed: false,
            step,
            restart,
        };
        self.feed(Input::Committed(commitment));
    }

    fn micros_since(&self, received: Duration) -> u64 {
        u64::try_from(self.now().saturating_sub(received).as_micros()).unwrap_or(u64::MAX)
    }

    fn fetch(&mut self, path: String) {
        let (entry, contents) = self.files.fetch(&path).unzip();
        self.tell(&FromAgent::Fetched { path, entry });
        for piece in contents.unwrap_or_default().chunks(CHUNK) {
            let data = Data::pack(piece);
            self.tell(&FromAgent::Contents { data });
        }
    }
}
