//! `up`, `plan`, `status` and `down`.

use serde_json::Value;

use super::plain;

#[test]
fn a_service_comes_up_once_and_goes_without_a_trace() {
    let cluster = plain("deploy");
    let up = cluster.run(&["up"]);
    assert_eq!(up.code, Some(0), "{up}");
    cluster.bed().label(cluster.namespace(), "deploy");

    let status = cluster.run(&["status"]);
    assert_eq!(status.code, Some(0), "{status}");
    assert_eq!(status.json()["services"][0]["progress"], "ready");
    assert_eq!(status.json()["services"][0]["restarts"], 0);

    let forward = cluster.start(&["forward", "plain:0"]);
    let reply = cluster.answers(&forward, "/", |reply| reply.status == 200);
    assert_eq!(reply.body, "hello world\n");
    assert_eq!(forward.interrupt().code, Some(0));

    let before = cluster.bed().pods(cluster.namespace());
    let again = cluster.run(&["up"]);
    assert_eq!(again.code, Some(0), "{again}");
    let steps: Vec<Value> = again
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["event"] == "stepDone")
        .collect();
    assert!(steps.is_empty(), "the second `up` did something: {steps:?}");
    let names = |pods: &[k8s_openapi::api::core::v1::Pod]| -> Vec<_> {
        pods.iter().map(|pod| pod.metadata.uid.clone()).collect()
    };
    assert_eq!(
        names(&before),
        names(&cluster.bed().pods(cluster.namespace()))
    );

    let down = cluster.run(&["down", "--volumes"]);
    assert_eq!(down.code, Some(0), "{down}");
    assert_eq!(
        cluster.bed().objects(cluster.namespace()),
        Vec::<String>::new()
    );
}
