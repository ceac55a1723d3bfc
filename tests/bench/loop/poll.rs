//! Asks a service again and again until it answers as wanted, from within the pod's own network.
//!
//! No port forward and no proxy lies between: this program starts a copy of itself there.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mwctl_tests::cluster::{command, get};

use super::place::Place;

/// The time of day: two processes of one machine agree on it.
pub(crate) fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time after 1970")
}

/// Reads wanted answers from stdin; prints for each when it was there, in nanoseconds.
pub(crate) fn serve(address: &str) {
    for wanted in std::io::stdin().lines().map_while(Result::ok) {
        while !get(address, "/").is_some_and(|reply| reply.body.starts_with(&wanted)) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut stdout = std::io::stdout();
        writeln!(stdout, "{}", now().as_nanos()).expect("somebody listens");
        stdout.flush().expect("somebody listens");
    }
}

/// The copy in the pod's network.
pub(crate) struct Poller {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Poller {
    /// Starts it for a port of the pod.
    pub(crate) fn start(place: &Place, port: u16) -> Self {
        let own = std::env::current_exe().expect("this program");
        let mut child = command("nsenter")
            .args(["--target", &place.process.to_string(), "--net"])
            .arg(own)
            .args(["--poll", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`nsenter` of util-linux");
        Self {
            stdin: child.stdin.take().expect("it is piped"),
            stdout: BufReader::new(child.stdout.take().expect("it is piped")),
            child,
        }
    }

    /// When the answer began with `wanted`.
    pub(crate) fn until(&mut self, wanted: &str) -> Duration {
        self.want(wanted);
        self.heard()
    }

    /// Begins to ask.
    pub(crate) fn want(&mut self, wanted: &str) {
        writeln!(self.stdin, "{wanted}").expect("the poller listens");
    }

    /// The time of the answer that was asked for.
    pub(crate) fn heard(&mut self) -> Duration {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("an answer");
        Duration::from_nanos(line.trim().parse().expect("a number"))
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
