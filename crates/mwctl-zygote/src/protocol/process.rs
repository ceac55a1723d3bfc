//! A process in a container: what runs, as whom, with which privileges and streams.

use serde::{Deserialize, Serialize};

use super::Passed;

/// A program to be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Program and arguments; the program is searched in the environment's `PATH` unless it has a slash.
    pub arguments: Vec<String>,
    /// `NAME=value`, complete.
    pub environment: Vec<String>,
    /// Where it starts; made where it isn't there.
    pub directory: String,
    /// As whom.
    pub identity: Identity,
    /// The capabilities it may have at most, one bit for each number.
    pub capabilities: u64,
    /// Whether no program may bring it more privileges.
    pub no_new_privileges: bool,
    /// Which system calls it may use.
    pub seccomp: Seccomp,
    /// Resource limits; none is raised above what the zygote itself may.
    pub resources: Vec<Resource>,
    /// How willingly the kernel ends it for memory; never below the zygote's own.
    pub oom_score_adj: i32,
}

/// The capabilities that container runtimes give by default: `chown`, `dac_override`, `fowner`, `fsetid`, `kill`, `setgid`,
/// `setuid`, `setpcap`, `net_bind_service`, `net_raw`, `sys_chroot`, `mknod`, `audit_write`, `setfcap`.
pub const USUAL_CAPABILITIES: u64 = 0xa804_25fb;

impl Process {
    /// A program with arguments, as root, with what container runtimes allow by default and no new privileges.
    pub fn new<T: Into<String>>(arguments: impl IntoIterator<Item = T>) -> Self {
        Self {
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: vec![
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
            ],
            directory: String::new(),
            identity: Identity::default(),
            capabilities: USUAL_CAPABILITIES,
            no_new_privileges: true,
            seccomp: Seccomp::RuntimeDefault,
            resources: Vec::new(),
            oom_score_adj: 0,
        }
    }
}

/// As whom a process runs, as the container numbers users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// A user, optionally with a group: names or numbers, as in an image's configuration (`app`, `app:web`, `1000`, `1000:1000`);
    /// names are looked up in the container's own files. Empty: root.
    pub user: String,
    /// A group that takes the place of whatever the user has.
    pub group: Option<u32>,
    /// Further groups.
    pub groups: Vec<u32>,
}

/// Which system calls a process may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    /// What container runtimes allow by default.
    #[default]
    RuntimeDefault,
    /// All.
    Unconfined,
}

/// A resource limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// The number as in `setrlimit(2)`.
    pub number: u32,
    /// Both limits.
    pub limit: u64,
}

/// Where a process reads and writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streams {
    /// What it reads; nothing where absent.
    pub stdin: Option<Passed>,
    /// Where it writes; nowhere where absent.
    pub stdout: Option<Passed>,
    /// Where it writes errors; nowhere where absent.
    pub stderr: Option<Passed>,
    /// A terminal takes the place of all three, and its other side comes back.
    pub terminal: Option<Terminal>,
}

/// A terminal of the container's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Its size at first.
    pub size: Option<Size>,
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}
