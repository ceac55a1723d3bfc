//! The edit loop's decisions for one service: `handle(event, now) -> effects`.
//!
//! ```text
//! Changed ──→ Read ──→ Found ──→ Copy at once; the batch stays open for a moment
//!                                Tick at its end ──→ Commit (dependencies? restart?)
//! Connected ──→ Want (the whole desired tree) ──→ Needed ──→ Copy, Commit
//! Lost ──→ nothing is sent; edits go on changing the desired tree
//! ```
//!
//! The desired tree is what the checkout has. What the container has is known only while the
//! agent is connected, and is asked anew at each connection: so a restart, a new pod, a dropped
//! connection or an edit during any of these converge in the same way, and nothing is queued that
//! could be lost. Time is a [`Duration`] since any fixed moment; nothing here waits.

mod batch;
mod commands;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use batch::{BULK, LONGEST_BATCH, LONGEST_WINDOW, SHORTEST_WINDOW};
pub use rules::{InvalidRule, Rules};

use batch::Batch;
use commands::Commands;

use crate::tree::{Node, Tree};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Files may have changed: written and closed, renamed, removed.
    Changed(BTreeSet<String>),
    /// What a [`Effect::Read`] found; `None` where nothing stands any more.
    Found(Vec<(String, Option<Node>)>),
    /// The agent answers on a new connection.
    Connected {
        /// Whether its process has been started already.
        started: bool,
    },
    /// The agent's answer to [`Effect::Want`].
    Needed {
        /// The update it answers.
        update: u64,
        /// Paths whose content differs from what was wanted.
        paths: Vec<String>,
    },
    /// These couldn't be copied as asked, because the checkout had changed again meanwhile.
    Missed(Vec<String>),
    /// The container made this content itself and the checkout has it now too.
    Taken(String, Node),
    /// The connection is gone.
    Lost,
    /// The moment asked for by [`Effect::Wake`] has come.
    Tick,
    /// The service is described differently now.
    Described(Box<Rules>),
    /// A command of this machine, asked for by [`Effect::Run`], has ended.
    Ran(usize),
}

/// Something to be done by the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Look at these paths and answer with [`Event::Found`].
    Read(BTreeSet<String>),
    /// Tell the agent the whole desired tree.
    Want {
        /// The update's number.
        update: u64,
    },
    /// Write and remove files in the container.
    Copy {
        /// The update's number.
        update: u64,
        /// Paths to write, with what they must contain.
        put: Vec<(String, Node)>,
        /// Paths to remove.
        delete: Vec<String>,
    },
    /// The update is complete.
    Commit {
        /// The update's number.
        update: u64,
        /// When its first change was noticed.
        since: Duration,
        /// Every path it touched.
        paths: BTreeSet<String>,
        /// Run the dependency step first.
        dependencies: bool,
        /// Restart the process. The answer to a [`Effect::Want`] restarts it also when the agent
        /// removed files that are no longer wanted: only the agent knows of those.
        restart: bool,
    },
    /// A new image is needed, because of these paths.
    Rebuild(BTreeSet<String>),
    /// Run a command of this machine, by its place in the description, and answer with [`Event::Ran`].
    Run(usize),
    /// Send [`Event::Tick`] at this moment, instead of any asked for before.
    Wake(Duration),
}

/// Whether and how far the agent is connected.
#[derive(Clone, Debug, PartialEq)]
enum Link {
    Down,
    /// The whole tree was sent; the agent compares.
    Comparing {
        update: u64,
        started: bool,
        since: Duration,
    },
    /// `actual` is what the container has.
    Up {
        actual: Tree,
    },
}

/// One service's edit loop.
#[derive(Clone, Debug)]
pub struct State {
    rules: Rules,
    desired: Tree,
    link: Link,
    batch: Option<Batch>,
    /// Paths that were emptied a moment ago: the second half of the save is awaited.
    emptied: BTreeMap<String, Node>,
    last_batch_end: Option<Duration>,
    updates: u64,
    commands: Commands,
}

impl State {
    /// A loop that wants `desired` in the container.
    pub fn new(rules: Rules, desired: Tree) -> Self {
        Self {
            rules,
            desired,
            link: Link::Down,
            batch: None,
            emptied: BTreeMap::new(),
            last_batch_end: None,
            updates: 0,
            commands: Commands::default(),
        }
    }

    /// What should be in the container.
    pub fn desired(&self) -> &Tree {
        &self.desired
    }

