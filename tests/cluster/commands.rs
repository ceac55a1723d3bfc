//! The commands that look at a running stack, and `test`.

use serde_json::Value;

use super::plain;

#[test]
fn what_runs_can_be_asked_entered_and_restarted() {
    let cluster = plain("commands");
    let missing = cluster.run(&["status"]);
    assert_eq!(missing.code, Some(1), "{missing}");
    assert_eq!(missing.json()["services"][0]["progress"], "missing");

    let restart = cluster.run(&["restart"]);
    assert_eq!(restart.code, Some(1), "{restart}");
    assert!(restart.stdout.contains("not deployed"), "{restart}");

    let up = cluster.run(&["up"]);
    assert_eq!(up.code, Some(0), "{up}");
    let exec = cluster.run(&["exec", "plain", "--", "node", "-e", "process.exit(9)"]);
    assert_eq!(exec.code, Some(9), "{exec}");
    let logs = cluster.run(&["logs", "plain"]);
    assert_eq!(logs.code, Some(0), "{logs}");
    assert!(logs.stdout.contains("listening on 3000"), "{logs}");

    let before = cluster.pods();
    let restart = cluster.run(&["restart", "plain"]);
    assert_eq!(restart.code, Some(0), "{restart}");
    let after = cluster.pods();
    assert!(
        after.iter().any(|pod| !before.contains(pod)),
        "{before:?} {after:?}"
    );
}

#[test]
fn tests_run_in_a_fresh_container_and_their_exit_code_is_told() {
    let cluster = plain("test");
    let passed = cluster.run(&["test", "plain"]);
    assert_eq!(passed.code, Some(0), "{passed}");
    assert!(
        passed.stdout.contains("the greeting is as it was"),
        "{passed}"
    );

    cluster.write("lib/greeting.js", "module.exports = 'good night';\n");
    let failed = cluster.run(&["test", "plain"]);
    assert_eq!(failed.code, Some(7), "{failed}");
    let chosen = cluster.run(&["test", "plain", "--", "node", "-e", "process.exit(5)"]);
    assert_eq!(chosen.code, Some(5), "{chosen}");
    let events = chosen.stdout.lines();
    let events: Vec<Value> = events
        .map(|line| serde_json::from_str(line).expect("nothing but events"))
        .collect();
    let last = events.last().expect("an end");
    assert_eq!(last["event"], "tested", "{chosen}");
    assert_eq!(last["exitCode"], 5, "{chosen}");
    assert_eq!(cluster.pods(), Vec::<String>::new(), "nothing is left");
}
