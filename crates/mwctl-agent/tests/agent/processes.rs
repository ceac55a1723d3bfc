//! The process: started, restarted, crashed, ended, with its output and its descendants.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use mwctl_agent::protocol::{Exit, FromAgent, Outcome, Phase, ProcessState, Restart, ToAgent};
use rustix::process::Signal;

use crate::stage::{Stage, get, port, wait_for};

/// Runs what the checkout says.
const MAIN: &str = "exec sh main.sh";
const SLEEP: &str = "echo up >> log; exec sleep 1000";

fn alive(pid: &str) -> bool {
    // A zombie is not alive.
    fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").starts_with(" Z"))
}

#[test]
fn the_first_start_waits_for_the_tree_of_a_session() {
    let stage = Stage::run(&["--await-session-ms", "600000"], MAIN);
    let mut session = stage.session("anna");
    assert_eq!(
        session.welcome.as_ref().unwrap().process,
        ProcessState::AwaitingSession
    );
    session.converge(&[("main.sh", SLEEP)]);
    assert_eq!(session.finished(1), Outcome::Live);
    wait_for("it runs", || stage.path("log").exists().then_some(()));
}

#[test]
fn without_a_session_it_starts_with_what_the_volume_has() {
    let stage = Stage::prepared(|app| fs::write(app.join("main.sh"), SLEEP).unwrap());
    let stage = stage.start(&["--await-session-ms", "50"], MAIN);
    wait_for("it runs", || stage.path("log").exists().then_some(()));
}

#[test]
fn an_edit_restarts_it_and_reports_each_phase() {
    let stage = Stage::prepared(|app| fs::write(app.join("main.sh"), SLEEP).unwrap());
    let stage = stage.start(&[], MAIN);
    let mut session = stage.session("anna");
    let update = session.edit_with(&[("main.sh", "echo 2 > v; exec sleep 1000")], &[], |_| {});
    assert_eq!(session.finished(update), Outcome::Live);
    let phases: Vec<_> = session
        .seen()
        .filter_map(|message| match message {
            FromAgent::Phase { phase, .. } => Some(phase.clone()),
            _ => None,
        })
        .collect();
    let pid = match phases[2] {
        Phase::Started { pid } => pid,
        ref other => panic!("{other:?}"),
    };
    assert_eq!(
        phases,
        [
            Phase::Stopping,
            Phase::Stopped,
            Phase::Started { pid },
            Phase::Ready
        ]
    );
    wait_for("the new code runs", || {
        stage.path("v").exists().then_some(())
    });
}

#[test]
fn an_edit_that_changes_nothing_or_needs_no_restart_leaves_it_alone() {
    let stage = Stage::prepared(|app| fs::write(app.join("main.sh"), SLEEP).unwrap());
    let stage = stage.start(&[], MAIN);
    let mut session = stage.session("anna");
    session.converge(&[("main.sh", SLEEP)]);
    assert_eq!(session.finished(1), Outcome::Synchronised);
    let update = session.edit_with(&[("view.html", "x")], &[], |c| c.restart = Restart::Never);
    assert_eq!(session.finished(update), Outcome::Synchronised);
    assert!(!session.seen().any(|m| matches!(m, FromAgent::Phase { .. })));
}

#[test]
fn a_crash_is_reported_with_its_last_lines_and_the_fix_starts_at_once() {
    let stage = Stage::run(&["--await-session-ms", "600000"], MAIN);
    let mut session = stage.session("anna");
    let broken = "echo starting; echo SyntaxError >&2; exit 3";
    let update = session.edit_with(&[("main.sh", broken)], &[], |_| {});
    let exited = session.exited();
    assert_eq!(exited.exit, Exit::Code(3));
    let mut lines = exited.last_lines;
    lines.sort();
    assert_eq!(lines, ["SyntaxError", "starting"]);
    assert_eq!(exited.restart_in_ms, Some(200));
    assert!(matches!(
        session.finished(update),
        Outcome::Crashed | Outcome::Live
    ));
    // It is tried again by itself, more slowly each time.
    assert_eq!(session.exited().restart_in_ms, Some(400));
    let update = session.edit_with(&[("main.sh", SLEEP)], &[], |_| {});
    assert_eq!(session.finished(update), Outcome::Live);
    assert!(stage.text("main.sh").contains("sleep"));
}

