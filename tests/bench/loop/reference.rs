//! What an edit is measured against: the ways there without `mwctl`, and the process's own start.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Instant;

use mwctl_tests::cluster::command;

use super::place::Place;
use super::poll::{self, Poller};
use super::report::Samples;
use super::{ROUNDS, WARM};

fn exec(place: &Place, interactive: bool, words: &[&str]) -> Command {
    let mut exec = command("kubectl");
    exec.args([
        "exec",
        "--quiet",
        "--namespace",
        &place.namespace,
        &place.pod,
    ])
    .args(["--container", "plain-local"])
    .stderr(Stdio::null());
    if interactive {
        exec.arg("-i");
    }
    exec.arg("--").args(words);
    exec
}

/// A line through an exec that stays open, and back: the floor of any stream.
pub(crate) fn open_stream(place: &Place) -> Samples {
    let mut child = exec(place, true, &["cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("kubectl");
    let mut stdin = child.stdin.take().expect("it is piped");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut samples = Samples::default();
    for round in 0..WARM + ROUNDS {
        let start = Instant::now();
        writeln!(stdin, "{round}").expect("an open stream");
        let mut line = String::new();
        stdout.read_line(&mut line).expect("an open stream");
        assert_eq!(line.trim(), round.to_string());
        samples.take(round, start.elapsed());
    }
    drop(stdin);
    drop(child.wait());
    samples
}

/// A new exec that does nothing.
pub(crate) fn bare_exec(place: &Place) -> Samples {
    let mut samples = Samples::default();
    for round in 0..WARM + ROUNDS {
        let start = Instant::now();
        let status = exec(place, false, &["true"]).status();
        assert!(status.is_ok_and(|status| status.success()));
        samples.take(round, start.elapsed());
    }
    samples
}

/// A file by tar over a new exec, as tools without an agent do it.
pub(crate) fn tar(place: &Place) -> Samples {
    let folder = tempfile::tempdir().expect("a folder");
    let mut samples = Samples::default();
    for round in 0..WARM + ROUNDS {
        let content = format!("tar {round}\n");
        std::fs::write(folder.path().join("by-tar.txt"), &content).expect("a file");
        let start = Instant::now();
        let packed = command("tar")
            .args(["--create", "--directory"])
            .arg(folder.path())
            .arg("by-tar.txt")
            .output()
            .expect("tar");
        let mut child = exec(place, true, &["tar", "x", "-C", "/srv/service"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("kubectl");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(&packed.stdout).expect("an open stream");
        drop(stdin);
        let at = place.shows("by-tar.txt", &content);
        samples.take(round, at.duration_since(start));
        assert!(child.wait().is_ok_and(|status| status.success()));
    }
    samples
}

/// The same program in the same container, started by hand.
pub(crate) fn node(place: &Place) -> Samples {
    const PORT: u16 = 3999;
    let mut poller = Poller::start(place, PORT);
    let mut samples = Samples::default();
    for round in 0..WARM + ROUNDS {
        poller.want("hello");
        let start = poll::now();
        let mut child = command("nsenter")
            .args(["--target", &place.process.to_string(), "--mount", "--net"])
            .args(["--wdns=/srv/service", "env", &format!("PORT={PORT}")])
            .args(["node", "server.js"])
            .stdout(Stdio::null())
            .spawn()
            .expect("`nsenter` of util-linux");
        samples.take(round, poller.heard().saturating_sub(start));
        drop(child.kill());
        drop(child.wait());
    }
    samples
}
