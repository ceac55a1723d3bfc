//! `develop --mount`: on the embedded cluster the container has the checkout itself; another cluster gets a copy, and that is said.

use std::cell::Cell;

use mwctl_tests::cluster::{Mwctl, TestCluster};

use super::plain;

/// Starts it, and says whether the checkout is mounted.
fn develop(cluster: &TestCluster) -> (Mwctl, bool) {
    let develop = cluster.start(&["develop", "plain", "--mount"]);
    let copied = Cell::new(false);
    develop.wait("the tree is in the container", |line| {
        let text = line["text"].as_str().unwrap_or_default();
        copied.set(copied.get() || text.contains("is copied, not mounted"));
        line["event"] == "update" && line["outcome"] == "live"
    });
    (develop, !copied.get())
}

#[test]
fn edits_of_a_mounted_checkout_are_seen_by_the_restarted_process() {
    let cluster = plain("mount");
    let (develop, mounted) = develop(&cluster);
    assert_eq!(mounted, cluster.bed().is_embedded());
    cluster.answers(&develop, "/", |reply| reply.body == "hello world\n");

    let mark = develop.mark();
    cluster.write("lib/place.js", "module.exports = 'moon';\n");
    let update = develop.wait_from(mark, "the update", |line| line["event"] == "update");
    assert_eq!(update["outcome"], "live", "{update}");
    cluster.answers(&develop, "/", |reply| reply.body == "hello moon\n");
    // By a rename, as editors save: the folder is mounted, not its files.
    cluster.converges("plain");

    let mark = develop.mark();
    cluster.remove("lib/place.js");
    let update = develop.wait_from(mark, "the update", |line| line["event"] == "update");
    assert_eq!(update["outcome"], "crashed", "{update}");
    cluster.write("lib/place.js", "module.exports = 'sun';\n");
    cluster.answers(&develop, "/", |reply| reply.body == "hello sun\n");

    if mounted {
        let touch = cluster.run(&["exec", "plain", "--", "touch", "lib/new.js"]);
        assert!(touch.stderr.contains("Read-only file system"), "{touch}");
        assert!(
            !cluster
                .tree_in_checkout()
                .iter()
                .any(|line| line.contains("new.js")),
            "the container wrote into the checkout"
        );
    }
}

#[test]
fn what_changed_while_nobody_developed_restarts_a_mounted_service() {
    let cluster = plain("mount-again");
    let (first, _) = develop(&cluster);
    drop(first.kill());
    cluster.write("lib/place.js", "module.exports = 'moon';\n");
    let (again, _) = develop(&cluster);
    cluster.answers(&again, "/", |reply| reply.body == "hello moon\n");
    let end = again.interrupt();
    assert_eq!(end.code, Some(0), "{end}");
    let forward = cluster.start(&["forward", "plain:0"]);
    // The image's own files again.
    cluster.answers(&forward, "/", |reply| reply.body == "hello world\n");
}
