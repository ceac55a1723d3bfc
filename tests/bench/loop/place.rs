//! Where the developed container is on this machine: its first process, its files, its pod.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mwctl_tests::cluster::{PATIENCE, TestCluster};
use mwctl_tests::processes;

/// The container, seen from the machine that runs it.
pub(crate) struct Place {
    /// Its first process, by this machine's number.
    pub(crate) process: u32,
    pub(crate) namespace: String,
    pub(crate) pod: String,
}

impl Place {
    /// Finds the only pod of the namespace.
    pub(crate) fn find(cluster: &TestCluster) -> Self {
        let pods = cluster.bed().pods(cluster.namespace());
        let pod = pods.first().expect("a pod");
        let id = pod
            .status
            .as_ref()
            .and_then(|status| {
                status
                    .container_statuses
                    .as_ref()?
                    .first()?
                    .container_id
                    .clone()
            })
            .expect("a container");
        let id = id.rsplit('/').next().unwrap_or_default().to_owned();
        Self {
            process: processes::of_container(&id).expect("the container's processes"),
            namespace: cluster.namespace().to_owned(),
            pod: pod.metadata.name.clone().expect("a name"),
        }
    }

    /// A file of the service, as the container sees it.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root/srv/service/{path}", self.process))
    }

    /// Looks every 100 µs until the file has this content; through the kernel, not through any API.
    pub(crate) fn shows(&self, path: &str, content: &str) -> Instant {
        let path = self.path(path);
        let start = Instant::now();
        loop {
            if fs::read(&path).is_ok_and(|bytes| bytes == content.as_bytes()) {
                return Instant::now();
            }
            assert!(start.elapsed() < PATIENCE, "{} never came", path.display());
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}
