//! Deployments that fail: the cause is told, and what to type.

use serde_json::Value;

use super::plain;

fn details(event: &Value) -> String {
    event["details"].to_string()
}

#[test]
fn a_process_that_ends_is_told_at_once_and_again_when_there_is_no_hope() {
    let cluster = plain("failure");
    cluster.write("lib/place.js", "throw new Error('no database');\n");
    let up = cluster.start(&["up"]);
    let early = up.wait("the first end", |line| line["event"] == "warning");
    assert!(details(&early).contains("no database"), "{early}");
    let up = up.finish();
    assert_eq!(up.code, Some(1), "{up}");
    let events: Vec<Value> = up
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let failed = |line: &&Value| line["event"] == "failed";
    let failed = events.iter().find(failed).expect("a failure");
    assert!(details(failed).contains("no database"), "{failed}");
    assert_eq!(failed["hint"], "mwctl logs plain --previous");
    let last = events.last().expect("an end");
    assert_eq!(
        (&last["event"], &last["failed"]),
        (&"done".into(), &1.into())
    );

    // `status` says the same later on.
    let status = cluster.run(&["status"]);
    assert_eq!(status.code, Some(1), "{status}");
    let cause = &status.json()["services"][0]["cause"];
    assert!(
        cause["detail"].to_string().contains("no database"),
        "{cause}"
    );

    cluster.write("lib/place.js", "module.exports = 'moon';\n");
    let mended = cluster.run(&["up"]);
    assert_eq!(mended.code, Some(0), "{mended}");
}

#[test]
fn an_image_that_is_nowhere_is_told_with_its_name() {
    let cluster = plain("no-image");
    cluster.write(
        "mwctl.yaml",
        "apiVersion: mwctl/v1\nkind: Stack\nname: plain\nservices:\n  other:\n    container:\n      \
         image: localhost:1/nowhere:1\n      ports: [{port: 80}]\n",
    );
    let up = cluster.run(&["up"]);
    assert_eq!(up.code, Some(1), "{up}");
    assert!(up.stdout.contains("localhost:1/nowhere:1"), "{up}");
    let down = cluster.run(&["down"]);
    assert_eq!(down.code, Some(0), "{down}");
}
