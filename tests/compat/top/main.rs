//! `kubectl top` on a node of this machine: as whoever runs the tests, and, where that is root, as an ordinary user, who may have no control
//! groups.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]
#![expect(
    clippy::disallowed_methods,
    reason = "the client is a program under test, and the test runs itself as somebody else"
)]

#[path = "../kubectl/clients.rs"]
mod clients;

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use kube::runtime::wait::await_condition;
use mwctl_testing::TestCluster;
use serde_json::json;
use tokio::process::Command;

/// Set for the process that runs the test as an ordinary user.
const AS_USER: &str = "MWCTL_TEST_AS_USER";
/// An ordinary user, who needs no entry anywhere.
const USER: u32 = 1000;
/// Nothing here takes as long: what does is stuck.
const LONGEST: Duration = Duration::from_mins(2);

/// A pod one of whose containers never rests, and the other one does nothing.
async fn start(cluster: &TestCluster) {
    let container = |name: &str, script: &str| json!({"name": name, "image": "mwctl.local/host", "command": ["sh", "-c", script]});
    let containers = [
        container("idle", "exec sleep 1000"),
        container("spin", "while :; do :; done"),
    ];
    let pod = json!({"metadata": {"name": "busy", "labels": {"app": "busy"}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": containers}});
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let pods: Api<Pod> = Api::default_namespaced(cluster.client());
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let runs = |pod: Option<&Pod>| {
        pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref()) == Some("Running")
    };
    let waiting = await_condition(pods, "busy", runs);
    tokio::time::timeout(LONGEST, waiting)
        .await
        .unwrap()
        .unwrap();
}

struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// Both outputs, the errors last.
    async fn run(&self, arguments: &[&str]) -> String {
        let ended = Command::new(&self.program)
            .args(arguments)
            .env_clear()
            .env("HOME", self.kubeconfig.parent().unwrap())
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(LONGEST, ended).await.unwrap().unwrap();
        [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat()
    }

    /// The lines of a table, each with its cells.
    async fn table(&self, arguments: &[&str]) -> Vec<Vec<String>> {
        let text = self.run(arguments).await;
        let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        text.lines().map(cells).collect()
    }
}

/// A number before its unit.
fn number(cell: &str, unit: &str) -> u64 {
    let number = cell.strip_suffix(unit).and_then(|cell| cell.parse().ok());
    number.unwrap_or_else(|| panic!("{cell} is no number of {unit}"))
}

async fn ask(kubectl: &Kubectl) {
    let node = kubectl.table(&["top", "node"]).await;
    let head = ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"];
    let head_of_old = ["NAME", "CPU(cores)", "CPU%", "MEMORY(bytes)", "MEMORY%"];
    assert!(node[0] == head || node[0] == head_of_old, "{node:?}");
    assert!(
        number(&node[1][1], "m") > 0 && number(&node[1][3], "Mi") > 0,
        "{node:?}"
    );

    let both = kubectl.table(&["top", "pod", "--containers"]).await;
    assert_eq!(
        both[0],
        ["POD", "NAME", "CPU(cores)", "MEMORY(bytes)"],
        "{both:?}"
    );
    let [idle, spin] = [&both[1], &both[2]];
    assert_eq!(
        [&idle[..2], &spin[..2]],
        [["busy", "idle"], ["busy", "spin"]]
    );
    // However busy the machine is, one of them gets something and the other one wants nothing.
    let [least, most] = [idle, spin].map(|cells| number(&cells[2], "m"));
    assert!(most > 20 && most > 2 * least, "{both:?}");
    assert!(
        [idle, spin]
            .iter()
            .all(|cells| number(&cells[3], "Mi") < 100),
        "{both:?}"
    );

    let whole = kubectl.table(&["top", "pod", "busy", "--no-headers"]).await;
    assert!(number(&whole[0][1], "m") > 20, "{whole:?}");
    let everywhere = kubectl.table(&["top", "pod", "-A", "-l", "app=busy"]).await;
    assert_eq!(everywhere[1][..2], ["default", "busy"], "{everywhere:?}");
    let nobody = kubectl.run(&["top", "pod", "-l", "app=other"]).await;
    assert!(nobody.starts_with("No resources found"), "{nobody}");
    for kind in ["nodemetrics", "podmetrics"] {
        let table = kubectl.table(&["get", kind]).await;
        assert_eq!(table[0], ["NAME", "CPU", "MEMORY", "WINDOW"], "{table:?}");
        assert_ne!(table[1][1], "0", "{table:?}");
    }
}

/// Who may view a namespace may see what its pods use, and nobody else.
async fn ask_as_somebody(kubectl: &Kubectl) {
    let top = ["top", "pod", "--as", "system:serviceaccount:default:viewer"];
    let refused = kubectl.run(&top).await;
    assert!(
        refused.contains("cannot list resource \"pods\" in API group \"metrics.k8s.io\""),
        "{refused}"
    );
    let bind = [
        "create",
        "rolebinding",
        "viewer",
        "--clusterrole=view",
        "--serviceaccount=default:viewer",
    ];
    kubectl.run(&bind).await;
    // The role of viewers is put together by a controller.
    let granted = async {
        while !kubectl.run(&top).await.contains("busy") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONGEST, granted).await.unwrap();
}

/// Runs the test once more as an ordinary user, where this one is root's.
fn and_as_a_user(name: &str) {
    if !rustix::process::geteuid().is_root() || std::env::var_os(AS_USER).is_some() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(home.path(), Some(USER), Some(USER)).unwrap();
    // Through `/proc`, since the user may not be allowed to enter the folder of this program.
    let status = std::process::Command::new("/proc/self/exe")
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
async fn what_pods_and_nodes_use_is_shown() {
    {
        let cluster = TestCluster::with_node().await.unwrap();
        start(&cluster).await;
        let kubeconfig: &Path = cluster.kubeconfig().await.unwrap();
        let mut kubectl = Kubectl {
            program: clients::on_path().expect("`kubectl` is on PATH").path,
            kubeconfig: kubeconfig.to_owned(),
        };
        ask(&kubectl).await;
        if let Some(oldest) = clients::versions(None).into_iter().next() {
            kubectl.program = oldest.path;
            ask(&kubectl).await;
        }
        ask_as_somebody(&kubectl).await;
    }
    and_as_a_user("what_pods_and_nodes_use_is_shown");
}
