//! A sample repository, deployed to the cluster that `tests/shipped/run` has started.

use std::path::{Path, PathBuf};

use kube::config::Kubeconfig;
use mwctl_tests::cluster::{Answer, Mwctl, Reply, copy, eventually_or, get};
use tempfile::TempDir;

/// A copy of a sample that is deployed. Dropping it after a failure shows what became of it, and takes it down.
pub(crate) struct Sample {
    root: PathBuf,
    _folder: TempDir,
}

impl Sample {
    /// Copies the sample `name` of this folder, and deploys it.
    pub(crate) fn up(name: &str) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self::up_from(&here.join("shipped/samples").join(name), name)
    }

    /// The same with any folder. It is called `name`, since a folder without a file of ours names its service.
    pub(crate) fn up_from(from: &Path, name: &str) -> Self {
        let context = Kubeconfig::read().ok().and_then(|it| it.current_context);
        assert!(
            context.is_some_and(|name| name.starts_with("mwctl-")),
            "there is no cluster of the test's own: type `tests/shipped/run`"
        );
        let folder = TempDir::with_prefix("shipped-").unwrap();
        let root = folder.path().join(name);
        std::fs::create_dir(&root).unwrap();
        copy(from, &root);
        let sample = Self {
            root,
            _folder: folder,
        };
        sample.run(&["up"]);
        sample
    }

    fn start(&self, arguments: &[&str]) -> Mwctl {
        let mut all = vec!["--output", "json"];
        all.extend(arguments);
        let program = Path::new(env!("CARGO_BIN_EXE_mwctl-dup"));
        Mwctl::start(program, &self.root, &[], &all)
    }

    /// Runs a command of the program, which must succeed.
    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        let answer = self.start(arguments).finish();
        assert_eq!(answer.code, Some(0), "{arguments:?}: {answer}");
        answer
    }

    /// What a command in a service's container prints.
    pub(crate) fn exec(&self, service: &str, command: &[&str]) -> String {
        let mut arguments = vec!["exec", service, "--"];
        arguments.extend(command);
        self.run(&arguments).stdout
    }

    /// Leads a local port to `SERVICE:0` or `SERVICE:0:PORT`; the address is its as long as the command lives.
    pub(crate) fn forward(&self, route: &str) -> (Mwctl, String) {
        let forward = self.start(&["forward", route]);
        let told = forward.wait("a local port", |line| line["event"] == "forwarding");
        let local = told["local"].as_str().unwrap().to_owned();
        (forward, local)
    }

    /// What a service answers to a request.
    pub(crate) fn get(&self, route: &str, path: &str) -> Reply {
        let (_forward, local) = self.forward(route);
        self::eventually(&format!("an answer of {route}"), || get(&local, path))
    }

    /// Takes everything down: no pod, no service and no volume is left.
    pub(crate) fn down(self) {
        self.run(&["down", "--volumes"]);
        let status = self.start(&["status"]).finish().json();
        let services = status["services"].as_array().unwrap();
        let gone =
            |service: &serde_json::Value| service["pods"].as_array().is_none_or(Vec::is_empty);
        assert!(services.iter().all(gone), "{status:#}");
    }
}

/// Waits for an answer.
pub(crate) fn eventually<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    eventually_or(what, String::new, probe)
}

impl Drop for Sample {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for arguments in [&["status"][..], &["logs"], &["down", "--volumes"]] {
                show(&self.start(arguments).finish());
            }
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the test harness shows it with the failed test"
)]
fn show(answer: &Answer) {
    eprintln!("{answer}");
}
