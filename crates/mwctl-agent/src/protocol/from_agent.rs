//! What the agent says to its session.

use serde::{Deserialize, Serialize};

use super::{Bytes, Data, Entry, Exit, Outcome, Phase, ProcessState, RefusedPath};

/// A message from the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromAgent {
    /// The session is not let in; the stream closes after this.
    Refused(Refused),
    /// The session owns the agent now.
    Welcome(Welcome),
    /// The echo of a heartbeat.
    Heartbeat {
        /// As it came.
        nonce: u64,
    },
    /// The wanted paths whose contents are not there, in parts. Answers `Want`.
    Need {
        /// The update of that `Want`.
        update: u64,
        /// The paths of this part.
        paths: Vec<String>,
        /// Whether this is the last part.
        last: bool,
    },
    /// The files of an update are in place. Answers each commit, also one that changed nothing.
    Applied(Applied),
    /// An update reached a phase.
    Phase {
        /// The update.
        update: u64,
        /// What was reached.
        phase: Phase,
        /// Microseconds since the commit was received.
        micros: u64,
    },
    /// Nothing more will be done for an update.
    Finished {
        /// The update.
        update: u64,
        /// How it ended.
        outcome: Outcome,
        /// Microseconds since the commit was received.
        micros: u64,
    },
    /// Output of the dependency step, as it comes.
    StepOutput {
        /// The update that the step belongs to.
        update: u64,
        /// Raw bytes of both its streams.
        bytes: Bytes,
    },
    /// A dependency step changed files that are offered back: `Fetch` them.
    FilesChanged {
        /// The update that the step belongs to.
        update: u64,
        /// What they are now.
        entries: Vec<Entry>,
    },
    /// The process ended by itself.
    ProcessExited(ProcessExited),
    /// The process accepts connections.
    Ready {
        /// Its process id in the container.
        pid: u32,
    },
    /// The process stopped accepting connections although it runs.
    NotReady {
        /// Why, for people.
        reason: String,
    },
    /// Answers `Fetch`. For a file, `Contents` follow until its size is reached (none if empty).
    Fetched {
        /// As it was asked for.
        path: String,
        /// What is there; nothing, or nothing that may be fetched, otherwise.
        entry: Option<Entry>,
    },
    /// The next piece of the fetched file.
    Contents {
        /// The piece.
        data: Data,
    },
    /// Something went wrong that belongs to no path.
    Problem {
        /// For people.
        text: String,
        /// Whether the stream closes after this.
        fatal: bool,
    },
}

/// Why a session is not let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The protocol of the agent.
    pub protocol: u32,
    /// Who owns the agent, if that is the reason.
    pub owner: Option<String>,
    /// How long ago the owner was last heard of.
    pub silent_ms: u64,
    /// For people, a whole sentence.
    pub reason: String,
}

/// What a session that was let in should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The protocol of the agent.
    pub protocol: u32,
    /// The version of the agent.
    pub version: String,
    /// The digest under which the agent was delivered, if it was told.
    pub digest: Option<String>,
    /// Chosen anew at each start of the agent: another one means another container.
    pub agent_id: String,
    /// What the process does.
    pub process: ProcessState,
    /// The session and number of the last commit that this agent applied.
    pub last_update: Option<(String, u64)>,
    /// Whether its target is the checkout itself: then it wants no contents.
    pub mounted: bool,
    /// Whoever owned the agent until now, if another session did.
    pub previous_owner: Option<String>,
}

/// What became of the files of an update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The update.
    pub update: u64,
    /// The paths that were written.
    pub written: u32,
    /// The paths that were deleted.
    pub deleted: u32,
    /// Paths that should be gone but were kept: changed in the container, or not the agent's.
    pub kept: Vec<RefusedPath>,
    /// Paths that could not be written or deleted.
    pub failed: Vec<RefusedPath>,
    /// Microseconds since the commit was received.
    pub micros: u64,
}

/// How the process ended by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessExited {
    /// How it ended.
    pub exit: Exit,
    /// How long it had run.
    pub uptime_ms: u64,
    /// Whether it had been ready.
    pub was_ready: bool,
    /// The last of its output, both streams as they came.
    pub last_lines: Vec<String>,
    /// When it is started again, if not at once because of new files. Never for a one-shot command.
    pub restart_in_ms: Option<u64>,
}
