//! Who owns the agent: pure decisions about one owner at a time.

use std::time::Duration;

use crate::protocol::{Hello, OWNER_SILENCE, PROTOCOL, Refused};

/// A connection's number.
pub(crate) type ConnectionId = u64;

/// The owner, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Ownership(Option<Owner>);

#[derive(Debug)]
struct Owner {
    session: String,
    name: String,
    connection: ConnectionId,
    heard: Duration,
}

/// The answer to a session that wants in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It owns the agent now.
    Accepted {
        /// The connection that lost it and is to be closed.
        superseded: Option<ConnectionId>,
        /// Who lost it, if that was another session.
        previous: Option<String>,
    },
    /// It doesn't.
    Refused(Refused),
}

impl Ownership {
    /// Decides about `hello`, which came over `connection` at `now`.
    pub(crate) fn ask(&mut self, hello: &Hello, connection: ConnectionId, now: Duration) -> Answer {
        if hello.protocol != PROTOCOL {
            let reason = format!(
                "The agent in the container speaks protocol {PROTOCOL} and not {}; leave develop and begin it again.",
                hello.protocol
            );
            return Answer::Refused(Refused {
                protocol: PROTOCOL,
                owner: None,
                silent_ms: 0,
                reason,
            });
        }
        let silent = |owner: &Owner| now.saturating_sub(owner.heard);
        if let Some(owner) = &self.0
            && owner.session != hello.session
            && !hello.take_over
            && silent(owner) <= OWNER_SILENCE
        {
            let reason = format!("{} develops this container.", owner.name);
            return Answer::Refused(Refused {
                protocol: PROTOCOL,
                owner: Some(owner.name.clone()),
                silent_ms: u64::try_from(silent(owner).as_millis()).unwrap_or(u64::MAX),
                reason,
            });
        }
        let before = self.0.replace(Owner {
            session: hello.session.clone(),
            name: hello.owner.clone(),
            connection,
            heard: now,
        });
        let superseded = before
            .as_ref()
            .map(|owner| owner.connection)
            .filter(|c| *c != connection);
        let previous = before
            .filter(|owner| owner.session != hello.session)
            .map(|owner| owner.name);
        Answer::Accepted {
            superseded,
            previous,
        }
    }

    /// A frame came over `connection`. Returns the owner's session if that is the owner's.
    pub(crate) fn heard(&mut self, connection: ConnectionId, now: Duration) -> Option<&str> {
        let owner = self
            .0
            .as_mut()
            .filter(|owner| owner.connection == connection)?;
        owner.heard = now;
        Some(&owner.session)
    }

    /// The stream of `connection` is closed. Returns whether that was the owner's.
    pub(crate) fn closed(&mut self, connection: ConnectionId) -> bool {
        self.0
            .take_if(|owner| owner.connection == connection)
            .is_some()
    }

    /// The owner's connection.
    pub(crate) fn connection(&self) -> Option<ConnectionId> {
        self.0.as_ref().map(|owner| owner.connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(session: &str, take_over: bool) -> Hello {
        Hello {
            protocol: PROTOCOL,
            agent_digest: String::new(),
            session: session.into(),
            owner: format!("{session}@host"),
            take_over,
        }
    }

    fn accepted(superseded: Option<u64>, previous: Option<&str>) -> Answer {
        Answer::Accepted {
            superseded,
            previous: previous.map(str::to_owned),
        }
    }

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn a_second_session_is_refused_with_the_name_of_the_first() {
        let mut ownership = Ownership::default();
        assert_eq!(
            ownership.ask(&hello("anna", false), 1, NOW),
            accepted(None, None)
        );
        let later = NOW + Duration::from_secs(3);
        let Answer::Refused(refused) = ownership.ask(&hello("ben", false), 2, later) else {
            panic!("two owners");
        };
        assert_eq!(
            (refused.owner.as_deref(), refused.silent_ms),
            (Some("anna@host"), 3000)
        );
        assert_eq!(ownership.connection(), Some(1));
    }

    #[test]
    fn a_silent_or_closed_owner_and_a_take_over_let_another_in() {
        let mut ownership = Ownership::default();
        ownership.ask(&hello("anna", false), 1, NOW);
        let answer = ownership.ask(&hello("ben", true), 2, NOW);
        assert_eq!(answer, accepted(Some(1), Some("anna@host")));
        let late = NOW + OWNER_SILENCE + Duration::from_millis(1);
        let answer = ownership.ask(&hello("cleo", false), 3, late);
        assert_eq!(answer, accepted(Some(2), Some("ben@host")));
        assert!(!ownership.closed(2));
        assert!(ownership.closed(3));
        assert_eq!(
            ownership.ask(&hello("dora", false), 4, late),
            accepted(None, None)
        );
    }

    #[test]
    fn a_frame_of_the_owner_ends_its_silence() {
        let mut ownership = Ownership::default();
        ownership.ask(&hello("anna", false), 1, NOW);
        assert_eq!(ownership.heard(1, NOW + OWNER_SILENCE), Some("anna"));
        assert_eq!(ownership.heard(2, NOW), None);
        let later = NOW + OWNER_SILENCE + Duration::from_secs(1);
        assert!(matches!(
            ownership.ask(&hello("ben", false), 2, later),
            Answer::Refused(_)
        ));
    }

    #[test]
    fn the_same_session_may_come_back_at_any_time() {
        let mut ownership = Ownership::default();
        ownership.ask(&hello("anna", false), 1, NOW);
        assert_eq!(
            ownership.ask(&hello("anna", false), 2, NOW),
            accepted(Some(1), None)
        );
    }

    #[test]
    fn another_protocol_is_refused_in_words() {
        let mut ownership = Ownership::default();
        let foreign = Hello {
            protocol: PROTOCOL + 1,
            ..hello("anna", true)
        };
        let Answer::Refused(refused) = ownership.ask(&foreign, 1, NOW) else {
            panic!("let in")
        };
        assert_eq!(refused.owner, None);
        assert!(refused.reason.contains("protocol"));
    }
}
