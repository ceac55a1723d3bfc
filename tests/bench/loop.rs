//! How long an edit takes, on the test bed, beside what can't be faster, in the same run.
//!
//! `tests/bench/run` starts a bed and this, which prints what it found and writes it to
//! `docs/reference/performance.md`. It judges nothing: the gate is a reader.

#[path = "loop/place.rs"]
mod place;
#[path = "loop/poll.rs"]
mod poll;
#[path = "loop/reference.rs"]
mod reference;
#[path = "loop/report.rs"]
mod report;

use std::time::{Duration, Instant};

use mwctl_tests::cluster::{Mwctl, TestCluster};

use self::place::Place;
use self::report::{Report, Samples};

/// How often each thing is measured, after [`WARM`] rounds that don't count.
const ROUNDS: usize = 30;

/// Rounds that warm caches and connections.
const WARM: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // The part of this program that runs in the pod's network.
    if let Some(at) = arguments.iter().position(|word| word == "--poll") {
        poll::serve(&arguments[at + 1]);
        return;
    }
    let program = env!("CARGO_BIN_EXE_mwctl-dup");
    let cluster = TestCluster::new(program, "bench", "plain");
    let develop = cluster.develop("plain");
    let place = Place::find(&cluster);
    let mut report = Report::default();
    files(&cluster, &develop, &place, &mut report);
    answers(&cluster, &develop, &place, &mut report);
    report.add(
        "open stream, there and back",
        reference::open_stream(&place),
    );
    report.add("`kubectl exec true`", reference::bare_exec(&place));
    report.add(
        "`kubectl exec -i tar x` → file in the container",
        reference::tar(&place),
    );
    report.add("node's own start → it answers", reference::node(&place));
    report.write();
}

fn live(develop: &Mwctl, mark: usize) -> serde_json::Value {
    develop.wait_from(mark, "an update", |line| {
        line["event"] == "update" && line["outcome"] == "live"
    })
}

fn phase(update: &serde_json::Value, name: &str) -> Option<Duration> {
    let phases = update["phases"].as_array()?;
    let found = phases.iter().find(|phase| phase["name"] == name)?;
    found["at"]
        .as_f64()
        .map(|millis| Duration::from_secs_f64(millis / 1000.0))
}

/// A save → the file in the container, seen from outside and as the program tells it.
fn files(cluster: &TestCluster, develop: &Mwctl, place: &Place, report: &mut Report) {
    let (mut seen, mut told, mut still) = <(Samples, Samples, Samples)>::default();
    for round in 0..WARM + ROUNDS {
        let content = format!("module.exports = 'file {round}';\n");
        let mark = develop.mark();
        let start = Instant::now();
        cluster.write("lib/place.js", &content);
        let at = place.shows("lib/place.js", &content);
        seen.take(round, at.duration_since(start));
        let update = live(develop, mark);
        if let Some(written) = phase(&update, "written") {
            told.take(round, written);
        }

        // A file that restarts nothing: the copy alone.
        let content = format!("round {round}\n");
        let mark = develop.mark();
        let start = Instant::now();
        cluster.write("notes.txt", &content);
        let at = place.shows("notes.txt", &content);
        still.take(round, at.duration_since(start));
        develop.wait_from(mark, "an update", |line| line["event"] == "update");
    }
    report.add("save → file in the container", seen);
    report.add("the same as `mwctl` tells it (phase `written`)", told);
    report.add("save → file, of a kind that restarts nothing", still);
}

/// A save → the new code answers.
fn answers(cluster: &TestCluster, develop: &Mwctl, place: &Place, report: &mut Report) {
    let mut poller = poll::Poller::start(place, 3000);
    let mut answered = Samples::default();
    for round in 0..WARM + ROUNDS {
        let mark = develop.mark();
        let start = poll::now();
        cluster.write(
            "lib/place.js",
            &format!("module.exports = 'answer {round}';\n"),
        );
        let at = poller.until(&format!("hello answer {round}"));
        answered.take(round, at.saturating_sub(start));
        live(develop, mark);
    }
    report.add("save → new code answers", answered);
}
