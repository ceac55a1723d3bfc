//! How soon a cause is told: from the moment a plain watcher of the cluster sees it until the program names it.
//!
//! The one place of the suite where a test asks a clock: that it takes at most a second is what is promised. Nobody else
//! uses the bed meanwhile. That each cause is told rightly at all is tested beside the code, without a cluster.

mod causes;

use std::time::{Duration, Instant};

use mwctl_tests::cluster::{Mwctl, Record, TestCluster};
use mwctl_tests::performance;
use serde_json::Value;

use self::causes::Case;
use super::plain;

/// How long after the cluster the program may name a cause, on a machine that has a processor for it.
const SOON: Duration = Duration::from_secs(1);

/// The same where more wants to run than can.
fn soon_here() -> Duration {
    let load: f64 = performance::load().parse().expect("a number");
    SOON.mul_f64((2.0 * load / performance::processors() as f64).max(1.0))
}

/// A description of the given services, and what stands at its head.
fn describe(cluster: &TestCluster, head: &str, cases: &[&Case]) {
    let mut text = format!("apiVersion: mwctl/v1\nkind: Stack\nname: causes\n{head}services:\n");
    for case in cases {
        text.extend(["  ", case.service, ":\n", case.keys]);
    }
    cluster.write("mwctl.yaml", &text);
}

/// Whether `up` tells of trouble with a case's service in this line.
fn tells(case: &Case, line: &Value) -> bool {
    let told = line["event"] == "warning" || line["event"] == "failed";
    told && line["service"] == case.service
}

/// Whether the line names the cause.
fn names(case: &Case, line: &Value) -> bool {
    tells(case, line) && case.is_said_in(&line.to_string())
}

/// `up` names a cause soon after the cluster shows it, and says what to type.
fn named_soon(record: &Record, up: &Mwctl, case: &Case) {
    let shown = record.shown(case.service, |object| case.is_shown_in(object));
    let (named, line) = up.wait_at(0, case.service, |line| names(case, line));
    let hint = line["hint"].as_str().unwrap_or_default();
    assert!(hint.contains(case.hint), "{line}");
    let told = || format!("{:#?}", up.events(0, |line| tells(case, line)));
    soon(case.service, named.saturating_duration_since(shown), told);
}

#[expect(
    clippy::print_stderr,
    reason = "the figures, for whoever asks for them with `--nocapture`"
)]
fn soon(what: &str, lag: Duration, told: impl Fn() -> String) {
    let (lag, limit) = (lag.as_millis(), soon_here().as_millis());
    eprintln!("{what}: {lag} ms of at most {limit}");
    assert!(lag <= limit, "{what} was named {lag} ms late\n{}", told());
}

/// `status` names all of these causes, and answers in time.
fn status(cluster: &TestCluster, cases: &[&Case]) {
    let mut unnamed = cases.to_vec();
    for _ in 0..3 {
        let start = Instant::now();
        let status = cluster.run(&["status"]);
        soon("status", start.elapsed(), || status.to_string());
        assert_eq!(status.code, Some(1), "{status}");
        let answer = status.json();
        let services = answer["services"].as_array().expect("services");
        unnamed.retain(|case| {
            let service = services.iter().find(|it| it["service"] == case.service);
            let service = service.expect("the service");
            let cause = &service["cause"];
            // What fails later than three seconds after its start, as on a busy machine, has no cause while it runs again: it alone
            // is asked for once more.
            let runs_again = cause.is_null() && service["restarts"].as_u64() > Some(0);
            if !runs_again {
                assert!(
                    case.is_said_in(&cause.to_string()),
                    "{}: {cause}",
                    case.service
                );
                assert!(!cause["hint"].as_str().unwrap_or_default().is_empty());
            }
            runs_again
        });
        if unnamed.is_empty() {
            return;
        }
    }
    let unnamed: Vec<_> = unnamed.iter().map(|case| case.service).collect();
    panic!("without a cause each time: {unnamed:?}");
}

/// A case that has a stack to itself: `up` and `status` name it soon.
fn one_named_soon(cluster: &TestCluster, head: &str, case: &Case) {
    describe(cluster, head, &[case]);
    let record = cluster.record();
    let up = cluster.start(&["up"]);
    named_soon(&record, &up, case);
    status(cluster, &[case]);
}

#[test]
fn what_keeps_a_service_from_running_is_named_within_a_second() {
    let mut cluster = plain("diagnosis");
    let _alone = cluster.alone();
    causes::write_foreign_program(&cluster.root());
    let cases: Vec<&Case> = causes::OF_SERVICES.iter().collect();
    let mut described = vec![&causes::HOLDER, &causes::DEPENDENT];
    described.extend(&cases);
    // A port of the node, which one case wants, is nothing for the stricter levels.
    describe(&cluster, "podSecurity: privileged\n", &described);
    let record = cluster.record();
    let up = cluster.start(&["up"]);
    for case in &cases {
        named_soon(&record, &up, case);
    }
    status(
        &cluster,
        &[cases.as_slice(), &[&causes::DEPENDENT]].concat(),
    );

    // When there is no hope left, with the last lines of the container before.
    let crash = &causes::AGAIN;
    let shown = record.shown("crash, again", |object| crash.is_shown_in(object));
    let (named, line) = up.wait_at(0, "the end of the wait", |line| {
        line["event"] == "failed" && names(crash, line)
    });
    assert_eq!(line["hint"], crash.hint);
    let lag = named.saturating_duration_since(shown);
    soon("crash, again", lag, || line.to_string());
}

#[test]
fn a_quota_without_room_is_named_within_a_second() {
    let mut cluster = plain("quota");
    let _alone = cluster.alone();
    one_named_soon(&cluster, "quota: {memory: 32Mi}\n", &causes::QUOTA);
}

#[test]
fn what_is_forbidden_is_named_within_a_second() {
    let mut cluster = plain("forbidden");
    let _alone = cluster.alone();
    one_named_soon(&cluster, "", &causes::FORBIDDEN);

    // Who may not look is told by the first answer.
    let start = Instant::now();
    let status = cluster.run_as("nobody-of-note", &["status"]);
    soon("forbidden to ask", start.elapsed(), || status.to_string());
    assert_ne!(status.code, Some(0), "{status}");
    let told = format!("{}{}", status.stdout, status.stderr);
    assert!(told.contains("nobody-of-note"), "{status}");
    assert!(told.contains("kubectl auth can-i --list"), "{status}");
}
