//! The embedded cluster that is there for whoever has no other: started by what deploys, kept, stopped, removed.
//!
//! Disposable clusters are in `disposable.rs`; what a node does is tested where it is.

use std::path::Path;

use serde_json::Value;

use crate::folder::Folder;

/// A service that needs nothing but this machine's own programs.
const SERVICE: &str = "apiVersion: mwctl/v1
kind: Service
name: teller
container:
  image: mwctl.local/host
  user: 1000
  command: [/bin/sh, -c, 'trap exit TERM; sleep 1000 & wait']
";

/// Takes the cluster down also where a test fails.
struct Gone<'a>(&'a Folder);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.mwctl(["cluster", "delete", "embedded"]);
    }
}

#[test]
fn what_deploys_starts_the_embedded_cluster_which_keeps_what_it_has() {
    let folder = Folder::new().file("mwctl.yaml", SERVICE);
    let gone = Gone(&folder);
    let up = folder.mwctl(["up", "--timeout", "60s"]);
    assert!(up.contains("starting the embedded cluster"), "{up}");
    assert!(up.ends_with("[exit status: 0]\n"), "{up}");

    let stopped = folder.mwctl(["cluster", "stop", "embedded"]);
    assert!(stopped.contains("its objects are kept"), "{stopped}");
    let again = folder.mwctl(["cluster", "stop", "embedded"]);
    assert!(again.contains("embedded doesn't run"), "{again}");
    assert!(again.ends_with("[exit status: 0]\n"), "{again}");
    let other = folder.mwctl(["cluster", "stop", "nope"]);
    assert!(other.contains("there is no cluster `nope`"), "{other}");
    let status = folder.mwctl(["status"]);
    assert!(status.contains("mwctl up"), "{status}");

    // What was deployed runs again: there is nothing to do but to wait.
    let again = folder.mwctl(["up", "--timeout", "60s"]);
    assert!(again.ends_with("[exit status: 0]\n"), "{again}");
    assert!(!again.contains("apply"), "{again}");
    let status = folder.mwctl(["status", "--output", "json"]);
    assert!(status.contains("\"ready\""), "{status}");

    drop(gone);
    assert!(folder.clusters().is_empty());
}

/// A service that can be used a moment after its process began.
const SLOW: &str = "apiVersion: mwctl/v1
kind: Service
name: teller
container:
  image: mwctl.local/host
  user: 1000
  command: [/bin/sh, -c, 'sleep 1; exec python3 -m http.server 8000']
  ports: [{name: http, port: 8000}]
  probes: {readiness: {tcp: {port: 8000}}}
";

#[test]
fn what_a_stopped_cluster_started_again_is_waited_for_however_often_that_was() {
    let folder = Folder::new().file("mwctl.yaml", SLOW);
    let _gone = Gone(&folder);
    for _ in 0..4 {
        let up = folder.mwctl(["up", "--timeout", "60s"]);
        assert!(up.ends_with("[exit status: 0]\n"), "{up}");
        folder.mwctl(["cluster", "stop", "embedded"]);
    }
}

#[test]
fn a_cluster_of_another_version_is_replaced_with_its_objects() {
    let folder = Folder::new().file("mwctl.yaml", SERVICE);
    let _gone = Gone(&folder);
    folder.mwctl(["up", "--timeout", "60s"]);
    let lease = Path::new(&folder.home()).join(".local/state/mwctl/clusters/embedded/lease.json");
    for _ in 0..4 {
        let text = std::fs::read_to_string(&lease).unwrap();
        let mut value: Value = serde_json::from_str(&text).unwrap();
        value["version"] = "0.0.9".into();
        std::fs::write(&lease, value.to_string()).unwrap();
        let up = folder.mwctl(["up", "--timeout", "60s"]);
        assert!(up.ends_with("[exit status: 0]\n"), "{up}");
        assert!(!up.contains("apply"), "{up}");
    }
}
