//! The messages, both ways. File descriptors travel beside a message; inside it, [`Passed`] is their place in the list.

use std::fmt;
use std::path::PathBuf;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

mod container;
mod process;

pub use container::{Bind, Container, Entry, Join, Layer, Mount, Root, Source, Upper};
pub use process::{
    Identity, Process, Resource, Seccomp, Size, Streams, Terminal, USUAL_CAPABILITIES,
};

/// The place of a file descriptor in the list that came with the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed(pub u8);

/// What the zygote is told once, by its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// Whether it shall make a user namespace, whose ids its owner then maps.
    pub user_namespace: bool,
    /// The most that the node's tmpfs may hold, in bytes; half of the machine's memory where it isn't said.
    pub memory: Option<u64>,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Names it in [`Message::Done`], and the process that it starts in later orders. Never used twice.
    pub number: u64,
    /// What to do.
    pub task: Task,
}

/// What an order asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// Makes namespaces that several containers may join.
    Share(Share),
    /// Starts a container.
    Start(Box<Container>),
    /// Starts a further process in the container that order `container` started.
    Enter {
        /// The order's number.
        container: u64,
        /// What to run.
        process: Box<Process>,
        /// Its streams.
        streams: Streams,
        /// Files that are written with the text `0` to bring it under limits.
        limits: Vec<Passed>,
    },
    /// Sends a signal to the process that an order started.
    Signal {
        /// The order's number.
        process: u64,
        /// The signal's number.
        signal: i32,
    },
    /// Removes what a container that has ended had written.
    Remove {
        /// Its name.
        name: String,
    },
    /// Opens a socket in a network namespace and answers with it.
    Socket {
        /// The namespace.
        network: Passed,
        /// As in `socket(2)`.
        domain: i32,
        /// As in `socket(2)`, flags included.
        kind: i32,
        /// As in `socket(2)`.
        protocol: i32,
    },
    /// Makes a directory in the node's tmpfs, or brings what is in it to the given files.
    Volume(Volume),
    /// Removes a volume. What still uses it keeps it until its end.
    RemoveVolume {
        /// Its name.
        name: String,
    },
}

/// Namespaces to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// A network namespace whose loopback is up and in which every port may be bound.
    pub network: bool,
    /// For System V and POSIX messages.
    pub ipc: bool,
    /// With this host name.
    pub hostname: Option<String>,
}

/// A directory in the node's tmpfs that containers mount ([`Source::Volume`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Names it among the volumes of the node: one path component.
    pub name: String,
    /// A file system of its own that holds at most this many bytes.
    pub limit: Option<u64>,
    /// The mode of the directory.
    pub mode: u32,
    /// The group of the directory and the files, as the containers number it. The group may do what the user may.
    pub group: Option<u32>,
    /// Its files: replaced as a whole, so that a reader sees all of the old or all of the new ones. None: it is the containers' to write.
    pub files: Option<Vec<File>>,
}

/// A file of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its path in the volume, of plain components.
    pub path: PathBuf,
    /// What is in it.
    pub content: Vec<u8>,
    /// Its mode.
    pub mode: u32,
    /// Its user, as the containers number it.
    pub user: Option<u32>,
}

/// What the zygote says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// The user namespace is there: its owner shall write the maps and answer with one byte.
    WantsIds,
    /// Orders are taken.
    Ready,
    /// It can't be. It ends.
    Failed(Failure),
    /// An order has been carried out, or not.
    Done {
        /// The order.
        order: u64,
        /// What became of it. Namespaces, the terminal and the socket come along as file descriptors.
        result: Result<(), Failure>,
        /// The process that was begun, as the zygote numbers it.
        pid: Option<i32>,
    },
    /// The process that an order started has ended. Always after its [`Message::Done`].
    Ended {
        /// The order.
        order: u64,
        /// How.
        end: End,
    },
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum End {
    /// It returned this.
    Code(u8),
    /// A signal of this number ended it.
    Signal(i32),
}

/// What failed, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct Failure {
    /// At which step.
    pub step: Step,
    /// Of what: a path, a name.
    pub subject: String,
    /// The kernel's number for the reason.
    pub errno: Option<i32>,
}

/// The steps at which starting something can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Step {
    /// The order can't be understood, or names something that isn't.
    Order,
    /// A namespace.
    Namespace,
    /// The limits.
    Limits,
    /// The root file system.
    Root,
    /// A mount.
    Mount,
    /// The user or its groups.
    User,
    /// Capabilities, the filter of system calls, resource limits.
    Privileges,
    /// The terminal.
    Terminal,
    /// The streams.
    Streams,
    /// The directory to start in.
    Directory,
    /// The program: it isn't there, or isn't one.
    Program,
    /// A volume.
    Volume,
    /// What the program itself needs.
    Process,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.step {
            Step::Order => "the order isn't understood",
            Step::Namespace => "no namespace",
            Step::Limits => "the limits can't be set",
            Step::Root => "no root file system",
            Step::Mount => "cannot mount",
            Step::User => "cannot become the user",
            Step::Privileges => "privileges can't be limited",
            Step::Terminal => "no terminal",
            Step::Streams => "no streams",
            Step::Directory => "cannot enter the working directory",
            Step::Program => "cannot run",
            Step::Volume => "cannot write the volume",
            Step::Process => "no process",
        };
        formatter.write_str(what)?;
        // What isn't the kernel's doing is told in words.
        match (self.step, self.errno) {
            (Step::User, None) if !self.subject.is_empty() => {
                return write!(formatter, ": the image has no account `{}`", self.subject);
            }
            // No name is looked up there: it is what the kernel says to an id that isn't mapped.
            (Step::User, Some(errno)) if errno == Errno::INVAL.raw_os_error() => {
                return write!(
                    formatter,
                    " `{}`: these ids aren't among those that containers have here",
                    self.subject
                );
            }
            (Step::Root | Step::Process, None) if !self.subject.is_empty() => {
                return write!(formatter, ": {}", self.subject);
            }
            _ => {}
        }
        if !self.subject.is_empty() {
            write!(formatter, " `{}`", self.subject)?;
        }
        if let Some(errno) = self.errno {
            write!(formatter, ": {}", Errno::from_raw_os_error(errno))?;
        }
        Ok(())
    }
}