    /// The rules in force.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Takes in what happened and says what to do, in order.
    pub fn handle(&mut self, event: Event, now: Duration) -> Vec<Effect> {
        match event {
            Event::Changed(paths) => self.changed(paths, now),
            Event::Found(found) => self.found(found, now),
            Event::Connected { started } => self.connected(started, now),
            Event::Needed { update, paths } => self.needed(update, paths, now),
            Event::Missed(paths) => self.missed(paths),
            Event::Taken(path, node) => {
                if let Link::Up { actual } = &mut self.link {
                    actual.insert(path.clone(), node.clone());
                }
                self.desired.insert(path, node);
                Vec::new()
            }
            Event::Lost => {
                self.link = Link::Down;
                Vec::new()
            }
            Event::Tick => self.tick(now),
            Event::Described(rules) => {
                self.rules = *rules;
                Vec::new()
            }
            Event::Ran(command) => run(self.commands.ended(command)).collect(),
        }
    }

    fn changed(&mut self, paths: BTreeSet<String>, now: Duration) -> Vec<Effect> {
        let paths: BTreeSet<String> = paths
            .into_iter()
            .filter(|path| self.rules.includes(path))
            .collect();
        if paths.is_empty() {
            return Vec::new();
        }
        let after = self.last_batch_end;
        let batch = self.batch.get_or_insert_with(|| Batch::open(now, after));
        batch.note(&paths, now);
        let wake = Effect::Wake(batch.end());
        if batch.is_bulk() {
            batch.unread.extend(paths);
            return vec![wake];
        }
        vec![Effect::Read(paths), wake]
    }

    fn found(&mut self, found: Vec<(String, Option<Node>)>, now: Duration) -> Vec<Effect> {
        let mut put = Vec::new();
        let mut delete = Vec::new();
        for (path, node) in found {
            if !self.rules.includes(&path) {
                continue;
            }
            if let Some(node) = &node
                && matches!(self.link, Link::Up { .. })
                && node.is_empty_file()
                && self
                    .desired
                    .get(&path)
                    .is_some_and(|before| !before.is_empty_file())
                && self.batch.as_ref().is_some_and(|batch| now < batch.end())
            {
                self.emptied.insert(path, node.clone());
                continue;
            }
            self.emptied.remove(&path);
            match node {
                Some(node) => put.push((path, node)),
                None => delete.push(path),
            }
        }
        self.take(put, delete, now)
    }

    /// Makes the found nodes desired, and sends what the container lacks of them.
    fn take(
        &mut self,
        put: Vec<(String, Node)>,
        delete: Vec<String>,
        now: Duration,
    ) -> Vec<Effect> {
        let mut touched = BTreeSet::new();
        for (path, node) in &put {
            let lacking = match &self.link {
                Link::Up { actual } => actual.get(path) != Some(node),
                _ => false,
            };
            if lacking || self.desired.get(path) != Some(node) {
                self.desired.insert(path.clone(), node.clone());
                touched.insert(path.clone());
            }
        }
        let mut removed = Vec::new();
        for path in delete {
            removed.extend(self.beneath(&path));
        }
        for path in &removed {
            self.desired.remove(path);
            touched.insert(path.clone());
        }
        if touched.is_empty() {
            return Vec::new();
        }
        let after = self.last_batch_end;
        let batch = self.batch.get_or_insert_with(|| Batch::open(now, after));
        batch.touched.extend(touched.iter().cloned());
        let end = batch.end();
        let mut effects = Vec::new();
        let rebuild: BTreeSet<String> = touched
            .iter()
            .filter(|path| self.rules.rebuilds(path))
            .cloned()
            .collect();
        if !rebuild.is_empty() {
            effects.push(Effect::Rebuild(rebuild));
        }
        if let Link::Up { actual } = &mut self.link {
            let update = batch.number(&mut self.updates);
            let put: Vec<_> = put
                .into_iter()
                .filter(|(path, node)| touched.contains(path) && actual.get(path) != Some(node))
                .collect();
            actual.extend(put.iter().cloned());
            removed.retain(|path| actual.remove(path).is_some());
            if !put.is_empty() || !removed.is_empty() {
                effects.push(Effect::Copy {
                    update,
                    put,
                    delete: removed,
                });
            }
        }
        effects.push(Effect::Wake(end));
        effects
    }

    /// The desired paths at or beneath `path`: a removed folder is only seen as itself.
    fn beneath(&self, path: &str) -> Vec<String> {
        let folder = format!("{path}/");
        self.desired
            .range(path.to_owned()..)
            .map(|(known, _)| known)
            .take_while(|known| known.starts_with(path))
            .filter(|known| *known == path || known.starts_with(&folder))
            .cloned()
            .collect()
    }

    fn connected(&mut self, started: bool, now: Duration) -> Vec<Effect> {
        // No reason to wait for a save's second half any more: if it comes, it is an edit.
        self.desired.extend(std::mem::take(&mut self.emptied));
        self.updates += 1;
        let update = self.updates;
        self.link = Link::Comparing {
            update,
            started,
            since: now,
        };
        vec![Effect::Want { update }]
    }

