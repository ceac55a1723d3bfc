//! Starting the command and the dependency step, each in a process group of its own, and passing
//! their output on byte by byte while remembering the last lines.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal};

/// Lines kept for a report.
const LINES: usize = 40;
/// Bytes kept of each: enough for a stack trace in a line of JSON. Minified code makes such of megabytes.
const LINE: usize = 8 << 10;

/// What to start.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) command: Vec<OsString>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) directory: PathBuf,
    /// Whether its output goes to the container's log; else only the watcher gets it.
    pub(crate) logged: bool,
}

/// A started program.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) pid: Pid,
    pub(crate) tail: Arc<Mutex<Tail>>,
}

/// What the threads that pass output on tell about it.
pub(crate) trait Watcher: Clone + Send + 'static {
    /// Some output came.
    fn output(&self, bytes: &[u8]);
    /// One of the two streams ended.
    fn closed(&self);
}

impl Running {
    /// Starts a program and the two threads for its output.
    pub(crate) fn start(program: &Program, watcher: &impl Watcher) -> io::Result<Self> {
        let (name, arguments) = program
            .command
            .split_first()
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        #[expect(
            clippy::disallowed_methods,
            reason = "to start it is what the agent is for"
        )]
        let mut child = Command::new(name)
            .args(arguments)
            .envs(
                program
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .current_dir(&program.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let tail = Arc::new(Mutex::new(Tail::default()));
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let logged = program.logged;
        if let Some(out) = out {
            let log = logged.then(std::io::stdout);
            pass_on(out, log, tail.clone(), watcher.clone());
        }
        if let Some(err) = err {
            let log = logged.then(std::io::stderr);
            pass_on(err, log, tail.clone(), watcher.clone());
        }
        // The child is waited for with all others of its kind, since orphans end here too.
        Ok(Self {
            pid: Pid::from_child(&child),
            tail,
        })
    }

    /// Sends a signal to the process, or to its group. One that is gone doesn't mind.
    pub(crate) fn signal(&self, signal: i32, group: bool) {
        let Some(signal) = Signal::from_named_raw(signal) else {
            return;
        };
        let _gone = if group {
            rustix::process::kill_process_group(self.pid, signal)
        } else {
            rustix::process::kill_process(self.pid, signal)
        };
    }

    /// The last lines of its output.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        self.tail
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .lines()
    }
}

fn pass_on(
    mut from: impl Read + Send + 'static,
    log: Option<impl AsFd + Send + 'static>,
    tail: Arc<Mutex<Tail>>,
    watcher: impl Watcher,
) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        let mut partial = Partial::default();
        loop {
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    // Past the standard library's own buffering, so that nothing waits in it.
                    if let Some(log) = &log {
                        write_all(log, &buffer[..count]);
                    }
                    let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
                    partial.add(&buffer[..count], &mut tail);
                    drop(tail);
                    watcher.output(&buffer[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        partial.end(&mut tail.lock().unwrap_or_else(PoisonError::into_inner));
        watcher.closed();
    });
}

/// Writes to the container's log. Without a reader the output is dropped and the process goes on.
fn write_all(to: &impl AsFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Writes a line of the agent's own to the container's log.
pub(crate) fn note(text: &str) {
    // Nobody reads it: then nobody misses it.
    let _unread = writeln!(io::stderr(), "mwctl-agent: {text}");
}

/// The last lines of both streams in the order in which they were completed.
#[derive(Debug, Default)]
pub(crate) struct Tail(VecDeque<Vec<u8>>);

impl Tail {
    fn push(&mut self, line: Vec<u8>) {
        if self.0.len() == LINES {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect()
    }
}

/// The line that is being written on one stream.
#[derive(Debug, Default)]
struct Partial(Vec<u8>);

impl Partial {
    fn add(&mut self, bytes: &[u8], tail: &mut Tail) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            let room = LINE.saturating_sub(self.0.len()).min(text.len());
            self.0.extend_from_slice(&text[..room]);
            if ends {
                tail.push(std::mem::take(&mut self.0));
            }
        }
    }

    fn end(&mut self, tail: &mut Tail) {
        if !self.0.is_empty() {
            tail.push(std::mem::take(&mut self.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_has_whole_lines_however_they_were_cut() {
        let (mut tail, mut partial) = (Tail::default(), Partial::default());
        partial.add(b"on", &mut tail);
        partial.add(b"e\ntwo\n\nthr", &mut tail);
        assert_eq!(tail.lines(), ["one", "two", ""]);
        partial.end(&mut tail);
        assert_eq!(tail.lines(), ["one", "two", "", "thr"]);
    }

    #[test]
    fn the_tail_is_bounded() {
        let (mut tail, mut partial) = (Tail::default(), Partial::default());
        for line in 0..1000 {
            partial.add(format!("{line}\n").as_bytes(), &mut tail);
        }
        partial.add(&vec![b'x'; 1 << 20], &mut tail);
        partial.end(&mut tail);
        let lines = tail.lines();
        assert_eq!((lines.len(), lines[0].as_str()), (LINES, "961"));
        assert_eq!(lines[LINES - 1].len(), LINE);
    }
}
