//! The API server goes away while a service is developed.

use std::time::{Duration, Instant};

use mwctl_tests::cluster::eventually;

use super::plain;

/// Longer than a request's first tries, and than most restarts of a server.
const OUTAGE: Duration = Duration::from_secs(10);

#[test]
fn edits_of_an_outage_arrive_after_it() {
    let mut cluster = plain("outage");
    let _alone = cluster.alone();
    let develop = cluster.develop("plain");
    let mark = develop.mark();
    let start = Instant::now();
    cluster.bed().control("stop apiserver");
    develop.wait_from(mark, "the loss", |line| line["event"] == "disconnected");
    cluster.write("lib/place.js", "module.exports = 'moon';\n");
    eventually("the outage is over", || {
        (start.elapsed() >= OUTAGE).then_some(())
    });
    cluster.bed().control("start apiserver");
    develop.wait_from(mark, "another connection", |line| {
        line["event"] == "connected"
    });
    cluster.answers(&develop, "/", |reply| reply.body == "hello moon\n");
    cluster.converges("plain");
}
