//! Turns decisions into the agent's messages: no files, no streams.

use std::collections::BTreeMap;

use mwctl_agent::protocol::{
    Commit, Entry, EntryKind, Hash, Restart, Step, ToAgent, WANT_PART, transfer,
};
use mwctl_core::model::Dependencies;
use mwctl_core::tree::{Node, Tree};

use crate::image::QUIET;

/// A node as the agent knows it.
pub(crate) fn entry(path: &str, node: &Node) -> Entry {
    let kind = match node {
        Node::File {
            hash,
            size,
            executable,
        } => EntryKind::File {
            hash: Hash(*hash),
            size: *size,
            executable: *executable,
        },
        Node::Symlink { target } => EntryKind::Symlink {
            target: target.clone(),
        },
    };
    Entry {
        path: path.to_owned(),
        kind,
    }
}

/// The agent's entry as a node.
pub(crate) fn node(entry: &Entry) -> Node {
    match &entry.kind {
        EntryKind::File {
            hash,
            size,
            executable,
        } => Node::File {
            hash: hash.0,
            size: *size,
            executable: *executable,
        },
        EntryKind::Symlink { target } => Node::Symlink {
            target: target.clone(),
        },
    }
}

/// The whole tree, as the agent is to compare it.
pub(crate) fn want(wire: u64, tree: &Tree) -> Vec<ToAgent> {
    transfer::want(
        wire,
        tree.iter().map(|(path, node)| entry(path, node)).collect(),
    )
}

/// A finished small edit: in place as soon as it arrives, without a restart.
pub(crate) fn edit(
    wire: u64,
    contents: Vec<(Entry, Vec<u8>)>,
    delete: Vec<String>,
    in_place: bool,
) -> Vec<ToAgent> {
    let commit = Commit {
        update: wire,
        step: None,
        restart: Restart::Never,
        in_place,
    };
    transfer::edit(contents, delete, commit)
}

/// Contents for an update whose commit comes separately.
pub(crate) fn parts(wire: u64, contents: Vec<(Entry, Vec<u8>)>, delete: &[String]) -> Vec<ToAgent> {
    let mut messages = Vec::new();
    for (entry, bytes) in contents {
        messages.extend(transfer::put(wire, entry, &bytes));
    }
    for paths in delete.chunks(WANT_PART) {
        messages.push(ToAgent::Delete {
            update: wire,
            paths: paths.to_vec(),
        });
    }
    messages
}

/// Ends an update. `whole` after a comparison: then the agent knows best whether anything changed.
pub(crate) fn commit(
    wire: u64,
    step: Option<Step>,
    restart: bool,
    whole: bool,
    in_place: bool,
) -> ToAgent {
    let restart = match (restart, whole) {
        (true, _) => Restart::Always,
        (false, true) => Restart::IfChanged,
        (false, false) => Restart::Never,
    };
    ToAgent::Commit(Commit {
        update: wire,
        step,
        restart,
        in_place,
    })
}

/// The dependency step, to be run whatever its inputs are.
pub(crate) fn step(dependencies: &Dependencies) -> Step {
    let quiet = QUIET.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut environment = BTreeMap::from(quiet);
    environment.extend(dependencies.environment.clone());
    Step {
        command: dependencies.command.clone(),
        environment: environment.into_iter().collect(),
        inputs: dependencies.inputs.clone(),
        outputs: dependencies.lock_files.clone(),
        force: true,
    }
}

/// Runs the dependency step and restarts.
pub(crate) fn run_step(wire: u64, step: Step) -> ToAgent {
    ToAgent::RunStep {
        update: wire,
        step,
        restart: Restart::Always,
    }
}
