//! Beginnings, ends and what comes between.

use mwctl_node::log::Query;
use serde_json::json;

use crate::stage::{Stage, ready, restarts, shell};

#[tokio::test]
async fn a_pod_runs_to_its_end_and_leaves_its_log() {
    let stage = Stage::new().await;
    stage
        .script("hello", "echo hello; echo $0 >&2", "Never")
        .await;
    let pod = stage.phase("hello", "Succeeded").await;
    assert_eq!(stage.log(&pod).await, "hello\nsh\n");
    let status = pod.status.clone().unwrap();
    let container = &status.container_statuses.unwrap()[0];
    let ended = container
        .state
        .as_ref()
        .unwrap()
        .terminated
        .as_ref()
        .unwrap();
    assert_eq!(
        (ended.exit_code, ended.reason.as_deref()),
        (0, Some("Completed"))
    );
    assert!(
        container
            .container_id
            .as_ref()
            .unwrap()
            .starts_with("mwctl://")
    );
    stage.delete("hello", 30).await;
    stage.gone("hello").await;
    let all = ["Created", "Pulled", "Scheduled", "Started"];
    let told = stage.reasons("hello", &all).await;
    assert_eq!(told, all.map(str::to_owned).into());
}

#[tokio::test]
async fn a_failure_is_told_with_its_code() {
    let stage = Stage::new().await;
    stage.script("bad", "exit 3", "Never").await;
    let pod = stage.phase("bad", "Failed").await;
    let ended = pod.status.unwrap().container_statuses.unwrap()[0]
        .state
        .clone()
        .unwrap()
        .terminated
        .unwrap();
    assert_eq!(
        (ended.exit_code, ended.reason.as_deref()),
        (3, Some("Error"))
    );
}

