//! Pods that are replaced while a service is developed come back with the checkout as it is then.

use super::plain;

#[test]
fn a_deleted_pod_comes_back_with_the_current_tree() {
    let cluster = plain("replace");
    let develop = cluster.develop("plain");
    cluster.write("lib/place.js", "module.exports = 'moon';\n");
    cluster.answers(&develop, "/", |reply| reply.body == "hello moon\n");

    let before = cluster.pods();
    let mark = develop.mark();
    cluster.bed().delete_pod(cluster.namespace(), &before[0]);
    // While there is no pod, the checkout goes on.
    cluster.write("lib/greeting.js", "module.exports = 'good night';\n");
    develop.wait_from(mark, "another pod", |line| {
        line["event"] == "connected" && line["pod"] != before[0].as_str()
    });
    cluster.answers(&develop, "/", |reply| reply.body == "good night moon\n");
    cluster.converges("plain");
}

#[test]
fn an_edit_during_a_rollout_arrives() {
    let cluster = plain("rollout");
    let develop = cluster.develop("plain");
    let before = cluster.pods();
    let mark = develop.mark();
    let restart = cluster.start(&["restart", "plain"]);
    cluster.write("lib/place.js", "module.exports = 'moon';\n");
    let restart = restart.finish();
    assert_eq!(restart.code, Some(0), "{restart}");
    cluster.write("lib/greeting.js", "module.exports = 'good night';\n");
    develop.wait_from(mark, "another pod", |line| {
        line["event"] == "connected" && line["pod"] != before[0].as_str()
    });
    cluster.answers(&develop, "/", |reply| reply.body == "good night moon\n");
    cluster.converges("plain");
}
