//! What a person waits for: clusters that come and go, and the sample that the README brings up.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kube::config::Kubeconfig;
use mwctl_tests::performance::{Samples, timed};
use mwctl_tests::processes;
use serde_json::Value;
use tempfile::TempDir;

use crate::pods::Pods;

/// What every pod of this benchmark runs, where the images of the test bed are there; both clusters have it.
const IMAGE: &str = "docker.io/library/node:20-bookworm-slim";
/// What they run where they aren't.
const HOST: &str = "mwctl.local/host";

const SAMPLE: &str = "conventions/stacks/greeting";

/// For how long an idle cluster is watched, after it has come to rest.
const REST: Duration = Duration::from_secs(5);
const WATCHED: Duration = Duration::from_secs(30);

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Times {
    pub(crate) sample: Samples,
    pub(crate) run: Samples,
    pub(crate) create: Samples,
    pub(crate) stop: Samples,
}

/// A cluster that has nothing to do.
#[derive(Debug)]
pub(crate) struct Idle {
    /// All its processes, in kB: a page that they share counts once.
    pub(crate) memory: u64,
    /// The sum of what each has, in kB.
    pub(crate) resident: u64,
    /// In hundredths of one processor.
    pub(crate) processor: f64,
}

/// A home in which the program keeps all that it makes.
#[derive(Debug)]
pub(crate) struct Home(TempDir);

/// A disposable cluster. It goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Cluster<'a> {
    home: &'a Home,
    name: String,
    told: Value,
}

/// Measures all of it.
pub(crate) async fn times(home: &Home, image: &str) -> Times {
    let mut times = Times::default();
    for _ in 0..5 {
        times.sample.take(sample());
    }
    let run = ["cluster", "run", "--grade", "node", "--", "true"];
    home.run(&run);
    for _ in 0..20 {
        times.run.take(timed(|| drop(home.run(&run))));
    }
    for _ in 0..10 {
        let start = Instant::now();
        let cluster = home.create("come-and-go");
        times.create.take(start.elapsed());
        Pods::new(cluster.kubeconfig(), image).await.two().await;
        times.stop.take(timed(|| drop(cluster)));
    }
    times
}

/// From nothing to a stack that is ready: no cluster, no image, no state.
fn sample() -> Duration {
    let home = Home::new();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    copy(&repository.join(SAMPLE), &home.0.path().join("sample"));
    let took = timed(|| drop(home.run(&["up", "-C", "sample", "--cluster", "embedded"])));
    home.run(&["cluster", "delete", "embedded"]);
    took
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("the sample") {
        let entry = entry.expect("an entry").path();
        let target = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            std::fs::copy(entry, target).expect("a copy");
        }
    }
}

impl Home {
    pub(crate) fn new() -> Self {
        Self(TempDir::with_prefix("mwctl-bench-").expect("a folder"))
    }

    #[expect(clippy::disallowed_methods, reason = "the program that is measured")]
    fn mwctl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mwctl-dup"));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.0.path())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its good end, and gives what it answered.
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.mwctl(arguments).output().expect("mwctl");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Brings the test bed's images into the store, where there are any, and says what pods are to run.
    #[expect(
        clippy::disallowed_methods,
        reason = "the environment says where the images are"
    )]
    pub(crate) fn import(&self) -> String {
        let Some(list) = std::env::var_os("MWCTL_TEST_IMAGES") else {
            return HOST.to_owned();
        };
        let list = std::fs::read_to_string(list).expect("the list of images");
        for archive in list.lines() {
            self.run(&["image", "import", archive]);
        }
        IMAGE.to_owned()
    }

    /// A cluster with a node, which is there when this is back. It ends by itself where this program is killed.
    pub(crate) fn create(&self, name: &str) -> Cluster<'_> {
        let create = ["cluster", "create", name, "--grade", "node", "--ttl", "30m"];
        let told = self.run(&[&create[..], &["--output", "json"]].concat());
        Cluster {
            home: self,
            name: name.to_owned(),
            told: serde_json::from_str(&told).expect("what is told of a cluster"),
        }
    }
}

impl Cluster<'_> {
    pub(crate) fn kubeconfig(&self) -> Kubeconfig {
        let path = self.told["kubeconfig"].as_str().expect("a path");
        Kubeconfig::read_from(path).expect("a kubeconfig")
    }

    /// What it uses while nobody asks for anything.
    pub(crate) fn idle(&self) -> Idle {
        let process = self.told["pid"].as_u64().expect("a process") as u32;
        std::thread::sleep(REST);
        let family = processes::family(process);
        let ticks = || family.iter().filter_map(|it| processes::ticks(*it));
        let before: u64 = ticks().sum();
        std::thread::sleep(WATCHED);
        let used = ticks().sum::<u64>() - before;
        let sum = |size: fn(u32) -> Option<u64>| family.iter().filter_map(|it| size(*it)).sum();
        Idle {
            memory: sum(processes::proportional),
            resident: sum(processes::resident),
            processor: used as f64 / WATCHED.as_secs_f64(),
        }
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        self.home.run(&["cluster", "delete", &self.name]);
    }
}