#[tokio::test]
async fn what_ends_is_started_again_and_its_former_log_is_kept() {
    let stage = Stage::new().await;
    let script = "echo run; test -e /mark/x && exec sleep 1000; touch /mark/x; exit 1";
    let mut container = shell("main", script);
    container["volumeMounts"] = json!([{"name": "v", "mountPath": "/mark"}]);
    stage
        .create(
            "again",
            json!({"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}]}),
        )
        .await;
    let pod = stage
        .wait("again", |pod: Option<&_>| restarts(pod) == 1 && ready(pod))
        .await;
    let last = pod.status.clone().unwrap().container_statuses.unwrap()[0]
        .last_state
        .clone()
        .unwrap();
    assert_eq!(last.terminated.unwrap().exit_code, 1);
    let previous = Query {
        previous: true,
        ..Query::default()
    };
    assert_eq!(stage.log_of(&pod, "main", previous).await, "run\n");

    // The volume is no memory of its container's, and goes with the pod; nor is what the container wrote elsewhere, which goes with it.
    let here = |folder: &str| -> Vec<_> {
        let entries = std::fs::read_dir(stage.folder.path().join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let volumes = || here("empty");
    assert!(volumes()[0].join("x").exists());
    stage.delete("again", 0).await;
    stage.gone("again").await;
    let gone = async {
        while !volumes().is_empty() || !here("written").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let limit = std::time::Duration::from_mins(1);
    tokio::time::timeout(limit, gone).await.unwrap();
}

#[tokio::test]
async fn init_containers_come_first_and_sidecars_stay() {
    let stage = Stage::new().await;
    let mounted = |mut container: serde_json::Value| {
        container["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}]);
        container
    };
    let mut sidecar = mounted(shell(
        "side",
        "echo side >> /v/order; trap 'exit 0' TERM; while :; do sleep 0.01; done",
    ));
    sidecar["restartPolicy"] = json!("Always");
    sidecar["startupProbe"] =
        json!({"exec": {"command": ["test", "-e", "/v/order"]}, "periodSeconds": 1});
    let spec = json!({"restartPolicy": "Never",
        "initContainers": [mounted(shell("first", "echo first >> /v/order")), sidecar],
        "containers": [mounted(shell("main", "cat /v/order"))],
        "volumes": [{"name": "v", "emptyDir": {}}]});
    stage.create("ordered", spec).await;
    let pod = stage.phase("ordered", "Succeeded").await;
    assert_eq!(stage.log(&pod).await, "first\nside\n");
}

#[tokio::test]
async fn a_part_of_a_volume_that_is_not_there_is_a_new_folder_for_everybody() {
    let stage = Stage::new().await;
    for medium in ["", "Memory"] {
        let mut container = shell(
            "main",
            "stat -c %a /part; echo x > /part/file; ls /whole/a/b",
        );
        container["volumeMounts"] = json!([
            {"name": "v", "mountPath": "/part", "subPath": "a/b"},
            {"name": "v", "mountPath": "/whole"},
        ]);
        container["securityContext"] = json!({"runAsUser": 1234});
        let name = format!("parts{}", medium.to_lowercase());
        let volumes = json!([{"name": "v", "emptyDir": {"medium": medium}}]);
        let spec = json!({"restartPolicy": "Never", "containers": [container], "volumes": volumes});
        stage.create(&name, spec).await;
        let pod = stage.phase(&name, "Succeeded").await;
        assert_eq!(stage.log(&pod).await, "777\nfile\n");
    }
}

#[tokio::test]
async fn readiness_is_what_the_probe_says() {
    let stage = Stage::new().await;
    let mut container = shell("main", "sleep 0.2; touch /tmp/up; exec sleep 1000");
    container["readinessProbe"] =
        json!({"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1});
    stage
        .create("slow", json!({"containers": [container]}))
        .await;
    let running = stage.phase("slow", "Running").await;
    assert!(!ready(Some(&running)));
    stage.wait("slow", |pod: Option<&_>| ready(pod)).await;
    stage.reasons("slow", &["Unhealthy"]).await;
}

#[tokio::test]
async fn who_fails_its_liveness_probe_is_started_again() {
    let stage = Stage::new().await;
    let mut container = shell("main", "exec sleep 1000");
    container["livenessProbe"] = json!({"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1,
        "terminationGracePeriodSeconds": 1});
    stage
        .create("dead", json!({"containers": [container]}))
        .await;
    stage
        .wait("dead", |pod: Option<&_>| restarts(pod) >= 1)
        .await;
}

#[tokio::test]
async fn deletion_runs_the_hook_and_asks_before_it_kills() {
    let stage = Stage::new().await;
    let script = "trap 'echo told; exit 0' TERM; echo up; while :; do sleep 0.01; done";
    let mut container = shell("main", script);
    let hook = json!({"exec": {"command": ["sh", "-c", "echo hook > /proc/1/fd/1"]}});
    container["lifecycle"] = json!({"preStop": hook});
    container["readinessProbe"] = json!({"exec": {"command": ["true"]}});
    stage
        .create("polite", json!({"containers": [container]}))
        .await;
    let pod = stage.wait("polite", |pod: Option<&_>| ready(pod)).await;
    let follow = Query {
        follow: true,
        ..Query::default()
    };
    let (log, ()) = tokio::join!(
        stage.log_of(&pod, "main", follow),
        stage.delete("polite", 20)
    );
    assert_eq!(log, "up\nhook\ntold\n");
    stage.gone("polite").await;
    stage.reasons("polite", &["Killing"]).await;
}

#[tokio::test]
async fn a_pod_that_is_removed_at_once_ends_at_once() {
    let stage = Stage::new().await;
    let pod = stage
        .script(
            "stubborn",
            "trap '' TERM; echo up; while :; do sleep 0.01; done",
            "Always",
        )
        .await;
    stage.phase("stubborn", "Running").await;
    let follow = Query {
        follow: true,
        ..Query::default()
    };
    // The log ends with its container.
    let (_, ()) = tokio::join!(
        stage.log_of(&pod, "main", follow),
        stage.delete("stubborn", 0)
    );
    stage.gone("stubborn").await;
}

#[tokio::test]
async fn all_ends_with_the_runtime() {
    let stage = Stage::new().await;
    let pod = stage.script("held", "exec sleep 1000", "Always").await;
    stage.phase("held", "Running").await;
    let follow = Query {
        follow: true,
        ..Query::default()
    };
    tokio::join!(
        stage.log_of(&pod, "main", follow),
        stage.runtime.clone().stop()
    );
}
