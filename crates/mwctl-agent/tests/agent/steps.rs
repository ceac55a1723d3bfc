//! Dependency steps, and the one-shot form that `mwctl test` uses.

use std::fs;
use std::process::Stdio;

use mwctl_agent::protocol::{
    Commit, Exit, FromAgent, Outcome, Phase, ProcessState, Restart, Step, ToAgent,
};
use rustix::process::Signal;

use crate::stage::{Session, Stage, step, wait_for};

const IDLE: &str = "exec sleep 1000";

fn with(step: Step) -> impl FnOnce(&mut Commit) {
    |commit| commit.step = Some(step)
}

fn ran(session: &Session) -> bool {
    let started = |m: &FromAgent| {
        matches!(
            m,
            FromAgent::Phase {
                phase: Phase::DependenciesStarted,
                ..
            }
        )
    };
    session.seen().any(started)
}

#[test]
fn it_runs_when_an_input_changed_and_only_then() {
    let stage = Stage::prepared(|app| fs::write(app.join("package.json"), "1").unwrap());
    let stage = stage.start(&[], IDLE);
    let mut session = stage.session("anna");
    let install = || {
        step(
            "echo installed >> steps; echo some output",
            &["package.json"],
        )
    };
    let update = session.edit_with(&[("a.js", "a")], &[], with(install()));
    assert_eq!(session.finished(update), Outcome::Live);
    assert!(!ran(&session), "the image's dependencies fit");
    let update = session.edit_with(&[("package.json", "2")], &[], with(install()));
    let output = session.until(|message| match message {
        FromAgent::StepOutput { update: of, bytes } if *of == update => Some(bytes.0.clone()),
        _ => None,
    });
    assert_eq!(output, b"some output\n");
    assert_eq!(session.finished(update), Outcome::Live);
    assert!(ran(&session));
    let update = session.edit_with(&[("a.js", "b")], &[], with(install()));
    assert_eq!(session.finished(update), Outcome::Live);
    assert_eq!(stage.text("steps"), "installed\n");
}

#[test]
fn after_a_failure_it_runs_again_and_the_process_stays_as_it_was() {
    let stage = Stage::run(&[], "echo up >> log; exec sleep 1000");
    let mut session = stage.session("anna");
    let update = session.edit_with(
        &[("package.json", "bad")],
        &[],
        with(step("exit 9", &["package.json"])),
    );
    assert_eq!(
        session.finished(update),
        Outcome::DependenciesFailed {
            exit: Exit::Code(9)
        }
    );
    let update = session.edit_with(&[("a.js", "a")], &[], with(step("true", &["package.json"])));
    assert_eq!(session.finished(update), Outcome::Live);
    assert!(ran(&session));
    wait_for("it was restarted once", || {
        (stage.text("log") == "up\nup\n").then_some(())
    });
}

#[test]
fn a_first_step_that_fails_keeps_the_process_from_starting() {
    let stage = Stage::run(
        &["--await-session-ms", "600000"],
        "echo up > log; exec sleep 1000",
    );
    let mut session = stage.session("anna");
    let update = session.edit_with(&[("p", "1")], &[], with(step("exit 1", &["p"])));
    assert!(matches!(
        session.finished(update),
        Outcome::DependenciesFailed { .. }
    ));
    assert_eq!(
        stage.session("anna").welcome.as_ref().unwrap().process,
        ProcessState::Stopped
    );
    assert!(!stage.path("log").exists());
}

#[test]
fn changed_lock_files_are_offered_back() {
    let stage = Stage::prepared(|app| fs::write(app.join("package-lock.json"), "old").unwrap());
    let stage = stage.start(&[], IDLE);
    let mut session = stage.session("anna");
    let mut install = step("printf new > package-lock.json", &["package.json"]);
    install.outputs = vec!["package-lock.json".into(), "yarn.lock".into()];
    session.send(&ToAgent::RunStep {
        update: 1,
        step: install,
        restart: Restart::IfChanged,
    });
    let entries = session.until(|message| match message {
        FromAgent::FilesChanged { entries, .. } => Some(entries.clone()),
        _ => None,
    });
    assert_eq!(entries.len(), 1);
    session.send(&ToAgent::Fetch {
        paths: vec![entries[0].path.clone()],
    });
    let data = session.until(|message| match message {
        FromAgent::Contents { data } => Some(data.clone()),
        _ => None,
    });
    assert_eq!(data.unpack().unwrap(), b"new");
    assert_eq!(session.finished(1), Outcome::Live);
}