    fn needed(&mut self, update: u64, paths: Vec<String>, now: Duration) -> Vec<Effect> {
        let Link::Comparing {
            update: expected,
            started,
            since,
        } = self.link
        else {
            return Vec::new();
        };
        if update != expected {
            return Vec::new();
        }
        self.link = Link::Up {
            actual: self.desired.clone(),
        };
        // Edits that were read since `Want` are in `desired`, and so in what the agent is sent now.
        let put: Vec<_> = paths
            .iter()
            .filter_map(|path| Some((path.clone(), self.desired.get(path)?.clone())))
            .collect();
        let mut touched: BTreeSet<String> = paths.into_iter().collect();
        let mut since = since;
        let mut effects = Vec::new();
        if let Some(batch) = self.batch.take() {
            since = since.min(batch.first());
            // What the container lacks is no edit, but these are.
            effects.extend(self.commands_for(&batch.touched));
            touched.extend(batch.touched.iter().cloned());
            if !batch.unread.is_empty() {
                let mut rest = Batch::open(now, None);
                rest.note(&batch.unread, now);
                rest.unread = batch.unread;
                self.batch = Some(rest);
            }
        }
        let put = self.with_touched(put, &touched);
        let delete: Vec<String> = touched
            .iter()
            .filter(|path| !self.desired.contains_key(*path))
            .cloned()
            .collect();
        let restart = !started || touched.iter().any(|path| self.rules.restarts(path));
        let dependencies = touched
            .iter()
            .any(|path| self.rules.is_dependency_input(path));
        if !put.is_empty() || !delete.is_empty() {
            effects.push(Effect::Copy {
                update,
                put,
                delete,
            });
        }
        effects.push(Effect::Commit {
            update,
            since,
            paths: touched,
            dependencies,
            restart,
        });
        if let Some(batch) = &self.batch {
            effects.push(Effect::Wake(batch.end()));
        }
        effects
    }

    /// The commands of this machine that an edit of these paths makes run.
    fn commands_for(&mut self, touched: &BTreeSet<String>) -> impl Iterator<Item = Effect> + use<> {
        run(self.commands.due(self.rules.commands(touched)))
    }

    /// Nobody knows what the container has at these paths: look again and send what is there.
    fn missed(&mut self, paths: Vec<String>) -> Vec<Effect> {
        let Link::Up { actual } = &mut self.link else {
            return Vec::new();
        };
        for path in &paths {
            actual.remove(path);
        }
        vec![Effect::Read(paths.into_iter().collect())]
    }

    /// `put`, completed by touched paths that are wanted but were edited after `Want` was sent.
    fn with_touched(
        &self,
        mut put: Vec<(String, Node)>,
        touched: &BTreeSet<String>,
    ) -> Vec<(String, Node)> {
        let known: BTreeSet<String> = put.iter().map(|(path, _)| path.clone()).collect();
        for path in touched.difference(&known) {
            if let Some(node) = self.desired.get(path) {
                put.push((path.clone(), node.clone()));
            }
        }
        put
    }

    fn tick(&mut self, now: Duration) -> Vec<Effect> {
        let Some(batch) = &mut self.batch else {
            return Vec::new();
        };
        if now < batch.end() {
            return vec![Effect::Wake(batch.end())];
        }
        if !batch.unread.is_empty() {
            let paths = std::mem::take(&mut batch.unread);
            return vec![Effect::Read(paths), Effect::Wake(now + SHORTEST_WINDOW)];
        }
        let mut effects = Vec::new();
        if !self.emptied.is_empty() {
            // The second half of the save didn't come: the file really is empty.
            let emptied = std::mem::take(&mut self.emptied).into_iter().collect();
            effects.extend(self.take(emptied, Vec::new(), now));
            effects.retain(|effect| !matches!(effect, Effect::Wake(_)));
        }
        let Some(batch) = self.batch.take() else {
            return effects;
        };
        self.last_batch_end = Some(now);
        if batch.touched.is_empty() {
            return effects;
        }
        if !matches!(self.link, Link::Comparing { .. }) {
            effects.extend(self.commands_for(&batch.touched));
        }
        match (&self.link, batch.update) {
            (Link::Up { .. }, Some(update)) => {
                let restart = batch.touched.iter().any(|path| self.rules.restarts(path));
                let dependencies = batch
                    .touched
                    .iter()
                    .any(|path| self.rules.is_dependency_input(path));
                effects.push(Effect::Commit {
                    update,
                    since: batch.first(),
                    paths: batch.touched,
                    dependencies,
                    restart,
                });
            }
            // The answer to `Want` is on its way and knows an older tree: keep what was touched.
            (Link::Comparing { .. }, _) => {
                let mut rest = batch;
                rest.extend(now);
                effects.push(Effect::Wake(rest.end()));
                self.batch = Some(rest);
            }
            // At the next connection the trees are compared anew.
            _ => {}
        }
        effects
    }
}

fn run(commands: Vec<usize>) -> impl Iterator<Item = Effect> {
    commands.into_iter().map(Effect::Run)
}

#[cfg(test)]
mod tests;
