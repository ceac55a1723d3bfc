//! A namespace of its own on the test bed for one test, and the program run against it.
//!
//! It refuses every context but a test bed's. It is not a way to reach any other cluster, and it
//! starts none: `tests/cluster/run` does.

mod bed;
mod child;
mod objects;
mod record;
mod web;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

pub use self::bed::{Alone, Bed};
pub use self::child::{Answer, Mwctl, command};
pub use self::record::Record;
pub use self::web::{Reply, get, post};

/// How long anything may take that a test waits for: far beyond what it takes.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The namespace of one test, a folder with a service in it, and what happened there.
///
/// Dropping it shows the state of the namespace when the test failed, and deletes it.
#[must_use]
pub struct TestCluster {
    bed: Bed,
    namespace: String,
    folder: TempDir,
    /// What is the test's and no part of the service.
    home: TempDir,
    program: PathBuf,
}

impl TestCluster {
    /// Prepares the namespace `t-<name>` and a copy of the fixture `fixture`.
    ///
    /// # Panics
    ///
    /// When there is no test bed, or the context isn't one's.
    pub fn new(program: &str, name: &str, fixture: &str) -> Self {
        let this = Self {
            bed: Bed::find(),
            namespace: format!("t-{name}"),
            folder: TempDir::with_prefix(format!("{fixture}-")).expect("a folder"),
            home: TempDir::new().expect("a folder"),
            program: PathBuf::from(program),
        };
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("cluster/fixtures")
            .join(fixture);
        copy(&from, &this.root());
        this.bed.delete_namespace(&this.namespace);
        eventually("the namespace of an earlier run is gone", || {
            (!this.bed.has_namespace(&this.namespace)).then_some(())
        });
        this
    }

    /// The service's folder.
    pub fn root(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The test bed.
    pub fn bed(&self) -> &Bed {
        &self.bed
    }

    /// Waits until no other test uses the bed, and keeps them away.
    pub fn alone(&mut self) -> Alone {
        self.bed.alone()
    }

    /// The names of the pods that are not about to go.
    pub fn pods(&self) -> Vec<String> {
        let pods = self.bed.pods(&self.namespace);
        pods.into_iter()
            .filter_map(|pod| pod.metadata.name)
            .collect()
    }

    /// Waits until the container holds the checkout's tree.
    ///
    /// # Panics
    ///
    /// When it never does.
    pub fn converges(&self, service: &str) {
        let differs = || {
            let (there, here) = (self.tree_in_container(service), self.tree_in_checkout());
            (there != here).then(|| format!("container: {there:#?}\ncheckout: {here:#?}"))
        };
        eventually_or(
            "the container has the checkout's tree",
            || differs().unwrap_or_default(),
            || differs().is_none().then_some(()),
        );
    }

    /// The test's namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Writes a file of the checkout in one go.
    ///
    /// # Panics
    ///
    /// When the file can't be written.
    pub fn write(&self, path: &str, content: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, content).expect("the file can be written");
    }

    /// Deletes a file of the checkout.
    ///
    /// # Panics
    ///
    /// When there is no such file.
    pub fn remove(&self, path: &str) {
        std::fs::remove_file(self.folder.path().join(path)).expect("the file can be deleted");
    }

    /// Starts a command of the program.
    pub fn start(&self, arguments: &[&str]) -> Mwctl {
        self.start_with(&self.bed.kubeconfig, arguments)
    }

    /// Runs a command of the program as somebody who has no rights.
    ///
    /// # Panics
    ///
    /// When the bed's kubeconfig can't be read.
    pub fn run_as(&self, user: &str, arguments: &[&str]) -> Answer {
        let mut config =
            kube::config::Kubeconfig::read_from(&self.bed.kubeconfig).expect("it is there");
        for named in &mut config.auth_infos {
            if let Some(info) = &mut named.auth_info {
                info.impersonate = Some(user.to_owned());
            }
        }
        let text = serde_json::to_string(&config).expect("it can be written");
        let file = self.home.path().join("kubeconfig");
        std::fs::write(&file, text).expect("it can be written");
        self.start_with(&file, arguments).finish()
    }

