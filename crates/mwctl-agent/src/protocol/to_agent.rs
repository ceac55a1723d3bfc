//! What a session says to the agent.

use serde::{Deserialize, Serialize};

use super::{Bytes, Commit, Data, Entry, Restart, Step};

/// A message to the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToAgent {
    /// The first message on a stream.
    Hello(Hello),
    /// The session lives. Echoed.
    Heartbeat {
        /// Comes back unchanged.
        nonce: u64,
    },
    /// The complete list of what the checkout has, in parts. Answered by `Need`.
    Want {
        /// The update that these parts belong to.
        update: u64,
        /// The entries of this part, at most [`super::WANT_PART`].
        entries: Vec<Entry>,
        /// Whether this is the last part.
        last: bool,
    },
    /// Announces contents: for a file, `Chunk`s follow until its size is reached (none if empty).
    Put {
        /// The update that it belongs to.
        update: u64,
        /// What will be there.
        entry: Entry,
    },
    /// The next piece of the announced file, at most [`super::CHUNK`] bytes.
    Chunk {
        /// The piece.
        data: Data,
    },
    /// Paths to delete with the commit of this update.
    Delete {
        /// The update that they belong to.
        update: u64,
        /// Only what the agent's manifest has is deleted.
        paths: Vec<String>,
    },
    /// Puts everything announced under this number in place.
    Commit(Commit),
    /// `Put`, `Delete` and `Commit` of a small edit in one message.
    Update {
        /// Complete files and links.
        puts: Vec<Put>,
        /// As in `Delete`.
        deletes: Vec<String>,
        /// As in `Commit`.
        commit: Commit,
    },
    /// Forgets what was announced under this number, as when the checkout changed meanwhile.
    Abandon {
        /// The update to forget.
        update: u64,
    },
    /// Runs a dependency step now, whatever its inputs say. Answered like a commit.
    RunStep {
        /// The session's number of this update.
        update: u64,
        /// What to run.
        step: Step,
        /// Whether to restart afterwards.
        restart: Restart,
    },
    /// Asks for files of the container. Each path is answered by `Fetched`.
    Fetch {
        /// Relative to the target.
        paths: Vec<String>,
    },
    /// Restarts the process, or starts it after `Stop`. Answered like a commit.
    Restart {
        /// The session's number of this update.
        update: u64,
    },
    /// Stops the process and leaves it so until `Restart` or a commit that changes something.
    Stop,
}

/// Who wants to own the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`super::PROTOCOL`] of the session.
    pub protocol: u32,
    /// The digest of the agent that the session carries; an agent with another one still answers.
    pub agent_digest: String,
    /// Identifies the session; the same one may always come back.
    pub session: String,
    /// For people: user, host and process.
    pub owner: String,
    /// Ends the ownership of whoever has it.
    pub take_over: bool,
}

/// A complete file or link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    /// What will be there.
    pub entry: Entry,
    /// The whole contents; empty for a link.
    pub data: Data,
}

impl Put {
    /// A file with these contents.
    pub fn file(path: impl Into<String>, contents: &[u8], executable: bool) -> Self {
        Self {
            entry: Entry::file(path, contents, executable),
            data: Data::pack(contents),
        }
    }

    /// A symbolic link.
    pub fn symlink(path: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            entry: Entry::symlink(path, target),
            data: Data::Plain(Bytes::default()),
        }
    }
}
