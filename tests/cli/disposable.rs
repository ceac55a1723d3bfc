//! Disposable clusters, as they are typed: made, used, removed, and swept after a kill.
//!
//! What the API in them does is tested where it is; that `kubectl` can use them, in `tests/compat`.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Stdio};

use insta::assert_snapshot;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::folder::Folder;

const NOTHING: [String; 0] = [];

fn json(transcript: &str) -> Value {
    let (answer, _) = transcript.rsplit_once("[exit").unwrap();
    serde_json::from_str(answer).unwrap_or_else(|error| panic!("{error}: {transcript}"))
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// A command that says where its cluster is, and waits for the end of its input: of this test, at the latest.
fn waiting(folder: &Folder) -> (Child, String) {
    let script = "echo $KUBECONFIG; exec /bin/cat";
    let arguments = ["cluster", "run", "--", "/bin/sh", "-c", script];
    let mut child = folder.spawn_reading(Stdio::piped(), arguments);
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    (child, line.trim().to_owned())
}

#[test]
fn a_cluster_is_made_found_and_removed() {
    let folder = Folder::new();
    // It ends by itself also when this test is killed.
    assert_snapshot!(folder.mwctl(["cluster", "create", "demo", "--ttl", "1m"]));
    let again = folder.mwctl(["cluster", "create", "demo"]);
    assert_snapshot!("a_cluster_that_is_there_is_not_made_again", again);
    let known = json(&folder.mwctl(["cluster", "kubeconfig", "demo", "--output", "json"]));
    assert_eq!(known["context"], "mwctl-demo");
    let listed = json(&folder.mwctl(["cluster", "list", "--output", "json"]));
    assert_eq!(listed["items"][0]["name"], "mwctl-demo");
    assert_eq!(listed["items"][0]["running"], true);
    assert_eq!(listed["items"][0]["kubeconfig"], known["kubeconfig"]);
    assert_snapshot!(
        "a_name_that_is_not_there_gets_those_that_are",
        folder.mwctl(["cluster", "delete", "demo", "dome"])
    );
    assert_snapshot!(
        "a_removed_cluster_is_told",
        folder.mwctl(["cluster", "delete", "demo"])
    );
    assert_eq!(folder.clusters(), NOTHING);
}

/// Runs a pod of this machine's programs to its end, and gives what it wrote.
async fn run_pod(kubeconfig: &str, script: &str) -> String {
    use k8s_openapi::api::core::v1::Pod;
    use kube::runtime::wait::await_condition;
    let read = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(read, &options).await;
    let client = kube::Client::try_from(config.unwrap()).unwrap();
    let pods: kube::Api<Pod> = kube::Api::default_namespaced(client);
    let pod = serde_json::json!({
        "metadata": {"name": "one"},
        "spec": {"restartPolicy": "Never", "containers": [
            {"name": "main", "image": "mwctl.local/host", "command": ["/bin/sh", "-c", script]},
        ]},
    });
    let pod = serde_json::from_value(pod).unwrap();
    pods.create(&kube::api::PostParams::default(), &pod)
        .await
        .unwrap();
    let ended = await_condition(pods.clone(), "one", |pod: Option<&Pod>| {
        let status = pod.and_then(|pod| pod.status.as_ref());
        let phase = status.and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed"))
    });
    ended.await.unwrap();
    pods.logs("one", &kube::api::LogParams::default())
        .await
        .unwrap()
}

#[test]
fn pods_of_a_cluster_with_a_node_are_containers_of_this_machine() {
    let folder = Folder::new();
    let made = folder.mwctl([
        "cluster", "create", "real", "--grade", "node", "--ttl", "1m", "--output", "json",
    ]);
    let kubeconfig = json(&made)["kubeconfig"]
        .as_str()
        .unwrap()
        .replace("HOME", &folder.home());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let script = "echo $(id -u) in $(cat /proc/sys/kernel/hostname); ls /root";
    let log = runtime.block_on(run_pod(&kubeconfig, script));
    assert_eq!(log, "0 in one\n");
    folder.mwctl(["cluster", "delete", "real"]);
    assert_eq!(folder.clusters(), NOTHING);
}

#[test]
fn a_cluster_ends_when_its_time_is_up() {
    let folder = Folder::new();
    let mut serving = folder.spawn(["cluster", "serve", "short", "--ttl", "1ms"]);
    assert!(serving.wait().unwrap().success());
    assert_eq!(folder.clusters(), NOTHING);
}

#[test]
fn a_command_gets_a_cluster_and_its_exit_code_is_ours() {
    let folder = Folder::new();
    let run = |script| folder.mwctl(["cluster", "run", "--", "/bin/sh", "-c", script]);
    assert_eq!(
        run("test -s $KUBECONFIG && echo used; exit 7"),
        "used\n[exit status: 7]\n"
    );
    assert_eq!(run("kill -9 $$"), "[exit status: 137]\n");
    assert_snapshot!(
        "a_command_that_is_not_there",
        folder.mwctl(["cluster", "run", "--", "no-such-program"])
    );
    assert_eq!(folder.clusters(), NOTHING);
}

#[test]
fn who_is_told_to_end_tells_the_command() {
    let folder = Folder::new();
    let (mut child, _) = waiting(&folder);
    // Waiting closes what the child reads, which would end the command as well.
    let _open = child.stdin.take();
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(folder.clusters(), NOTHING);
}

#[test]
fn what_a_killed_run_left_is_swept_by_the_next_command() {
    let folder = Folder::new();
    let (mut child, kubeconfig) = waiting(&folder);
    signal(&child, Signal::KILL);
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert!(std::path::Path::new(&kubeconfig).exists());
    assert_eq!(
        folder.mwctl(["cluster", "list", "--output", "json"]),
        "{\n  \"schema\": 1,\n  \"items\": []\n}\n[exit status: 0]\n"
    );
    assert_eq!(folder.clusters(), NOTHING);
}
