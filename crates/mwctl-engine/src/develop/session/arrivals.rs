//! What comes from the agent: translated into events of the state, reports and news for people.

use std::collections::BTreeSet;

use mwctl_agent::protocol::{FromAgent, Outcome, ProcessState, ToAgent};
use mwctl_core::develop::Event as CoreEvent;

use super::{Applied, Apply, Arrival, Arrived, Conversation, Loop, lock_files, reports, wire};
use crate::event::Event;

impl Loop<'_> {
    pub(super) fn connected(&mut self, conversation: Conversation, pod: String) {
        let started = !matches!(
            conversation.welcome.process,
            ProcessState::AwaitingSession | ProcessState::Stopped
        );
        self.conversation = Some(conversation);
        let service = self.subject.service.name.clone();
        self.events.send(Event::Connected { service, pod });
        self.event(CoreEvent::Connected { started });
    }

    pub(super) fn lost(&mut self, reason: &str) {
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

    pub(super) fn failed(&self, summary: String) {
        self.events.send(Event::Failed {
            service: Some(self.subject.service.name.clone()),
            summary,
            details: Vec::new(),
            hint: None,
        });
    }

    pub(super) fn arrived(&mut self, arrival: Arrival) {
        let message = match arrival {
            Arrival::Message(message) => message,
            Arrival::Closed { reason } => {
                self.conversation = None;
                let reason = self.ending.take().unwrap_or(reason);
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
                let failed = matches!(outcome, Outcome::DependenciesFailed { .. });
                if failed && self.is_mounted() {
                    self.events.send(Event::Notice {
                        service: Some(service.clone()),
                        text: "its checkout is mounted for reading only: a step that writes there, as a lock file, fails".to_owned(),
                        hint: Some(format!("mwctl develop {service}  # without --mount")),
                    });
                }
                self.reports.finished(update, &outcome, now);
                let told = self.tell_finished();
                if self.settling.take_if(|wire| *wire == update).is_some() {
                    let live = matches!(outcome, Outcome::Live | Outcome::Synchronised);
                    if live && !told {
                        self.events.notice(Some(&service), "is up to date");
                    }
                    // Nobody may be interested any more.
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
            // The stream closes after it: it says why.
            FromAgent::Problem { text, fatal: true } => self.ending = Some(text),
            FromAgent::Problem { text, .. } => self.failed(text),
            FromAgent::NotReady { reason } => tracing::debug!("{service} is not ready: {reason}"),
            FromAgent::Heartbeat { .. } | FromAgent::Welcome(_) | FromAgent::Refused(_) => {}
        }
    }

    pub(super) fn take_lock_file(&mut self, done: Option<lock_files::LockFile>) {
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

    /// Tells the updates that are over; whether there were any.
    pub(super) fn tell_finished(&mut self) -> bool {
        let finished = self.reports.take_finished();
        let any = !finished.is_empty();
        for update in finished {
            self.events.send(Event::Update(update));
        }
        any
    }

    pub(super) fn apply_when_in_sync(&mut self) {
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
}
