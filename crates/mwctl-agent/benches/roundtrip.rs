//! How long a save takes from the session's side: one small file in one frame, until `Applied` is
//! read, through `connect` and the running agent on this machine. Beside it an echo over the same
//! stream, which costs the wake-ups alone.
#![expect(clippy::unwrap_used, reason = "a measurement that fails has no figure")]

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mwctl_agent::frame::{read_frame, write_frame};
use mwctl_agent::protocol::{Commit, FromAgent, Hello, PROTOCOL, Put, Restart, ToAgent};

const ROUNDS: usize = 2000;

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let (app, run) = (directory.path().join("app"), directory.path().join("run"));
    std::fs::create_dir_all(app.join("lib")).unwrap();
    std::fs::create_dir(&run).unwrap();
    let mut supervisor = agent()
        .arg("run")
        .args(["--target".as_ref(), app.as_os_str()])
        .args(["--run-directory".as_ref(), run.as_os_str()])
        .args(["--", "setpriv", "--pdeathsig", "KILL", "sleep", "1000"])
        .spawn()
        .unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let also_theirs = theirs.try_clone().unwrap();
    let mut connect = agent()
        .args([
            "connect".as_ref(),
            "--run-directory".as_ref(),
            run.as_os_str(),
        ])
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(OwnedFd::from(also_theirs)))
        .spawn()
        .unwrap();
    let hello = Hello {
        protocol: PROTOCOL,
        agent_digest: String::new(),
        session: "bench".into(),
        owner: "bench".into(),
        take_over: false,
    };
    exchange(&mut ours, &ToAgent::Hello(hello), |m| {
        matches!(m, FromAgent::Welcome(_))
    });
    let echo = measure(|nonce| {
        exchange(
            &mut ours,
            &ToAgent::Heartbeat { nonce },
            |m| matches!(m, FromAgent::Heartbeat { nonce: echoed } if *echoed == nonce),
        );
    });
    report("echo", &echo);
    let text = "module.exports = app => app.get('/', (_, res) => res.send('x'));\n".repeat(30);
    let mut save = |in_place| {
        measure(|update| {
            let contents = format!("{text}{update}");
            let puts = vec![Put::file("lib/route.js", contents.as_bytes(), false)];
            let commit = Commit {
                update,
                step: None,
                restart: Restart::Never,
                in_place,
            };
            let message = ToAgent::Update {
                puts,
                deletes: Vec::new(),
                commit,
            };
            exchange(
                &mut ours,
                &message,
                |m| matches!(m, FromAgent::Applied(applied) if applied.update == update),
            );
        })
    };
    report("save 2 KB, renamed", &save(false));
    report("save 2 KB, in place", &save(true));
    drop(ours);
    connect.wait().unwrap();
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
}

/// The agent, in a form that ends with the bench.
#[expect(clippy::disallowed_methods, reason = "this bench runs the program")]
fn agent() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_mwctl-agent")]);
    command
}

fn exchange(stream: &mut UnixStream, message: &ToAgent, wanted: impl Fn(&FromAgent) -> bool) {
    write_frame(stream, message).unwrap();
    while !wanted(&read_frame(stream).unwrap().unwrap()) {}
}

fn measure(mut round: impl FnMut(u64)) -> Vec<Duration> {
    let mut times: Vec<Duration> = (0..ROUNDS as u64)
        .map(|number| {
            let began = Instant::now();
            round(number);
            began.elapsed()
        })
        .collect();
    times.sort();
    times
}

fn report(what: &str, times: &[Duration]) {
    let micros = |share: usize| times[times.len() * share / 100].as_micros();
    let line = format!("{what}: p50 {} µs, p95 {} µs", micros(50), micros(95));
    let mut answer = std::io::stdout().lock();
    writeln!(answer, "{line}").unwrap();
}