#[test]
fn commits_during_a_step_are_merged_into_one() {
    let stage = Stage::run(
        &["--await-session-ms", "600000"],
        "cat a.js >> log; exec sleep 1000",
    );
    let mut session = stage.session("anna");
    let slow = || {
        step(
            "echo > running; while [ ! -e go ]; do sleep 0.01; done",
            &["p"],
        )
    };
    let first = session.edit_with(&[("p", "1"), ("a.js", "1")], &[], with(slow()));
    wait_for("the step runs", || {
        stage.path("running").exists().then_some(())
    });
    let second = session.edit_with(&[("a.js", "2")], &[], with(slow()));
    let third = session.edit_with(&[("a.js", "3")], &[], with(slow()));
    assert_eq!(session.finished(second), Outcome::Superseded { by: third });
    assert_eq!(stage.text("a.js"), "3", "files are copied at once");
    fs::write(stage.path("go"), "").unwrap();
    assert_eq!(session.finished(first), Outcome::Superseded { by: third });
    assert_eq!(session.finished(third), Outcome::Live);
    wait_for("it was restarted once", || {
        (stage.text("log") == "3").then_some(())
    });
}

#[test]
fn a_one_shot_command_runs_on_the_tree_of_the_session_and_gives_its_code() {
    let mut stage = Stage::prepared(|_| {}).start_as(
        "test",
        &["--await-session-ms", "600000"],
        "cat input; cat installed; exit 5",
        Stdio::piped(),
    );
    let mut session = stage.session("anna");
    let install = step("printf yes > installed; echo from the step", &["input"]);
    let update = session.edit_with(&[("input", "tree ")], &[], with(install));
    let told = session.until(|message| match message {
        FromAgent::StepOutput { update: of, bytes } if *of == update => Some(bytes.0.clone()),
        _ => None,
    });
    assert_eq!(told, b"from the step\n");
    let exited = session.exited();
    assert_eq!((exited.exit, exited.restart_in_ms), (Exit::Code(5), None));
    assert_eq!(stage.wait().code(), Some(5));
    let mut output = String::new();
    std::io::Read::read_to_string(&mut stage.agent.stdout.take().unwrap(), &mut output).unwrap();
    assert_eq!(output, "tree yes", "the command's output alone");
}

#[test]
fn a_one_shot_command_that_a_signal_ends_gives_128_and_the_signal() {
    let mut stage = Stage::prepared(|_| {}).start_as(
        "test",
        &["--await-session-ms", "600000"],
        "kill -ABRT $$",
        Stdio::null(),
    );
    stage.session("anna").edit_with(&[("a", "a")], &[], |_| {});
    assert_eq!(stage.wait().code(), Some(134));
}

#[test]
fn a_one_shot_command_without_a_tree_gives_up() {
    let options = ["--await-session-ms", "20"];
    let mut stage = Stage::prepared(|_| {}).start_as("test", &options, "true", Stdio::null());
    assert_eq!(stage.wait().code(), Some(75));
}

#[test]
fn a_term_ends_a_running_step_too() {
    let mut stage = Stage::run(&["--await-session-ms", "600000"], IDLE);
    let mut session = stage.session("anna");
    session.edit_with(
        &[("p", "1")],
        &[],
        with(step("echo $$ > step; exec sleep 1000", &["p"])),
    );
    let pid = wait_for("the step runs", || {
        fs::read_to_string(stage.path("step"))
            .ok()
            .filter(|pid| pid.ends_with('\n'))
    });
    stage.signal(Signal::TERM);
    assert_eq!(stage.wait().code(), Some(0));
    let running = format!("/proc/{}/cmdline", pid.trim());
    wait_for("the step is gone", || {
        fs::read(&running)
            .map_or(true, |line| line.is_empty())
            .then_some(())
    });
}
