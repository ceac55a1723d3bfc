//! What is said of a program that failed.

use std::path::PathBuf;

use mwctl_container::Lack;

use crate::build::{BuildError, StepError};
use crate::plan::Network;

#[test]
fn whoever_has_one_id_is_told_how_to_get_more_where_that_may_be_why() {
    let failed = |line: &str, one_id| BuildError::Step {
        stage: "only".to_owned(),
        step: "RUN it".to_owned(),
        line: None,
        source: Box::new(StepError::Program {
            how: "it ended with exit code 1".to_owned(),
            last: vec![line.to_owned()],
            log: None,
            network: None,
            one_id,
        }),
    };
    let one = Some(Lack::Users { helpers: false });
    let hints = failed("chown: /srv: Invalid argument", one).hints();
    assert!(hints[0].contains("usermod --add-subuids"), "{hints:?}");
    assert!(failed("it: not found", one).hints().is_empty());
    let other = failed("chown: /srv: Invalid argument", None);
    assert!(other.hints().is_empty());
}

#[test]
fn where_all_that_a_program_wrote_is_kept_can_be_typed() {
    let failed = |log: &str| StepError::Program {
        how: "it ended with exit code 1".to_owned(),
        last: Vec::new(),
        log: Some(PathBuf::from(log)),
        network: None,
        one_id: None,
    };
    let hints = failed("/home/me/logs/1.log").hints();
    assert_eq!(
        hints,
        ["less /home/me/logs/1.log  # shows all that it wrote"]
    );
    let hints = failed("/home/my own/1.log").hints();
    assert!(hints[0].starts_with("less '/home/my own/1.log'  #"));
}

#[test]
fn whoever_has_no_network_is_told_so_where_that_may_be_why() {
    let failed = |line: &str, network| StepError::Program {
        how: "it ended with exit code 1".to_owned(),
        last: vec![line.to_owned()],
        log: None,
        network,
        one_id: None,
    };
    let line = "curl: (6) Could not resolve host: example.org";
    for network in [Network::None, Network::Relay] {
        let hints = failed(line, Some(network)).hints();
        assert!(hints[0].contains("mwctl build --network host"), "{hints:?}");
        assert!(failed("no such file", Some(network)).hints().is_empty());
    }
    assert!(failed(line, None).hints().is_empty());
}
