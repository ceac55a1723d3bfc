//! The supervisor's rules, with a clock that the test turns.

use super::*;
use crate::protocol::{Outcome, Phase, ProcessState};

const NOW: Duration = Duration::from_secs(1);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn supervisor(await_session: Duration, once: bool) -> Supervisor {
    let (stop_timeout, grace) = (ms(300), ms(900));
    Supervisor::new(Settings {
        stop_timeout,
        grace,
        await_session,
        once,
    })
}

/// A supervisor whose process is ready.
fn running() -> Supervisor {
    let mut supervisor = supervisor(Duration::ZERO, false);
    assert_eq!(supervisor.handle(Input::Begin, NOW), [Effect::Start]);
    supervisor.handle(Input::Started(7), NOW);
    supervisor.handle(Input::Ready, NOW);
    supervisor
}

fn commitment(update: u64, changed: bool) -> Commitment {
    Commitment {
        update,
        received: NOW,
        changed,
        step: None,
        restart: Restart::IfChanged,
    }
}

fn step() -> (Step, bool) {
    let command = vec!["npm".into()];
    (
        Step {
            command,
            ..Step::default()
        },
        true,
    )
}

fn committed(update: u64, changed: bool) -> Input {
    Input::Committed(commitment(update, changed))
}

fn exited(code: i32) -> Input {
    Input::Exited {
        exit: Exit::Code(code),
        last_lines: vec!["boom".into()],
    }
}

fn outcomes(effects: &[Effect]) -> Vec<(u64, Outcome)> {
    let outcome = |effect: &Effect| match effect {
        Effect::Tell(FromAgent::Finished {
            update, outcome, ..
        }) => Some((*update, outcome.clone())),
        _ => None,
    };
    effects.iter().filter_map(outcome).collect()
}

fn phases(effects: &[Effect]) -> Vec<Phase> {
    let phase = |effect: &Effect| match effect {
        Effect::Tell(FromAgent::Phase { phase, .. }) => Some(phase.clone()),
        _ => None,
    };
    effects.iter().filter_map(phase).collect()
}

#[test]
fn a_change_ends_the_process_and_starts_it_anew() {
    let mut supervisor = running();
    let effects = supervisor.handle(committed(1, true), NOW);
    assert_eq!(effects[0], Effect::SignalGroup(15));
    assert!(supervisor.readiness().is_err());
    let effects = supervisor.handle(exited(143), NOW + ms(5));
    assert_eq!(effects.last(), Some(&Effect::Start));
    supervisor.handle(Input::Started(8), NOW + ms(6));
    let effects = supervisor.handle(Input::Ready, NOW + ms(90));
    assert_eq!(outcomes(&effects), [(1, Outcome::Live)]);
    assert_eq!(supervisor.readiness(), Ok(()));
    assert!(matches!(
        effects.last(),
        Some(Effect::Tell(FromAgent::Finished { micros: 90_000, .. }))
    ));
}

#[test]
fn a_stubborn_process_is_killed_once_after_the_timeout() {
    let mut supervisor = running();
    supervisor.handle(committed(1, true), NOW);
    assert_eq!(supervisor.deadline(), Some(NOW + ms(300)));
    assert_eq!(supervisor.handle(Input::Tick, NOW + ms(299)), []);
    let effects = supervisor.handle(Input::Tick, NOW + ms(300));
    assert_eq!(
        (&effects[0], phases(&effects)),
        (&Effect::SignalGroup(9), vec![Phase::Killed])
    );
    assert_eq!(supervisor.deadline(), None);
}

#[test]
fn commits_during_a_restart_share_it() {
    let mut supervisor = running();
    supervisor.handle(committed(1, true), NOW);
    let effects = supervisor.handle(committed(2, true), NOW);
    assert_eq!(outcomes(&effects), [(1, Outcome::Superseded { by: 2 })]);
    assert!(!effects.contains(&Effect::SignalGroup(15)));
    supervisor.handle(exited(143), NOW);
    supervisor.handle(Input::Started(8), NOW);
    assert_eq!(
        outcomes(&supervisor.handle(Input::Ready, NOW)),
        [(2, Outcome::Live)]
    );
}

#[test]
fn a_commit_after_the_new_start_restarts_once_more() {
    let mut supervisor = running();
    supervisor.handle(committed(1, true), NOW);
    supervisor.handle(exited(143), NOW);
    supervisor.handle(Input::Started(8), NOW);
    let effects = supervisor.handle(committed(2, true), NOW);
    assert_eq!(effects[1], Effect::SignalGroup(15));
}

#[test]
fn the_process_serves_until_its_dependencies_are_there() {
    let mut supervisor = running();
    let new = Commitment {
        step: Some(step()),
        ..commitment(1, true)
    };
    let effects = supervisor.handle(Input::Committed(new), NOW);
    assert!(matches!(
        &effects[..],
        [Effect::RunStep {
            update: 1,
            touched: true,
            ..
        }]
    ));
    let effects = supervisor.handle(Input::StepStarted, NOW);
    assert_eq!(phases(&effects), [Phase::DependenciesStarted]);
    assert!(supervisor.readiness().is_err());
    let effects = supervisor.handle(Input::StepEnded(Exit::Code(0)), NOW + ms(50));
    assert!(effects.contains(&Effect::SignalGroup(15)));
}

#[test]
fn a_step_that_was_not_needed_costs_no_restart() {
    let mut supervisor = running();
    let new = Commitment {
        step: Some(step()),
        ..commitment(1, false)
    };
    supervisor.handle(Input::Committed(new), NOW);
    let effects = supervisor.handle(Input::StepSkipped, NOW);
    assert_eq!(outcomes(&effects), [(1, Outcome::Synchronised)]);
}

