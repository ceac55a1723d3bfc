//! Edits while a service is developed.

use super::plain;

#[test]
fn the_next_request_shows_an_edit() {
    let cluster = plain("edit");
    let develop = cluster.develop("plain");
    let before = cluster.answers(&develop, "/", |reply| reply.status == 200);
    assert_eq!(before.body, "hello world\n");

    let mark = develop.mark();
    cluster.write("lib/place.js", "module.exports = 'moon';\n");
    let update = develop.wait_from(mark, "the update", |line| line["event"] == "update");
    assert_eq!(update["outcome"], "live");
    assert_eq!(update["paths"], serde_json::json!(["lib/place.js"]));
    let after = cluster.answers(&develop, "/", |reply| reply.status == 200);
    assert_eq!(after.body, "hello moon\n");
    assert_eq!(
        cluster.tree_in_container("plain"),
        cluster.tree_in_checkout()
    );
}
