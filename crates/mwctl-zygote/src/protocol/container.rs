//! A container as the zygote is told it: everything decided, nothing optional but what may be absent.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Passed, Process, Streams};

/// A container to be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Names its directory in the node's tmpfs: one path component.
    pub name: String,
    /// The namespaces of others that it joins. What it doesn't join is its own.
    pub join: Join,
    /// Its host name, where it joins none.
    pub hostname: Option<String>,
    /// Its root file system.
    pub root: Root,
    /// What is mounted over the root, in order.
    pub mounts: Vec<Mount>,
    /// What runs in it; nothing but an init that reaps where there is none.
    pub process: Option<Process>,
    /// The streams of that.
    pub streams: Streams,
    /// Files that are written with the text `0` to bring it under limits.
    pub limits: Vec<Passed>,
}

/// Namespaces to join.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The network.
    pub network: Option<Passed>,
    /// The network that the zygote itself is in: the machine's own.
    pub host_network: bool,
    /// System V and POSIX messages.
    pub ipc: Option<Passed>,
    /// The host name.
    pub uts: Option<Passed>,
    /// The processes of the container that this order started.
    pub processes_of: Option<u64>,
}

/// A root file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Directories over each other, the topmost first. None: an empty one.
    pub layers: Vec<Layer>,
    /// Where writes go.
    pub upper: Upper,
    /// Whether the container may write to it. Mounts have their own word.
    pub read_only: bool,
}

/// One directory of a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Names it among all layers of the node, whose mount is made once: one path component.
    pub name: String,
    /// Where it is.
    pub source: Source,
}

/// Where a directory or file is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// By its path, which the zygote may enter.
    Path(PathBuf),
    /// A volume of the node, by its name.
    Volume(String),
    /// A mount that the owner made (`open_tree(2)` with `OPEN_TREE_CLONE`), since the zygote may not enter the path.
    Tree(Passed),
}

/// Where writes to the root go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Upper {
    /// Into the node's tmpfs; they vanish with the container.
    Memory,
    /// Into this directory, which is on a file system that an overlay can write to.
    Directory(Source),
}

/// One thing mounted over the root. What isn't there is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where, from the container's root. Symbolic links in it never lead out of that root.
    pub target: PathBuf,
    /// What.
    pub entry: Entry,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// Something from outside.
    Bind(Bind),
    /// A file system in memory.
    Memory {
        /// The most that it may hold, in bytes.
        size: Option<u64>,
        /// Its mode.
        mode: u32,
        /// Whether programs in it may be run.
        executable: bool,
    },
    /// A new view of the processes.
    Processes,
    /// The usual device files, terminals and shared memory of this size in bytes.
    Devices {
        /// The most that shared memory may hold, in bytes.
        shared_memory: u64,
    },
    /// The kernel's objects, read-only.
    System,
    /// Nothing can be seen here any more.
    Hidden,
    /// What is here can only be read.
    ReadOnly,
    /// A symbolic link with this text, where nothing is.
    Link(PathBuf),
}

/// Something from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// What.
    pub source: Source,
    /// Whether it is a directory; the target is made accordingly.
    pub directory: bool,
    /// Whether the container may only read it.
    pub read_only: bool,
    /// A path below the source, itself or what is there. Symbolic links never lead out of the source.
    pub below: Option<PathBuf>,
}
