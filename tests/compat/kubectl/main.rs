//! `kubectl` as a judge of the embedded cluster: what it prints there is what it prints on a real Kubernetes.
//!
//! A scenario is a list of commands as they are typed; see `scenarios/`. One client and one scenario are for every change; every client
//! from 1.27 on and all scenarios, side by side with a real cluster, are the matrix. What differs there is in `differences.yaml`, each
//! with its reason. That the API itself is right is tested where it is.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]
#![expect(
    clippy::disallowed_methods,
    reason = "the environment says which clients there are; they are the programs under test"
)]

mod bed;
mod clients;
mod differences;
mod normal;
mod scenario;

use std::path::{Path, PathBuf};

use bed::{Bed, transcript};
use differences::Observed;
use mwctl_testing::{Options, TestCluster};
use scenario::Scenario;

/// The scenario that needs no real cluster.
const USUAL: &str = "usual";

/// Where the real cluster is.
const REAL: &str = "MWCTL_TEST_KUBECONFIG";

/// The versions of the clients to use, such as `1.27 1.33`; all that are found where it isn't set.
const ONLY: &str = "MWCTL_TEST_KUBECTLS";

/// Takes what is observed as what is expected, as all of this repository's expected texts do.
const UPDATE: &str = "UPDATE_EXPECT";

/// What a real cluster printed for the scenario that needs none.
fn usual() -> PathBuf {
    folder().join("usual.printed")
}

/// This folder.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("compat/kubectl")
}

async fn embedded() -> (TestCluster, Bed) {
    let cluster = Options::default().simulate_pods().start().await.unwrap();
    let bed = Bed::new("embedded", cluster.kubeconfig().await.unwrap());
    (cluster, bed)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_usual_commands_print_what_they_print_on_a_real_cluster() {
    let client = clients::on_path().expect("`kubectl` is not on PATH");
    let (_cluster, bed) = embedded().await;
    let scenario = Scenario::read(&folder().join("scenarios").join(format!("{USUAL}.txt")));
    let steps = bed.run(&client, &scenario).await;
    let expected = std::fs::read_to_string(usual()).unwrap();
    assert_eq!(
        differences::difference(&expected, &transcript(&steps)),
        "",
        "`-` is what a real cluster prints, `+` is what this one does"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real cluster: tests/cluster/run --exec tests/compat/kubectl/matrix"]
async fn every_client_prints_on_both_clusters_the_same_but_for_what_is_listed() {
    let real = std::env::var_os(REAL).unwrap_or_else(|| panic!("{REAL} is not set"));
    let real = Bed::new("real", Path::new(&real));
    real.refuse_what_is_no_test_bed();
    let only = std::env::var(ONLY).ok();
    let clients = clients::versions(only.as_deref());
    assert!(!clients.is_empty(), "no `kubectl.1.27` or later is found");
    // What the other clients show would be lost.
    let update = std::env::var_os(UPDATE).is_some() && only.is_none();
    let mut observed = Observed::default();
    for client in &clients {
        let (_cluster, embedded) = embedded().await;
        for scenario in Scenario::all(&folder().join("scenarios")) {
            let (real, embedded) =
                tokio::join!(real.run(client, &scenario), embedded.run(client, &scenario));
            if update && scenario.name == USUAL {
                std::fs::write(usual(), transcript(&real)).unwrap();
            }
            observed.compare(&client.version, &scenario.name, &real, &embedded);
        }
    }
    let versions: Vec<&str> = clients.iter().map(|it| it.version.as_str()).collect();
    differences::judge(
        &folder().join("differences.yaml"),
        &observed,
        &versions,
        update,
    );
}
