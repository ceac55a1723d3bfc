//! One owner at a time.

use mwctl_agent::protocol::{FromAgent, Hello, PROTOCOL, ToAgent};

use crate::stage::{Session, Stage};

const IDLE: &str = "exec sleep 1000";

fn fatal(session: &mut Session) -> String {
    session.until(|message| match message {
        FromAgent::Problem { text, fatal: true } => Some(text.clone()),
        _ => None,
    })
}

#[test]
fn a_second_session_is_refused_by_name_and_the_first_goes_on() {
    let stage = Stage::run(&[], IDLE);
    let mut anna = stage.session("anna");
    let mut ben = stage.connect();
    ben.hello("ben", false);
    let Some(FromAgent::Refused(refused)) = ben.next() else {
        panic!("not refused")
    };
    assert_eq!(refused.owner.as_deref(), Some("anna@host"));
    assert!(ben.next().is_none(), "the stream closes");
    assert!(
        ben.connect.wait().unwrap().success(),
        "and with it `connect`"
    );
    assert_eq!(anna.edit(&[("a", "a")], &[]).written, 1);
}

#[test]
fn a_session_whose_stream_closed_owns_nothing() {
    let stage = Stage::run(&[], IDLE);
    drop(stage.session("anna"));
    let mut ben = stage.connect();
    // The agent may hear of the new stream before it hears of the end of the old one.
    loop {
        ben.hello("ben", false);
        match ben.next() {
            Some(FromAgent::Welcome(_)) => break,
            Some(FromAgent::Refused(_)) => ben = stage.connect(),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ben.edit(&[("a", "a")], &[]).written, 1);
}

#[test]
fn a_take_over_tells_the_owner_and_closes_its_stream() {
    let stage = Stage::run(&[], IDLE);
    let mut anna = stage.session("anna");
    let mut ben = stage.connect();
    ben.hello("ben", true);
    let Some(FromAgent::Welcome(welcome)) = ben.next() else {
        panic!("not let in")
    };
    assert_eq!(welcome.previous_owner.as_deref(), Some("anna@host"));
    assert!(fatal(&mut anna).contains("ben@host"));
    assert!(anna.next().is_none());
    assert_eq!(ben.edit(&[("a", "a")], &[]).written, 1);
}

#[test]
fn the_same_session_may_come_back_while_its_old_stream_hangs() {
    let stage = Stage::run(&[], IDLE);
    let _hangs = stage.session("anna");
    let mut again = stage.session("anna");
    assert_eq!(again.welcome.as_ref().unwrap().previous_owner, None);
    assert_eq!(again.edit(&[("a", "a")], &[]).written, 1);
}

#[test]
fn another_protocol_is_refused_in_words() {
    let stage = Stage::run(&[], IDLE);
    let mut session = stage.connect();
    session.send(&ToAgent::Hello(Hello {
        protocol: PROTOCOL + 1,
        agent_digest: String::new(),
        session: "future".into(),
        owner: "future@host".into(),
        take_over: true,
    }));
    let Some(FromAgent::Refused(refused)) = session.next() else {
        panic!("not refused")
    };
    assert_eq!((refused.protocol, refused.owner), (PROTOCOL, None));
}
