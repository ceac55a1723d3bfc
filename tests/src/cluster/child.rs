//! The program as a child of a test: its JSON lines as they come, and an end that is certain.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use serde_json::Value;

use super::PATIENCE;

/// A running command; killed when it is dropped, and when the test dies.
#[must_use]
pub struct Mwctl {
    child: Child,
    told: Arc<Told>,
    readers: Vec<JoinHandle<()>>,
    title: String,
}

#[derive(Default)]
struct Told {
    all: Mutex<Lines>,
    more: Condvar,
}

#[derive(Default)]
struct Lines {
    stdout: Vec<String>,
    stderr: String,
    /// The lines of stdout that are JSON, in order.
    events: Vec<(Instant, Value)>,
    over: bool,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Answer {
    /// Its exit code, if it ended by itself.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "exit code {:?}\n{}\n-- stderr --\n{}",
            self.code, self.stdout, self.stderr
        )
    }
}

impl Answer {
    /// The answer as one JSON document.
    ///
    /// # Panics
    ///
    /// When it isn't one.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test runs the program as a person would: as a process"
)]
fn plainly(program: &str) -> Command {
    Command::new(program)
}

/// A program that the kernel ends with the thread that starts it, whatever happens to the test.
pub fn command(program: &str) -> Command {
    let mut command = plainly("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

impl Mwctl {
    /// Starts the program in a folder, with these variables beside the test's own.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    pub fn start(
        program: &Path,
        folder: &Path,
        variables: &[(&str, &Path)],
        arguments: &[&str],
    ) -> Self {
        let mut child = command(&program.to_string_lossy())
            .arg("-C")
            .arg(folder)
            .args(arguments)
            .envs(variables.iter().copied())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let told = Arc::new(Told::default());
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut stderr = child.stderr.take().expect("it is piped");
        let (for_lines, for_errors) = (told.clone(), told.clone());
        let readers = vec![
            std::thread::spawn(move || {
                for line in stdout.lines().map_while(Result::ok) {
                    let now = Instant::now();
                    let mut all = for_lines.lock();
                    if let Ok(value) = serde_json::from_str(&line) {
                        all.events.push((now, value));
                    }
                    all.stdout.push(line);
                    for_lines.more.notify_all();
                }
                for_lines.lock().over = true;
                for_lines.more.notify_all();
            }),
            std::thread::spawn(move || {
                let mut text = String::new();
                // What isn't text is of no use to a test.
                drop(stderr.read_to_string(&mut text));
                for_errors.lock().stderr = text;
            }),
        ];
        Self {
            child,
            told,
            readers,
            title: arguments.join(" "),
        }
    }

    /// How many events there have been: a mark to wait from.
    pub fn mark(&self) -> usize {
        self.told.lock().events.len()
    }

    /// Waits for an event, also one that has been.
    ///
    /// # Panics
    ///
    /// When it doesn't come, or the command ends first.
    pub fn wait(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait_from(0, what, wanted)
    }

    /// Waits for an event after `mark`.
    ///
    /// # Panics
    ///
    /// When it doesn't come, or the command ends first.
    pub fn wait_from(&self, mark: usize, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait_at(mark, what, wanted).1
    }

    /// Waits for an event after `mark`, and says when it was heard.
    ///
    /// # Panics
    ///
    /// When it doesn't come, or the command ends first.
    pub fn wait_at(
        &self,
        mark: usize,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> (Instant, Value) {
        let start = Instant::now();
        let mut all = self.told.lock();
        let mut next = mark;
        loop {
            if let Some((at, found)) = all.events[next..].iter().find(|(_, line)| wanted(line)) {
                return (*at, found.clone());
            }
            next = all.events.len();
            let left = PATIENCE.saturating_sub(start.elapsed());
            assert!(
                !left.is_zero() && !all.over,
                "waited in vain for: {what}\n`mwctl {}` said\n{}",
                self.title,
                all.stdout.join("\n")
            );
            all = self
                .told
                .more
                .wait_timeout(all, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// The events after `mark` that are `wanted`.
    pub fn events(&self, mark: usize, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.told.lock().events[mark..]
            .iter()
            .filter(|(_, line)| wanted(line))
            .map(|(_, line)| line.clone())
            .collect()
    }

    /// The process, which is the program's own.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ctrl-C, and how it ended.
    pub fn interrupt(self) -> Answer {
        self.signal("INT");
        self.finish()
    }

    /// Ends it at once, as a crash of the machine would.
    pub fn kill(self) -> Answer {
        self.signal("KILL");
        self.finish()
    }

    fn signal(&self, name: &str) {
        let status = command("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(status.is_ok_and(|status| status.success()));
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    ///
    /// When it doesn't within the patience of four conditions: an image may have to be made.
    pub fn finish(mut self) -> Answer {
        let start = Instant::now();
        let status: ExitStatus = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(
                start.elapsed() < PATIENCE * 4,
                "`mwctl {}` doesn't end; it said\n{}",
                self.title,
                self.told.lock().stdout.join("\n")
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        for reader in self.readers.drain(..) {
            drop(reader.join());
        }
        let all = self.told.lock();
        Answer {
            code: status.code(),
            stdout: all.stdout.join("\n"),
            stderr: all.stderr.clone(),
        }
    }
}

impl Told {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mwctl {
    fn drop(&mut self) {
        // It may have ended; its readers end with its streams.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
