//! Those who build the same Dockerfile upon the same base: `mwctl`, `BuildKit`, buildah.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mwctl_tests::cluster::{PATIENCE, command};
use serde_json::Value;

use crate::place::{BASE, Place, environment, run};

/// Someone who builds the service's image.
pub(crate) trait Builder {
    /// Forgets all that was built; the base stays, unpacked.
    fn forget(&self);

    /// Builds it.
    fn build(&self);
}

/// What is measured.
pub(crate) struct Mwctl<'a> {
    place: &'a Place,
    home: &'a str,
}

impl<'a> Mwctl<'a> {
    pub(crate) fn new(place: &'a Place, home: &'a str) -> Self {
        place.import(home);
        Self { place, home }
    }

    /// Builds it by this name.
    pub(crate) fn build_as(&self, name: &str) {
        run(self.place.mwctl(self.home).args(["build", "--tag", name]));
    }

    /// What the store has, in bytes on the disk.
    pub(crate) fn stored(&self) -> u64 {
        let mut seen = std::collections::HashSet::new();
        on_disk(&self.place.path(self.home), &mut seen)
    }
}

/// Every file once, however many names it has.
fn on_disk(path: &Path, seen: &mut std::collections::HashSet<u64>) -> u64 {
    let Ok(data) = fs::symlink_metadata(path) else {
        return 0;
    };
    let own = if seen.insert(data.ino()) {
        data.blocks() * 512
    } else {
        0
    };
    if !data.is_dir() {
        return own;
    }
    let entries = fs::read_dir(path).expect("a folder of ours");
    own + entries
        .map(|entry| on_disk(&entry.expect("an entry").path(), seen))
        .sum::<u64>()
}

impl Builder for Mwctl<'_> {
    fn forget(&self) {
        fs::remove_dir_all(self.place.path(self.home)).expect("a folder of ours");
        self.place.import(self.home);
    }

    fn build(&self) {
        run(self.place.mwctl(self.home).arg("build"));
    }
}

/// `BuildKit`, with a daemon of its own that ends when this is dropped.
pub(crate) struct Buildkit<'a> {
    place: &'a Place,
    programs: String,
    /// Where it listens.
    address: String,
    /// The digest of the base's manifest.
    base: String,
    daemon: Child,
}

impl<'a> Buildkit<'a> {
    pub(crate) fn new(place: &'a Place) -> Self {
        let programs = environment("MWCTL_BENCH_BUILDKIT");
        let address = format!("unix://{}", place.path("buildkitd.sock").display());
        let log = fs::File::create(place.path("buildkitd.log")).expect("a file");
        let mut daemon = command("setpriv");
        daemon
            .args(["--pdeathsig", "KILL", &format!("{programs}/buildkitd")])
            .arg("--root")
            .arg(place.path("buildkit"))
            .args([
                "--addr",
                &address,
                "--containerd-worker=false",
                "--oci-worker-net=host",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let daemon = daemon.spawn().expect("`setpriv` of util-linux");
        let index = fs::read(place.layout().join("index.json")).expect("an OCI layout");
        let index: Value = serde_json::from_slice(&index).expect("an index");
        let base = index["manifests"][0]["digest"].as_str().expect("a digest");
        let this = Self {
            place,
            programs,
            address,
            base: base.to_owned(),
            daemon,
        };
        let start = Instant::now();
        while !this.answers() {
            assert!(start.elapsed() < PATIENCE, "BuildKit doesn't answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        this
    }

    fn buildctl(&self) -> Command {
        let mut command = command(&format!("{}/buildctl", self.programs));
        command.args(["--addr", &self.address]);
        command
    }

    fn answers(&self) -> bool {
        let mut workers = self.buildctl();
        let output = workers.args(["debug", "workers"]).output();
        output.is_ok_and(|output| output.status.success())
    }

    /// Lends the base by its name, without what `BuildKit` leaves out of it.
    fn base_option(&self) -> String {
        let name = BASE.trim_start_matches("docker.io/library/");
        format!("context:{name}=oci-layout://base@{}", self.base)
    }

    /// Builds the Dockerfile of a folder. Nothing is exported: what is built stays where it is.
    fn build_in(&self, folder: &Path) {
        let local = |name: &str| format!("{name}={}", folder.display());
        run(self
            .buildctl()
            .args([
                "build",
                "--progress",
                "plain",
                "--frontend",
                "dockerfile.v0",
            ])
            .args([
                "--local",
                &local("context"),
                "--local",
                &local("dockerfile"),
            ])
            .args([
                "--oci-layout",
                &format!("base={}", self.place.layout().display()),
            ])
            .args(["--opt", &self.base_option()]));
    }
}

impl Builder for Buildkit<'_> {
    fn forget(&self) {
        run(self.buildctl().args(["prune", "--all"]));
        let folder = self.place.path("only-base");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(
            folder.join("Dockerfile"),
            format!("FROM {BASE}\nRUN true\n"),
        )
        .expect("a file");
        self.build_in(&folder);
    }

    fn build(&self) {
        self.build_in(&self.place.service());
    }
}

impl Drop for Buildkit<'_> {
    fn drop(&mut self) {
        // It ends its own, and leaves no mount.
        let pid = self.daemon.id().to_string();
        drop(command("kill").arg(pid).status());
        drop(self.daemon.wait());
    }
}

/// buildah, which has no daemon.
pub(crate) struct Buildah<'a> {
    place: &'a Place,
}

impl<'a> Buildah<'a> {
    pub(crate) fn new(place: &'a Place) -> Self {
        Self { place }
    }

    fn buildah(&self) -> Command {
        let words = environment("MWCTL_BENCH_BUILDAH");
        let mut words = words.split_whitespace();
        let mut command = command(words.next().expect("a program"));
        let root = self.place.path("buildah");
        command
            .args(words)
            .env("HOME", "/root")
            .arg("--root")
            .arg(root.join("root"))
            .arg("--runroot")
            .arg(root.join("run"))
            .args(["--storage-driver", "overlay"]);
        command
    }
}

impl Builder for Buildah<'_> {
    fn forget(&self) {
        run(self.buildah().args(["rmi", "--all", "--force"]));
        let layout = format!("oci:{}", self.place.layout().display());
        let id = run(self.buildah().args(["pull", "--quiet", &layout]));
        run(self.buildah().args(["tag", id.trim(), BASE]));
    }

    fn build(&self) {
        run(self
            .buildah()
            .args(["build", "--layers", "--pull-never", "--isolation", "chroot"])
            .args(["--quiet", "--tag", "localhost/echo:1"])
            .arg(self.place.service()));
    }
}
