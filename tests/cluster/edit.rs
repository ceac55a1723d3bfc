//! Edits while a service is developed.

use std::fs::File;
use std::io::Write as _;

use mwctl_tests::cluster::{Mwctl, TestCluster, get};
use serde_json::{Value, json};

use super::plain;

fn shows(cluster: &TestCluster, develop: &Mwctl, text: &str) {
    cluster.answers(develop, "/", |reply| reply.body == text);
}

fn updated(line: &Value) -> bool {
    line["event"] == "update"
}

#[test]
fn the_next_request_after_an_update_shows_the_edit() {
    let cluster = plain("edit");
    let develop = cluster.develop("plain");
    cluster.bed().label(cluster.namespace(), "edit");
    shows(&cluster, &develop, "hello world\n");

    let mark = develop.mark();
    cluster.write("lib/place.js", "module.exports = 'moon';\n");
    let update = develop.wait_from(mark, "the update", updated);
    assert_eq!(update["outcome"], "live");
    assert_eq!(update["paths"], json!(["lib/place.js"]));
    // One request, not several: what the update says is true at that moment.
    let line = develop.wait("a port", |line| line["event"] == "forwarding");
    let reply = get(line["local"].as_str().expect("an address"), "/").expect("an answer");
    assert_eq!(reply.body, "hello moon\n");
    cluster.converges("plain");
}

#[test]
fn a_syntax_error_shows_its_cause_and_its_fix_recovers() {
    let cluster = plain("syntax");
    let develop = cluster.develop("plain");
    let mark = develop.mark();
    cluster.write("lib/place.js", "module.exports = 'moon;\n");
    let exited = develop.wait_from(mark, "the crash", |line| line["event"] == "processExited");
    assert!(
        exited["lastLines"].to_string().contains("SyntaxError"),
        "{exited}"
    );
    let update = develop.wait_from(mark, "the update", updated);
    assert_eq!(update["outcome"], "crashed");

    let mark = develop.mark();
    cluster.write("lib/place.js", "module.exports = 'moon';\n");
    let update = develop.wait_from(mark, "the update", updated);
    assert_eq!(update["outcome"], "live");
    shows(&cluster, &develop, "hello moon\n");
}

#[test]
fn a_deleted_file_goes_and_a_generated_one_stays() {
    let cluster = plain("delete");
    cluster.write("lib/extra.js", "module.exports = 1;\n");
    let develop = cluster.develop("plain");
    cluster.converges("plain");
    cluster.answers(&develop, "/generate", |reply| reply.status == 200);

    let mark = develop.mark();
    cluster.remove("lib/extra.js");
    develop.wait_from(mark, "the update", updated);
    let tree = cluster.tree_in_container("plain");
    let has = |name: &str| tree.iter().any(|line| line.ends_with(name));
    assert!(!has("lib/extra.js"), "{tree:#?}");
    assert!(has("generated/cache.txt"), "{tree:#?}");
    assert!(has("lib/place.js"), "{tree:#?}");
}

#[test]
fn two_files_in_one_save_are_one_restart() {
    let cluster = plain("two");
    let develop = cluster.develop("plain");
    let mark = develop.mark();
    cluster.write("lib/greeting.js", "module.exports = 'good night';\n");
    cluster.write("lib/place.js", "module.exports = 'moon';\n");
    shows(&cluster, &develop, "good night moon\n");
    let update = develop.wait_from(mark, "the update", updated);
    assert_eq!(
        update["paths"],
        json!(["lib/greeting.js", "lib/place.js"]),
        "one update has both"
    );
    // A third edit closes the account: what restarts there were have been told by then.
    cluster.write("lib/place.js", "module.exports = 'stars';\n");
    shows(&cluster, &develop, "good night stars\n");
    let restarts = develop.events(mark, |line| {
        line["phases"]
            .as_array()
            .is_some_and(|phases| phases.iter().any(|phase| phase["name"] == "started"))
    });
    assert!(restarts.len() <= 2, "{restarts:#?}");
}

#[test]
fn a_file_that_is_being_written_is_not_shipped() {
    let cluster = plain("truncate");
    let develop = cluster.develop("plain");
    let mark = develop.mark();
    let path = cluster.root().join("lib/greeting.js");
    let mut half = File::create(path).expect("it can be truncated");
    half.write_all(b"module.exports = 'good ")
        .expect("a first half");
    // Another edit is shipped meanwhile: the writer had its chance to see the half file.
    cluster.write("lib/place.js", "module.exports = 'moon';\n");
    let update = develop.wait_from(mark, "the other update", updated);
    assert_eq!(update["outcome"], "live", "{update}");
    shows(&cluster, &develop, "hello moon\n");
    half.write_all(b"night';\n").expect("a second half");
    drop(half);
    shows(&cluster, &develop, "good night moon\n");
    let crashes = develop.events(mark, |line| line["event"] == "processExited");
    assert_eq!(crashes, Vec::<Value>::new());
    cluster.converges("plain");
}
