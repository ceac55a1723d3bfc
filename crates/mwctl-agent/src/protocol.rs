//! The messages between a session and the agent. Only values: no files, sockets or clocks.
//!
//! The order of a conversation:
//!
//! 1. The session sends [`ToAgent::Hello`]; the agent answers [`FromAgent::Welcome`], or
//!    [`FromAgent::Refused`] and closes. Whatever else comes before `Hello` closes the stream.
//! 2. *Converge*: `Want` lists everything that the checkout has (in parts of at most
//!    [`WANT_PART`] entries, `last` on the final one). The agent compares by content and answers
//!    `Need` (in parts likewise). The session sends `Put` and `Chunk`s for the needed paths, then
//!    `Commit`. Paths of the manifest that the list lacks are deleted with the commit.
//! 3. *Edit*: one `Update` frame carries the contents, the deletions and the commit. What does not
//!    fit ([`transfer`]) goes as `Put`, `Chunk`, `Delete`, `Commit` without a `Want`.
//! 4. Every commit is answered by one `Applied` (files are in place), any number of `Phase`s, and
//!    exactly one `Finished`, unless the stream closes first.
//! 5. Each side that hears nothing for [`OWNER_SILENCE`] may think the other gone. The session sends
//!    `Heartbeat` each [`HEARTBEAT`]; the agent echoes it.
//!
//! A change to any message raises [`PROTOCOL`], because the encoding has no names. `Hello` and
//! `Refused` keep their place and fields for ever, so that a foreign version can be refused in words.

mod data;
mod entry;
mod from_agent;
mod process;
mod step;
mod to_agent;
pub mod transfer;

use std::time::Duration;

pub use data::{Bytes, Data, UnpackData};
pub use entry::{Entry, EntryKind, Hash, RefusedPath};
pub use from_agent::{Applied, FromAgent, ProcessExited, Refused, Welcome};
pub use process::{Exit, Outcome, Phase, ProcessState};
pub use step::{Commit, Restart, Step};
pub use to_agent::{Hello, Put, ToAgent};

/// The version of these messages. Both sides must have the same.
pub const PROTOCOL: u32 = 2;

/// The largest piece of a file in one message: small enough for a heartbeat to slip in between.
pub const CHUNK: usize = 256 << 10;

/// Entries of one `Want` and paths of one `Need`: with the longest paths and link targets that the
/// system allows (4 KiB each) a frame is still below its limit.
pub const WANT_PART: usize = 480;

/// How often a session sends a heartbeat.
pub const HEARTBEAT: Duration = Duration::from_secs(1);

/// After this silence of its owner the agent accepts another session.
pub const OWNER_SILENCE: Duration = Duration::from_secs(5);
