//! The stream itself: order, heartbeats, garbage, ends.

use mwctl_agent::frame::{MAX_FRAME, encode};
use mwctl_agent::protocol::{FromAgent, PROTOCOL, ProcessState, ToAgent};

use crate::stage::{Stage, agent};

const IDLE: &str = "exec sleep 1000";

fn last_problem(session: &mut crate::stage::Session) -> Option<String> {
    let mut problem = None;
    while let Some(message) = session.next() {
        if let FromAgent::Problem { text, fatal: true } = message {
            problem = Some(text);
        }
    }
    problem
}

#[test]
fn the_welcome_tells_where_a_session_is() {
    let stage = Stage::run(&["--digest", "abc"], IDLE);
    let session = stage.session("anna");
    let welcome = session.welcome.as_ref().unwrap();
    assert_eq!(
        (welcome.protocol, welcome.digest.as_deref()),
        (PROTOCOL, Some("abc"))
    );
    assert!(matches!(
        welcome.process,
        ProcessState::Running { ready: true, .. }
    ));
    assert_eq!(welcome.last_update, None);
    let again = stage.session("anna");
    assert_eq!(again.welcome.as_ref().unwrap().agent_id, welcome.agent_id);
}

#[test]
fn heartbeats_are_echoed() {
    let stage = Stage::run(&[], IDLE);
    let mut session = stage.session("anna");
    for nonce in [1, 2, u64::MAX] {
        session.send(&ToAgent::Heartbeat { nonce });
        session.until(|m| (*m == FromAgent::Heartbeat { nonce }).then_some(()));
    }
}

#[test]
fn whoever_does_not_say_hello_is_sent_away() {
    let stage = Stage::run(&[], IDLE);
    let mut session = stage.connect();
    session.send(&ToAgent::Heartbeat { nonce: 1 });
    assert!(last_problem(&mut session).unwrap().contains("hello"));
}

#[test]
fn garbage_closes_the_stream_and_nothing_else() {
    let stage = Stage::run(&[], IDLE);
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[0xff; 64],
        &[3, 0, 0, 0, 0xff, 0xff, 0xff],
        &(MAX_FRAME as u32 + 1).to_le_bytes(),
    ] {
        let mut session = stage.session("anna");
        session.raw(garbage);
        assert!(last_problem(&mut session).is_some());
    }
    assert_eq!(stage.session("anna").edit(&[("a", "a")], &[]).written, 1);
}

#[test]
fn a_stream_cut_inside_of_a_frame_applies_nothing_of_it() {
    let stage = Stage::run(&[], IDLE);
    let mut session = stage.session("anna");
    let commit = session.commit();
    let put = mwctl_agent::protocol::Put::file("a", b"half", false);
    let frame = encode(&ToAgent::Update {
        puts: vec![put],
        deletes: vec![],
        commit,
    })
    .unwrap();
    session.raw(&frame[..frame.len() - 1]);
    session
        .stream
        .as_ref()
        .unwrap()
        .shutdown(std::net::Shutdown::Write)
        .unwrap();
    assert!(
        last_problem(&mut session)
            .unwrap()
            .contains("inside of a frame")
    );
    assert!(!stage.path("a").exists());
}

#[test]
fn a_killed_connect_ends_the_ownership() {
    let stage = Stage::run(&[], IDLE);
    let mut session = stage.session("anna");
    session.connect.kill().unwrap();
    // The agent lets go of its ends, so ours ends too.
    assert!(session.next().is_none());
    assert_eq!(stage.session("ben").edit(&[("a", "a")], &[]).written, 1);
}

#[test]
fn connecting_without_an_agent_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let output = agent()
        .args(["connect", "--wait-ms", "0", "--run-directory"])
        .arg(directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no agent listens"));
}
