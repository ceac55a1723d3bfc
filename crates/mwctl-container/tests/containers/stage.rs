//! A runtime for a test, and a shell in a container of this machine's programs.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use mwctl_container::{Container, End, Options, Process, Running, Runtime, Streams, host};

/// Set for the process that runs a test as an ordinary user.
const AS_USER: &str = "MWCTL_TEST_AS_USER";
/// Set for the process that runs a test where mounts are shared.
const AMONG_SHARED: &str = "MWCTL_TEST_AMONG_SHARED";
/// An ordinary user, who needs no entry anywhere.
pub(crate) const USER: u32 = 1000;

/// Runs a test as whoever runs the tests, and, where that is root, once more as an ordinary user.
#[expect(
    clippy::disallowed_methods,
    reason = "a test that runs itself as somebody else, who is told so"
)]
pub(crate) fn as_everybody(name: &str, body: impl AsyncFnOnce(Stage)) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { body(Stage::new().await).await });
    if !rustix::process::geteuid().is_root() || std::env::var_os(AS_USER).is_some() {
        return;
    }
    // Through `/proc`, since the user may not be allowed to enter the directory of this program.
    let status = Command::new("/proc/self/exe")
        .args([name, "--exact", "--nocapture"])
        .env(AS_USER, "1")
        .current_dir("/")
        .uid(USER)
        .gid(USER)
        .status()
        .unwrap();
    assert!(status.success(), "as an ordinary user: {status}");
}

/// The same where mounts are shared with others, as systemd has it on most machines and few containers have it.
#[expect(
    clippy::disallowed_methods,
    reason = "a test that runs itself elsewhere, which is told so"
)]
pub(crate) fn where_mounts_are_shared(name: &str, body: impl AsyncFnOnce(Stage)) {
    // An ordinary user's containers have mounts of their own in any case.
    if !rustix::process::geteuid().is_root() || std::env::var_os(AMONG_SHARED).is_some() {
        return as_everybody(name, body);
    }
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "shared"])
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(AMONG_SHARED, "1")
        .status()
        .unwrap();
    assert!(status.success(), "among shared mounts: {status}");
}

pub(crate) struct Stage {
    pub(crate) runtime: Runtime,
    next: std::cell::Cell<u32>,
}

/// What a container wrote, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) out: String,
    pub(crate) end: End,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self {
            runtime: Runtime::start(Options::default()).await.unwrap(),
            next: std::cell::Cell::new(0),
        }
    }

    /// A container that runs this script, not yet started.
    pub(crate) fn shell(&self, script: &str) -> Container {
        self.next.set(self.next.get() + 1);
        let (root, mounts) = host::root();
        let process = Some(Process::new(["/bin/sh", "-c", script]));
        Container {
            root,
            mounts,
            process,
            ..Container::new(format!("c{}", self.next.get()))
        }
    }

    /// Starts it, with both of its outputs in one file.
    pub(crate) async fn start(&self, mut container: Container) -> (Running, File) {
        let (read, write) = pipe();
        container.streams.stderr = Some(write.try_clone().unwrap());
        container.streams.stdout = Some(write);
        (self.runtime.run(container).await.unwrap(), read)
    }

    pub(crate) async fn outcome(&self, container: Container) -> Outcome {
        let (running, read) = self.start(container).await;
        let out = all(read).await;
        Outcome {
            out,
            end: running.ended().await,
        }
    }

    pub(crate) async fn run(&self, script: &str) -> Outcome {
        self.outcome(self.shell(script)).await
    }
}

pub(crate) fn exited(out: &str, code: u8) -> Outcome {
    Outcome {
        out: out.to_owned(),
        end: End::Code(code),
    }
}

/// Runs a script in a running container.
pub(crate) async fn enter(container: &Running, script: &str) -> Outcome {
    let (read, write) = pipe();
    let streams = Streams {
        stdout: Some(write.try_clone().unwrap()),
        stderr: Some(write),
        ..Streams::default()
    };
    let running = container
        .enter(Process::new(["/bin/sh", "-c", script]), streams)
        .await
        .unwrap();
    Outcome {
        out: all(read).await,
        end: running.ended().await,
    }
}

pub(crate) fn pipe() -> (File, OwnedFd) {
    let (read, write) = std::io::pipe().unwrap();
    (OwnedFd::from(read).into(), write.into())
}

pub(crate) async fn all(mut file: File) -> String {
    let read = move || {
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

/// Reads up to the end of a line.
pub(crate) async fn line(file: &File) -> String {
    let mut file = file.try_clone().unwrap();
    let read = move || {
        let mut text = String::new();
        let mut byte = [0];
        while file.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            text.push(char::from(byte[0]));
        }
        text
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}
