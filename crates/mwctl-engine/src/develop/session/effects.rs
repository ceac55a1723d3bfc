//! Carries out what the pure state decides: reads files, sends messages, asks for images.

use std::collections::BTreeSet;

use mwctl_agent::protocol::{Step, ToAgent};
use mwctl_core::develop::{Effect, Event as CoreEvent};
use mwctl_core::tree::Node;

use super::{Loop, Session, Subject, checkout, rules, wire};
use crate::watch::Seen;

impl Loop<'_> {
    pub(super) fn event(&mut self, event: CoreEvent) {
        let now = self.now();
        for effect in self.state.handle(event, now) {
            self.carry_out(effect);
        }
    }

    pub(super) fn carry_out(&mut self, effect: Effect) {
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
            Effect::Run(command) => self.run_here(command),
            Effect::Wake(at) => self.wake = Some(at),
        }
    }

    pub(super) fn copy(&mut self, update: u64, put: Vec<(String, Node)>, delete: Vec<String>) {
        let mut contents = Vec::with_capacity(put.len());
        let mut missed = Vec::new();
        let mounted = self.is_mounted();
        for (path, node) in put {
            if mounted {
                // The container has the checkout's own file: it is only told that it is another now.
                contents.push((wire::entry(&path, &node), Vec::new()));
                continue;
            }
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

    /// Whether the container has the checkout itself.
    pub(super) fn is_mounted(&self) -> bool {
        let conversation = self.conversation.as_ref();
        conversation.is_some_and(|conversation| conversation.welcome.mounted)
    }

    pub(super) fn wire(&mut self) -> u64 {
        self.next_wire += 1;
        self.next_wire
    }

    pub(super) fn send(&mut self, message: ToAgent) {
        if let Some(conversation) = &self.conversation {
            // A closed stream is reported by its other end.
            drop(conversation.outgoing_tx.send(message));
        }
    }

    pub(super) fn saw(&mut self, seen: Seen) -> Result<(), Session> {
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

    pub(super) fn describe(&mut self, subject: Subject) -> Result<(), Session> {
        let rules = rules(&subject)?;
        self.subject = subject;
        self.watch.set_rules(rules.clone());
        self.event(CoreEvent::Described(Box::new(rules)));
        self.saw(Seen::Everything)
    }

    pub(super) fn step(&self, wanted: bool) -> Option<Step> {
        let dependencies = self.subject.develop.dependencies.as_ref()?;
        wanted.then(|| wire::step(dependencies))
    }
}
