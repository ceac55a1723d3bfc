//! What the tests stand on: an agent in a temporary directory, and a session that talks to it.
//!
//! Everything ends with the test, even a killed one: children get the kernel's signal when the thread
//! that started them dies.

use std::collections::VecDeque;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use mwctl_agent::frame::{read_frame, write_frame};
use mwctl_agent::protocol::{
    Applied, Commit, Entry, FromAgent, Hello, Outcome, PROTOCOL, Phase, ProcessExited, Restart,
    Step, ToAgent, Welcome, transfer,
};

/// No condition takes this long on any machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An agent with its target.
pub(crate) struct Stage {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) agent: Child,
}

/// The agent's binary, in a form that ends with the thread that started it.
#[expect(clippy::disallowed_methods, reason = "these tests run the program")]
pub(crate) fn agent() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_mwctl-agent")]);
    command
}

/// A port that nobody else in these tests uses.
pub(crate) fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let base = 20_000 + (std::process::id() % 97) as u16 * 100;
        let port = base + number;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until `condition` gives something.
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "this never happened: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Stage {
    /// Starts `run` with these options and this shell script as the process.
    pub(crate) fn run(options: &[&str], script: &str) -> Self {
        Self::prepared(|_| {}).start(options, script)
    }

    /// A stage whose agent comes later; `prepare` fills the target.
    pub(crate) fn prepared(prepare: impl FnOnce(&Path)) -> Prepared {
        let directory = tempfile::tempdir().unwrap();
        for name in ["app", "run"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        prepare(&directory.path().join("app"));
        Prepared(directory)
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join("app").join(path)
    }

    /// What a file holds; nothing while there is none.
    pub(crate) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    /// A session that was let in.
    pub(crate) fn session(&self, name: &str) -> Session {
        let mut session = self.connect();
        session.hello(name, false);
        let welcome = session.until(|message| match message {
            FromAgent::Welcome(welcome) => Some(welcome.clone()),
            _ => None,
        });
        session.welcome = Some(welcome);
        session
    }

    /// A stream to the agent on which nothing was said yet.
    pub(crate) fn connect(&self) -> Session {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        let also_theirs = theirs.try_clone().unwrap();
        let connect = agent()
            .args(["connect", "--wait-ms", "20000", "--run-directory"])
            .arg(self.directory.path().join("run"))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(OwnedFd::from(also_theirs)))
            .spawn()
            .unwrap();
        Session {
            stream: Some(ours),
            connect,
            unread: VecDeque::new(),
            welcome: None,
            update: 0,
        }
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.agent), signal)
            .unwrap();
    }

    /// Another agent on the same target, as after a restart of the container.
    pub(crate) fn start_again(mut self, options: &[&str], script: &str) -> Self {
        let directory = std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap());
        Prepared(directory).start(options, script)
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for("the agent ends", || self.agent.try_wait().unwrap())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // The process is in a group of its own: ask the agent to end it, and insist later.
        let _gone = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.agent),
            rustix::process::Signal::TERM,
        );
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(5) {
            if matches!(self.agent.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let _gone = self.agent.kill();
        let _gone = self.agent.wait();
    }
}

/// A filled target without an agent.
pub(crate) struct Prepared(tempfile::TempDir);

impl Prepared {
    pub(crate) fn start(self, options: &[&str], script: &str) -> Stage {
        self.start_as("run", options, script, Stdio::null())
    }

    pub(crate) fn start_as(
        self,
        subcommand: &str,
        options: &[&str],
        script: &str,
        output: Stdio,
    ) -> Stage {
        let agent = agent()
            .arg(subcommand)
            .arg("--target")
            .arg(self.0.path().join("app"))
            .arg("--run-directory")
            .arg(self.0.path().join("run"))
            .args(["--grace-ms", "2000"])
            .args(options)
            .arg("--")
            // The process ends with the agent, also with a killed one that isn't the first process.
            .args(["setpriv", "--pdeathsig", "KILL", "sh", "-c", script])
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Stage {
            directory: self.0,
            agent,
        }
    }
}

/// The other side of the conversation, as the engine would speak it.
pub(crate) struct Session {
    pub(crate) stream: Option<UnixStream>,
    pub(crate) connect: Child,
    /// Read while something else was waited for.
    unread: VecDeque<FromAgent>,
    pub(crate) welcome: Option<Welcome>,
    update: u64,
}

impl Session {
    pub(crate) fn hello(&mut self, name: &str, take_over: bool) {
        self.send(&ToAgent::Hello(Hello {
            protocol: PROTOCOL,
            agent_digest: "test".into(),
            session: name.into(),
            owner: format!("{name}@host"),
            take_over,
        }));
    }