#[test]
fn a_crash_under_a_running_step_waits_for_its_end() {
    let mut supervisor = running();
    let new = Commitment {
        step: Some(step()),
        ..commitment(1, true)
    };
    supervisor.handle(Input::Committed(new), NOW);
    supervisor.handle(Input::StepStarted, NOW);
    let effects = supervisor.handle(exited(1), NOW);
    assert_eq!(outcomes(&effects), []);
    assert_eq!(supervisor.deadline(), None);
    let effects = supervisor.handle(Input::StepEnded(Exit::Code(0)), NOW);
    assert_eq!(effects.last(), Some(&Effect::Start));
}

#[test]
fn a_failed_step_is_retried_with_what_came_meanwhile() {
    let mut supervisor = running();
    let new = Commitment {
        step: Some(step()),
        ..commitment(1, true)
    };
    supervisor.handle(Input::Committed(new), NOW);
    supervisor.handle(Input::StepStarted, NOW);
    supervisor.handle(committed(2, false), NOW);
    let exit = Exit::Code(1);
    let effects = supervisor.handle(Input::StepEnded(exit), NOW);
    assert_eq!(
        outcomes(&effects),
        [(1, Outcome::DependenciesFailed { exit })]
    );
    assert!(matches!(
        effects.last(),
        Some(Effect::RunStep { update: 2, .. })
    ));
}

#[test]
fn crashes_slow_down_and_new_files_start_at_once() {
    let mut supervisor = running();
    for pause in [200, 400, 800] {
        let effects = supervisor.handle(exited(1), NOW);
        assert!(!effects.contains(&Effect::Start));
        assert_eq!(supervisor.deadline(), Some(NOW + ms(pause)));
        assert_eq!(
            supervisor.handle(Input::Tick, NOW + ms(pause)),
            [Effect::Start]
        );
        supervisor.handle(Input::Started(8), NOW);
    }
    supervisor.handle(exited(1), NOW);
    assert!(matches!(
        supervisor.state(NOW),
        ProcessState::Crashed {
            restart_in_ms: 1600,
            ..
        }
    ));
    assert_eq!(
        supervisor.handle(committed(1, false), NOW).len(),
        1,
        "nothing is new"
    );
    assert_eq!(supervisor.handle(committed(2, true), NOW), [Effect::Start]);
    supervisor.handle(Input::Started(9), NOW);
    let effects = supervisor.handle(exited(1), NOW);
    assert_eq!(outcomes(&effects), [(2, Outcome::Crashed)]);
    assert_eq!(supervisor.deadline(), Some(NOW + ms(200)));
}

#[test]
fn a_process_that_served_for_a_while_is_started_again_at_once() {
    let mut supervisor = running();
    let effects = supervisor.handle(exited(1), NOW + ms(10_000));
    assert_eq!(effects.last(), Some(&Effect::Start));
}

#[test]
fn the_container_ends_with_the_code_of_its_process() {
    let mut supervisor = running();
    supervisor.handle(committed(1, true), NOW);
    // The restart is under way; its shorter patience stays.
    let effects = supervisor.handle(Input::Terminate(15), NOW);
    assert_eq!(effects, [Effect::SignalGroup(15)]);
    assert_eq!(supervisor.deadline(), Some(NOW + ms(300)));
    assert_eq!(
        supervisor.handle(exited(3), NOW).last(),
        Some(&Effect::Leave(3))
    );
    let mut resting = supervisor_at_rest();
    assert_eq!(
        resting.handle(Input::Terminate(15), NOW),
        [Effect::Leave(0)]
    );
}

fn supervisor_at_rest() -> Supervisor {
    let mut supervisor = running();
    assert_eq!(
        supervisor.handle(Input::Stop, NOW),
        [Effect::SignalGroup(15)]
    );
    supervisor.handle(exited(143), NOW);
    assert_eq!(supervisor.state(NOW), ProcessState::Stopped);
    supervisor
}

#[test]
fn a_stopped_process_rests_until_something_changes() {
    let mut supervisor = supervisor_at_rest();
    assert_eq!(supervisor.deadline(), None);
    assert!(
        !supervisor
            .handle(committed(1, false), NOW)
            .contains(&Effect::Start)
    );
    assert!(
        supervisor
            .handle(committed(2, true), NOW)
            .contains(&Effect::Start)
    );
}

#[test]
fn a_session_that_joined_is_given_its_time() {
    let mut supervisor = supervisor(ms(500), false);
    assert_eq!(supervisor.handle(Input::Begin, Duration::ZERO), []);
    supervisor.handle(Input::SessionJoined, ms(400));
    assert_eq!(supervisor.handle(Input::Tick, ms(500)), []);
    assert_eq!(supervisor.handle(Input::Tick, ms(900)), [Effect::Start]);
}

#[test]
fn a_one_shot_command_is_never_restarted() {
    let mut supervisor = supervisor(ms(500), true);
    supervisor.handle(Input::Begin, Duration::ZERO);
    assert_eq!(supervisor.handle(committed(1, true), NOW), [Effect::Start]);
    supervisor.handle(Input::Started(7), NOW);
    supervisor.handle(Input::Ready, NOW);
    let effects = supervisor.handle(committed(2, true), NOW);
    assert_eq!(outcomes(&effects), [(2, Outcome::Synchronised)]);
    assert_eq!(
        supervisor.handle(exited(4), NOW).last(),
        Some(&Effect::Leave(4))
    );
}