#[test]
fn a_signal_that_ends_it_is_reported_as_such() {
    let stage = Stage::run(&["--await-session-ms", "600000"], MAIN);
    let mut session = stage.session("anna");
    session.edit(&[("main.sh", "kill -SEGV $$")], &[]);
    assert_eq!(session.exited().exit, Exit::Signal(11));
}

#[test]
fn a_command_that_does_not_exist_is_reported() {
    let stage = Stage::prepared(|_| {});
    let stage = stage.start(
        &["--await-session-ms", "600000", "--", "/no/such/program"],
        "",
    );
    let mut session = stage.session("anna");
    session.edit(&[("a", "a")], &[]);
    assert_eq!(session.exited().exit, Exit::NotStarted(2));
}

#[test]
fn the_process_that_ignores_term_is_killed_with_its_group() {
    let stubborn = "trap '' TERM; (trap '' TERM; echo $$ > /dev/null; exec sleep 1000) & echo $! > child; echo > up; while :; do sleep 1000 & wait; done";
    let stage = Stage::prepared(|app| fs::write(app.join("main.sh"), stubborn).unwrap());
    let stage = stage.start(&["--stop-timeout-ms", "30"], MAIN);
    wait_for("it is up", || stage.path("up").exists().then_some(()));
    let child = stage.text("child");
    let mut session = stage.session("anna");
    let update = session.edit_with(&[("main.sh", SLEEP)], &[], |_| {});
    session.phase(|phase| *phase == Phase::Killed);
    assert_eq!(session.finished(update), Outcome::Live);
    wait_for("its child is gone", || (!alive(&child)).then_some(()));
}

#[test]
fn orphans_are_reaped() {
    // The inner shell ends at once and leaves its child to the agent, which ends soon after.
    let script = "sh -c 'sleep 0.05 & echo $! > orphan'; exec sleep 1000";
    let stage = Stage::run(&[], script);
    let pid = wait_for("the orphan is there", || {
        fs::read_to_string(stage.path("orphan"))
            .ok()
            .filter(|pid| pid.ends_with('\n'))
    });
    let entry = format!("/proc/{}", pid.trim());
    wait_for("no zombie is left", || {
        (!std::path::Path::new(&entry).exists()).then_some(())
    });
}

#[test]
fn a_term_from_outside_ends_it_with_the_code_of_the_process() {
    for (script, expected) in [
        (
            "trap 'exit 7' TERM; echo > up; while :; do sleep 0.01; done",
            7,
        ),
        ("echo > up; exec sleep 1000", 143),
    ] {
        let mut stage = Stage::run(&[], script);
        wait_for("it is up", || stage.path("up").exists().then_some(()));
        stage.signal(Signal::TERM);
        assert_eq!(stage.wait().code(), Some(expected));
        assert!(!stage.directory.path().join("run/agent.sock").exists());
    }
}

#[test]
fn a_process_that_ignores_term_is_killed_after_the_grace() {
    let script = "trap '' TERM; echo > up; while :; do sleep 0.01; done";
    let mut stage = Stage::run(&["--grace-ms", "30"], script);
    wait_for("it is up", || stage.path("up").exists().then_some(()));
    stage.signal(Signal::TERM);
    let status = stage.wait();
    assert_eq!((status.code(), status.signal()), (Some(137), None));
}

