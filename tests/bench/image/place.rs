//! The folder of a benchmark: the service, its base, and the program that is measured.

use std::cell::Cell;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mwctl_engine::images::Owners;
use mwctl_engine::images::layer::pack;
use mwctl_tests::cluster::{PATIENCE, command};
use mwctl_tests::performance::timed;
use tempfile::TempDir;

/// The base of the service, one of the test bed's images.
pub(crate) const BASE: &str = "docker.io/library/node:20-bookworm-slim";

/// How much is packed, in pieces of this many bytes.
const PACKED: (usize, usize) = (64, 4 << 20);

/// A folder in which all that is made lies.
pub(crate) struct Place {
    folder: TempDir,
    edits: Cell<usize>,
}

/// A service that is deployed to a cluster of ours; it goes when this is dropped.
pub(crate) struct Deployed<'a> {
    place: &'a Place,
    address: String,
}

/// `mwctl up` at work.
pub(crate) struct Up(Child);

/// A folder of this process. Its name has no large letters: buildah makes the name of an image of it.
fn folder() -> TempDir {
    let name = format!("mwctl-bench-{}", std::process::id());
    let folder = tempfile::Builder::new()
        .prefix(&name)
        .rand_bytes(0)
        .tempdir();
    folder.expect("a folder")
}

/// What the environment says, which `tests/bench/image/with` has set.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment says where the other builders are"
)]
pub(crate) fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: tests/bench/run image"))
}

/// Runs a command to its good end, and gives what it wrote.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?}: {text}{said}");
    text.into_owned()
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self {
            folder: folder(),
            edits: Cell::new(0),
        };
        let from = environment("MWCTL_BENCH_SERVICE");
        run(command("cp")
            .args(["--recursive", &from])
            .arg(place.service()));
        fs::write(place.service().join("mwctl.yaml"), SERVICE).expect("a file");
        fs::create_dir(place.layout()).expect("a folder");
        let mut unpack = command("tar");
        unpack.arg("--extract").arg("--file").arg(archive());
        run(unpack.arg("--directory").arg(place.layout()));
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The service's folder.
    pub(crate) fn service(&self) -> PathBuf {
        self.path("service")
    }

    /// The base as an OCI layout, which all builders read.
    pub(crate) fn layout(&self) -> PathBuf {
        self.path("base")
    }

    /// Changes the service's one source file; gives what it answers from now on.
    pub(crate) fn edit(&self) -> String {
        self.edits.set(self.edits.get() + 1);
        let path = self.service().join("server.js");
        let text = fs::read_to_string(&path).expect("the service");
        let start = text.find("'round ").expect("what it says") + 1;
        let end = start + text[start..].find('\'').expect("its end");
        let said = format!("round {}", self.edits.get());
        fs::write(path, format!("{}{said}{}", &text[..start], &text[end..])).expect("a file");
        said
    }

    /// The program, with a store and a state in a folder of this name.
    #[expect(clippy::disallowed_methods, reason = "the program that is measured")]
    pub(crate) fn mwctl(&self, home: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mwctl-dup"));
        command
            .current_dir(self.service())
            .env_clear()
            .env("HOME", self.path(home))
            .env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command
    }

    /// Brings the base into a store.
    pub(crate) fn import(&self, home: &str) {
        fs::create_dir_all(self.path(home)).expect("a folder");
        run(self.mwctl(home).args(["image", "import", &archive()]));
    }

    /// Deploys the service to the embedded cluster.
    pub(crate) fn up(&self) -> Deployed<'_> {
        self.import("deployed");
        run(self.mwctl("deployed").arg("up"));
        let told = run(self.mwctl("deployed").args(["status", "--output", "json"]));
        let start = told.find("http://").expect("a URL") + "http://".len();
        let address = told[start..].split(['/', '"']).next().unwrap_or_default();
        Deployed {
            place: self,
            address: address.to_owned(),
        }
    }

    /// Begins to bring an edit there.
    pub(crate) fn begin_up(&self) -> Up {
        let mut up = self.mwctl("deployed");
        up.arg("up").stdin(Stdio::null()).stdout(Stdio::null());
        Up(up.stderr(Stdio::null()).spawn().expect("mwctl"))
    }

    /// How long the service's program takes to answer, without any container.
    pub(crate) fn own_start(&self) -> Duration {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
        let address = free.expect("a free port");
        let start = Instant::now();
        let mut program = command("node");
        program.env("PORT", address.port().to_string());
        let mut child = program.arg(self.service().join("server.js")).spawn();
        let child = child.as_mut().expect("node");
        while ask(&address.to_string()).is_none() {
            assert!(start.elapsed() < PATIENCE, "node doesn't answer");
            std::thread::sleep(Duration::from_millis(1));
        }
        let took = start.elapsed();
        child.kill().expect("a process of ours");
        child.wait().expect("its end");
        took
    }

    /// How fast a layer is packed, digest and all, in MB/s.
    pub(crate) fn packing(&self) -> f64 {
        let folder = self.path("packed");
        fs::create_dir(&folder).expect("a folder");
        let (count, size) = PACKED;
        for number in 0..count {
            let content: Vec<u8> = (0..size).map(|at| (at * (number + 3)) as u8).collect();
            fs::write(folder.join(number.to_string()), content).expect("a file");
        }
        let took = timed(|| {
            pack(&folder, Owners::of_process(), 0, std::io::sink()).expect("an archive");
        });
        (count * size) as f64 / 1e6 / took.as_secs_f64()
    }
}

impl Deployed<'_> {
    /// Waits until the service says this.
    pub(crate) fn says(&self, said: &str) {
        let start = Instant::now();
        while ask(&self.address).is_none_or(|answer| !answer.ends_with(said)) {
            assert!(start.elapsed() < PATIENCE, "`{said}` is never said");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Deployed<'_> {
    fn drop(&mut self) {
        let delete = ["cluster", "delete", "embedded"];
        run(self.place.mwctl("deployed").args(delete));
    }
}

impl Up {
    pub(crate) fn end(mut self) {
        assert!(
            self.0.wait().is_ok_and(|status| status.success()),
            "`up` failed"
        );
    }
}

/// What is answered at an address, if anything is.
fn ask(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let request = format!("GET / HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// The archive of the base among the test bed's images.
fn archive() -> String {
    let list = fs::read_to_string(environment("MWCTL_TEST_IMAGES")).expect("the list of images");
    let is_node = |path: &&str| {
        Path::new(path)
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("node-"))
    };
    list.lines()
        .find(is_node)
        .expect("an image of node")
        .to_owned()
}

const SERVICE: &str = "apiVersion: mwctl/v1
kind: Service
name: echo
container:
  build: {file: Dockerfile, directory: /srv, user: 1000}
  command: [node, server.js]
  ports: [{name: http, port: 8080, reach: service}]
";
