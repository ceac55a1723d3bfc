//! The guides, as their readers follow them on a real cluster: each `sh` block is run, in order, in one folder. The newcomer's is
//! followed on the embedded one, by `tests/cli/quickstart.rs`.
//!
//! Blocks that wait for somebody are marked `console`, and are not run.

use std::process::Stdio;

use mwctl_tests::cluster::{TestCluster, command};

use super::cluster;

/// A folder with the sample stack, and a namespace, for a guide.
fn place(name: &str) -> TestCluster {
    cluster(&format!("guide-{name}"), "mathoid")
}

/// Runs the blocks of `docs/guide/<name>.md`, and fails with all that was printed.
fn follow(name: &str, cluster: &TestCluster) {
    let guide = format!("{}/../docs/guide/{name}.md", env!("CARGO_MANIFEST_DIR"));
    let guide = std::fs::read_to_string(guide).expect("the guide is there");
    let blocks = guide.split("```sh\n").skip(1);
    let blocks: Vec<&str> = blocks.filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() > 1, "the guide has nothing to follow");
    let script = format!("set -euxo pipefail\n{}", blocks.concat());

    let programs = tempfile::tempdir().expect("a folder");
    let program = env!("CARGO_BIN_EXE_mwctl-dup");
    std::os::unix::fs::symlink(program, programs.path().join("mwctl")).expect("a link");
    // The path goes in by the shell: `$1` is the folder of programs.
    let before = "PATH=$1:$PATH KUBECONFIG=$MWCTL_TEST_KUBECONFIG exec bash -c \"$2\"";
    let output = command("bash")
        .args(["-c", before, "guide"])
        .arg(programs.path())
        .arg(script)
        .current_dir(cluster.root())
        .env("MWCTL_NAMESPACE", cluster.namespace())
        .env("MWCTL_CACHE_DIR", cluster.bed().cache())
        .env("XDG_STATE_HOME", programs.path().join("state"))
        .stdin(Stdio::null())
        .output()
        .expect("bash can be started");
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_guide_for_developers_can_be_followed() {
    let cluster = place("service-developer");
    // A stack above a checkout would take the checkout's place.
    cluster.remove("mwctl.yaml");
    follow("service-developer", &cluster);
}

#[test]
fn the_guide_for_authors_of_tests_can_be_followed() {
    follow("test-author", &place("test-author"));
}