    pub(crate) fn send(&mut self, message: &ToAgent) {
        write_frame(self.stream.as_mut().unwrap(), message).unwrap();
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.stream.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// The next message; nothing when the stream is closed.
    pub(crate) fn next(&mut self) -> Option<FromAgent> {
        if let Some(message) = self.unread.pop_front() {
            return Some(message);
        }
        read_frame(self.stream.as_mut().unwrap()).unwrap()
    }

    /// Waits for a message; the others stay for later.
    pub(crate) fn until<T>(&mut self, mut wanted: impl FnMut(&FromAgent) -> Option<T>) -> T {
        let mut skipped = VecDeque::new();
        let found = loop {
            let message = self.next().expect("the agent closed the stream");
            if let Some(found) = wanted(&message) {
                break found;
            }
            skipped.push_back(message);
        };
        skipped.append(&mut self.unread);
        self.unread = skipped;
        found
    }

    pub(crate) fn commit(&mut self) -> Commit {
        self.update += 1;
        Commit {
            update: self.update,
            step: None,
            restart: Restart::IfChanged,
            in_place: false,
        }
    }

    /// Sends an edit with a commit as it is made by `change`; returns its number.
    pub(crate) fn edit_with(
        &mut self,
        puts: &[(&str, &str)],
        deletes: &[&str],
        change: impl FnOnce(&mut Commit),
    ) -> u64 {
        let mut commit = self.commit();
        change(&mut commit);
        let update = commit.update;
        let puts = puts.iter().map(|(path, text)| {
            (
                Entry::file(*path, text.as_bytes(), false),
                text.as_bytes().to_vec(),
            )
        });
        let deletes = deletes.iter().map(ToString::to_string).collect();
        for message in transfer::edit(puts.collect(), deletes, commit) {
            self.send(&message);
        }
        update
    }

    pub(crate) fn edit(&mut self, puts: &[(&str, &str)], deletes: &[&str]) -> Applied {
        let update = self.edit_with(puts, deletes, |_| {});
        self.applied(update)
    }

    /// States the complete list; returns what the agent needs.
    pub(crate) fn want(&mut self, update: u64, entries: Vec<Entry>) -> Vec<String> {
        for message in transfer::want(update, entries) {
            self.send(&message);
        }
        let mut needed = Vec::new();
        loop {
            let last = self.until(|message| match message {
                FromAgent::Need {
                    update: of,
                    paths,
                    last,
                } if *of == update => {
                    needed.extend(paths.clone());
                    Some(*last)
                }
                _ => None,
            });
            if last {
                return needed;
            }
        }
    }

    /// Brings the tree to exactly these files.
    pub(crate) fn converge(&mut self, files: &[(&str, &str)]) -> Applied {
        let commit = self.commit();
        let update = commit.update;
        let entry = |(path, text): &(&str, &str)| Entry::file(*path, text.as_bytes(), false);
        let needed = self.want(update, files.iter().map(entry).collect());
        for (path, text) in files
            .iter()
            .filter(|(path, _)| needed.iter().any(|n| n == path))
        {
            for message in transfer::put(update, entry(&(path, text)), text.as_bytes()) {
                self.send(&message);
            }
        }
        self.send(&ToAgent::Commit(commit));
        self.applied(update)
    }

    pub(crate) fn applied(&mut self, update: u64) -> Applied {
        self.until(|message| match message {
            FromAgent::Applied(applied) if applied.update == update => Some(applied.clone()),
            _ => None,
        })
    }

    pub(crate) fn finished(&mut self, update: u64) -> Outcome {
        self.until(|message| match message {
            FromAgent::Finished {
                update: of,
                outcome,
                ..
            } if *of == update => Some(outcome.clone()),
            _ => None,
        })
    }

    pub(crate) fn phase(&mut self, wanted: impl Fn(&Phase) -> bool) -> Phase {
        self.until(|message| match message {
            FromAgent::Phase { phase, .. } if wanted(phase) => Some(phase.clone()),
            _ => None,
        })
    }

    pub(crate) fn exited(&mut self) -> ProcessExited {
        self.until(|message| match message {
            FromAgent::ProcessExited(exited) => Some(exited.clone()),
            _ => None,
        })
    }

    pub(crate) fn ready(&mut self) -> u32 {
        self.until(|message| match message {
            FromAgent::Ready { pid } => Some(*pid),
            _ => None,
        })
    }

    /// Messages that were read while another was waited for.
    pub(crate) fn seen(&self) -> impl Iterator<Item = &FromAgent> {
        self.unread.iter()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.stream.take());
        let _gone = self.connect.kill();
        let _gone = self.connect.wait();
    }
}

/// A step that runs this shell script when one of `inputs` changed.
pub(crate) fn step(script: &str, inputs: &[&str]) -> Step {
    Step {
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        inputs: inputs.iter().map(ToString::to_string).collect(),
        ..Step::default()
    }
}

/// The whole answer to a GET.
pub(crate) fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