    fn start_with(&self, kubeconfig: &Path, arguments: &[&str]) -> Mwctl {
        let mut all = vec!["--namespace", &self.namespace, "--output", "json"];
        all.extend(arguments);
        let cache = self.bed.cache();
        let variables = [
            ("KUBECONFIG", kubeconfig),
            ("MWCTL_CACHE_DIR", cache.as_path()),
        ];
        Mwctl::start(&self.program, self.folder.path(), &variables, &all)
    }

    /// Runs a command of the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Answer {
        self.start(arguments).finish()
    }

    /// Starts `develop`, and waits until the container has the tree and answers.
    pub fn develop(&self, service: &str) -> Mwctl {
        let develop = self.start(&["develop", service]);
        develop.wait("the tree is in the container", |line| {
            line["event"] == "update" && line["outcome"] == "live"
        });
        develop
    }

    /// What the service answers through the port that `command` leads to it, once `wanted` says so.
    ///
    /// # Panics
    ///
    /// When it never answers so.
    pub fn answers(&self, command: &Mwctl, path: &str, wanted: impl Fn(&Reply) -> bool) -> Reply {
        let line = command.wait("a local port", |line| line["event"] == "forwarding");
        let local = line["local"].as_str().expect("an address").to_owned();
        eventually_or(
            &format!("the awaited answer of {path}"),
            || format!("the last answer: {:?}", get(&local, path)),
            || get(&local, path).filter(&wanted),
        )
    }

    /// What stands in the container, as lines of hash and path, without what package managers made.
    ///
    /// # Panics
    ///
    /// When the container can't be asked.
    pub fn tree_in_container(&self, service: &str) -> Vec<String> {
        let script = "const fs=require('fs'),c=require('crypto');\
            const walk=d=>fs.readdirSync(d,{withFileTypes:true}).flatMap(e=>{const p=d+'/'+e.name;\
            return e.name==='node_modules'?[]:e.isDirectory()?walk(p):\
            [c.createHash('sha256').update(fs.readFileSync(p)).digest('hex')+' '+p.slice(2)]});\
            console.log(walk('.').sort().join('\\n'))";
        let answer = self.run(&["exec", service, "--", "node", "-e", script]);
        assert_eq!(answer.code, Some(0), "{answer}");
        answer.stdout.lines().map(ToOwned::to_owned).collect()
    }

    /// The same of the checkout.
    pub fn tree_in_checkout(&self) -> Vec<String> {
        let mut lines = Vec::new();
        list(self.folder.path(), "", &mut lines);
        lines.sort();
        lines
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.bed.show(&self.namespace);
        }
        if !self.bed.keep {
            self.bed.delete_namespace(&self.namespace);
        }
    }
}

/// Copies what is in a folder into another one, which is there.
///
/// # Panics
///
/// When it can't be read or written.
pub fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("the fixture is there") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            std::fs::create_dir(&target).expect("a folder");
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("a copy");
        }
    }
}

fn list(root: &Path, under: &str, lines: &mut Vec<String>) {
    for entry in std::fs::read_dir(root.join(under)).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a plain name");
        let path = if under.is_empty() {
            name
        } else {
            format!("{under}/{name}")
        };
        if entry.file_type().expect("a type").is_dir() {
            list(root, &path, lines);
        } else {
            let bytes = std::fs::read(entry.path()).expect("a file");
            lines.push(format!("{} {path}", hex::encode(Sha256::digest(bytes))));
        }
    }
}

/// Asks until `probe` has an answer.
///
/// # Panics
///
/// When it has none for [`PATIENCE`].
pub fn eventually<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    eventually_or(what, String::new, probe)
}

/// As [`eventually`], and says more when it fails.
///
/// # Panics
///
/// When `probe` has no answer for [`PATIENCE`].
pub fn eventually_or<T>(
    what: &str,
    more: impl Fn() -> String,
    mut probe: impl FnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "waited in vain for: {what}\n{}",
            more()
        );
        // Between two questions: the condition is what counts, not this.
        std::thread::sleep(Duration::from_millis(10));
    }
}