#[test]
fn other_signals_reach_the_process() {
    let script = "trap 'echo hup >> log' HUP; trap 'echo usr2 >> log' USR2; echo > up; while :; do sleep 0.01; done";
    let stage = Stage::run(&[], script);
    wait_for("it is up", || stage.path("up").exists().then_some(()));
    let log = || fs::read_to_string(stage.path("log")).unwrap_or_default();
    stage.signal(Signal::HUP);
    wait_for("HUP came", || (log() == "hup\n").then_some(()));
    stage.signal(Signal::USR2);
    wait_for("USR2 came", || (log() == "hup\nusr2\n").then_some(()));
}

#[test]
fn output_goes_through_unbroken() {
    let script = "printf 'a\\0b\\377'; head -c 300000 /dev/zero; echo > done; exec sleep 1000";
    let mut stage = Stage::prepared(|_| {}).start_as("run", &[], script, Stdio::piped());
    let mut output = stage.agent.stdout.take().unwrap();
    wait_for("some output is there", || {
        let mut start = [0; 4];
        output
            .read_exact(&mut start)
            .ok()
            .map(|()| assert_eq!(start, [b'a', 0, b'b', 255]))
    });
    let mut rest = vec![1; 300_000];
    output.read_exact(&mut rest).unwrap();
    assert!(rest.iter().all(|byte| *byte == 0));
}

#[test]
fn stop_and_restart_on_request() {
    let stage = Stage::run(&[], "echo up >> log; exec sleep 1000");
    wait_for("it runs", || (stage.text("log") == "up\n").then_some(()));
    let mut session = stage.session("anna");
    session.send(&ToAgent::Stop);
    wait_for("it is stopped", || {
        let welcome = stage.session("anna").welcome.clone().unwrap();
        (welcome.process == ProcessState::Stopped).then_some(())
    });
    let mut session = stage.session("anna");
    session.send(&ToAgent::Restart { update: 5 });
    assert_eq!(session.finished(5), Outcome::Live);
    wait_for("it ran twice", || {
        (stage.text("log") == "up\nup\n").then_some(())
    });
}

#[test]
fn readiness_follows_the_port_and_is_served_over_http() {
    let (service, health) = (port(), port());
    let ready = format!("tcp:{service}");
    let options = ["--ready", &ready, "--health-port", &health.to_string()];
    let stage = Stage::prepared(|_| {}).start(&options, "exec sleep 1000");
    let answer = || get(health, "/").unwrap_or_default();
    wait_for("it isn't ready", || {
        answer().contains("503 Service Unavailable").then_some(())
    });
    wait_for("it says why", || {
        answer()
            .contains("isn't accepting connections")
            .then_some(())
    });
    let mut session = stage.session("anna");
    // The process opens its port: here the test does.
    let listener = TcpListener::bind(("127.0.0.1", service)).unwrap();
    session.ready();
    wait_for("it is ready", || {
        answer().starts_with("HTTP/1.1 200").then_some(())
    });
    drop(listener);
    session.until(|m| matches!(m, FromAgent::NotReady { .. }).then_some(()));
    wait_for("it isn't ready again", || {
        answer().contains("503").then_some(())
    });
}

#[test]
fn readiness_by_http_wants_success() {
    let service = port();
    let listener = TcpListener::bind(("127.0.0.1", service)).unwrap();
    let server = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for (stream, answer) in listener.incoming().zip(["500 No", "204 Yes"]) {
            let mut stream = stream.unwrap();
            let mut request = [0; 1024];
            let count = stream.read(&mut request).unwrap();
            asked.push(String::from_utf8_lossy(&request[..count]).into_owned());
            write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
        asked
    });
    let stage = Stage::run(
        &["--ready", &format!("http:{service}/_info")],
        "exec sleep 1000",
    );
    wait_for("it is ready", || {
        let welcome = stage.session("anna").welcome.clone().unwrap();
        matches!(welcome.process, ProcessState::Running { ready: true, .. }).then_some(())
    });
    let asked = server.join().unwrap();
    assert!(
        asked
            .iter()
            .all(|request| request.starts_with("GET /_info HTTP/1.1\r\n"))
    );
}
