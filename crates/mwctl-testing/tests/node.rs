//! A cluster with a node, as a test author has it: as whoever runs the tests and, where that is root, as an ordinary user.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{LogParams, PostParams};
use kube::runtime::wait::await_condition;
use mwctl_testing::TestCluster;
use serde_json::json;

/// Set for the process that runs a test as an ordinary user.
const AS_USER: &str = "MWCTL_TEST_AS_USER";
/// An ordinary user, who needs no entry anywhere.
const USER: u32 = 1000;
/// Nothing here takes as long: what does is stuck.
const LONGEST: Duration = Duration::from_mins(2);

/// Runs the test of this name once more as an ordinary user, where this one is root's.
#[expect(
    clippy::disallowed_methods,
    reason = "a test that runs itself as somebody else"
)]
fn and_as_a_user(name: &str) {
    if !rustix::process::geteuid().is_root() || std::env::var_os(AS_USER).is_some() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(home.path(), Some(USER), Some(USER)).unwrap();
    // Through `/proc`, since the user may not be allowed to enter the folder of this program.
    let status = Command::new("/proc/self/exe")
        .args([name, "--exact", "--nocapture"])
        .env(AS_USER, "1")
        .env("HOME", home.path())
        .env("TMPDIR", home.path())
        .env_remove("XDG_DATA_HOME")
        .current_dir("/")
        .uid(USER)
        .gid(USER)
        .status()
        .unwrap();
    assert!(status.success(), "as an ordinary user: {status}");
}

#[tokio::test]
async fn a_pod_runs_and_its_log_is_read() {
    {
        let cluster = TestCluster::with_node().await.unwrap();
        let namespace = cluster.namespace().await.unwrap();
        let pods: Api<Pod> = Api::namespaced(cluster.client(), &namespace);
        let command = ["sh", "-c", "echo I am $(id -u), and ${NAME}"];
        let container = json!({"name": "main", "image": "mwctl.local/host", "command": command,
            "securityContext": {"runAsUser": 900}, "env": [{"name": "NAME", "value": "well"}]});
        let spec = json!({"restartPolicy": "Never", "containers": [container]});
        let pod = json!({"metadata": {"name": "greeter"}, "spec": spec});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        pods.create(&PostParams::default(), &pod).await.unwrap();
        let ended = |pod: Option<&Pod>| {
            let phase = pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref());
            matches!(phase, Some("Succeeded" | "Failed"))
        };
        let waiting = await_condition(pods.clone(), "greeter", ended);
        tokio::time::timeout(LONGEST, waiting)
            .await
            .unwrap()
            .unwrap();
        let log = pods.logs("greeter", &LogParams::default()).await.unwrap();
        assert_eq!(log, "I am 900, and well\n");
    }
    and_as_a_user("a_pod_runs_and_its_log_is_read");
}

#[tokio::test]
async fn clusters_are_side_by_side_and_gone_with_their_values() {
    let (one, other) = tokio::join!(TestCluster::with_node(), TestCluster::with_node());
    let (one, other) = (one.unwrap(), other.unwrap());
    let paths = [
        one.kubeconfig().await.unwrap(),
        other.kubeconfig().await.unwrap(),
    ];
    assert_ne!(paths[0], paths[1]);
    let paths = paths.map(std::path::Path::to_owned);
    drop((one, other));
    assert!(paths.iter().all(|path| !path.exists()));
}
