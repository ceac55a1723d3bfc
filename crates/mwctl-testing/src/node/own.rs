//! The process of a cluster with a node: a program that uses this crate, started under another name, and stopped before its `main`.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mwctl_engine::embedded::{Clusters, NodeOptions, Options, Serving, serve};
use mwctl_engine::images::user_namespace;

/// The name by which it knows what it is.
pub(super) const NAME: &str = "mwctl-testing-node";

/// How long the containers may take to end when nobody wants them any more.
const TO_END: Duration = Duration::from_secs(10);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What the loader calls before `main`: the test harness would take the arguments for its own, and start threads.
#[used]
#[expect(
    unsafe_code,
    reason = "the loader's list of what it calls; nothing else runs then"
)]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

extern "C" fn before_main() {
    let Some(folder) = folder() else { return };
    let code = match run(&folder) {
        Ok(()) => 0,
        Err(error) => {
            tell(&*error);
            1
        }
    };
    // Whatever comes after is the test's.
    exit(code);
}

#[expect(
    clippy::disallowed_methods,
    clippy::exit,
    reason = "there is no main to return from"
)]
fn exit(code: i32) -> ! {
    std::process::exit(code)
}

#[expect(clippy::print_stderr, reason = "it is the process's log")]
fn tell(error: &dyn std::error::Error) {
    let mut next = Some(error);
    while let Some(error) = next {
        eprintln!("{error}");
        next = error.source();
    }
}

/// The folder of the cluster, where this is its process. Arguments are read here since not every C library passes them on already.
fn folder() -> Option<PathBuf> {
    let line = std::fs::read("/proc/self/cmdline").ok()?;
    let mut words = line.split(|byte| *byte == 0);
    if words.next()? != NAME.as_bytes() {
        return None;
    }
    let folder = String::from_utf8(words.next()?.to_vec()).ok()?;
    Some(PathBuf::from(folder))
}

fn run(folder: &Path) -> Result<(), Failure> {
    // While there is one thread: the kernel refuses it later.
    user_namespace::enter()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let serving = runtime.block_on(start(folder))?;
    let kubeconfig = serving.claim().kubeconfig();
    let mut out = std::io::stdout();
    writeln!(out, "{}", kubeconfig.display())?;
    out.flush()?;
    // Nothing is ever written there: it ends with whoever started this.
    drop(std::io::stdin().read(&mut [0]));
    runtime.block_on(async {
        // What doesn't end in time ends with this process.
        drop(tokio::time::timeout(TO_END, serving.stop()).await);
    });
    // Whoever was killed left it.
    drop(std::fs::remove_dir_all(folder));
    Ok(())
}

async fn start(folder: &Path) -> Result<Serving, Failure> {
    let clusters = Clusters::new(folder.join("clusters"));
    let node = NodeOptions {
        images: images(folder),
        accounts: accounts(),
        mountable: Vec::new(),
        host_ports: std::collections::BTreeMap::new(),
        checkouts: None,
        refused: Vec::new(),
    };
    let options = Options {
        node: Some(node),
        ..Options::default()
    };
    Ok(serve(&clusters, "test", options).await?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is configured by its environment alone"
)]
fn variable(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

/// The user's store of images, as `mwctl` has it; one of the cluster's own where the user has no home.
fn images(folder: &Path) -> PathBuf {
    let data = || {
        variable("XDG_DATA_HOME").or_else(|| Some(variable("HOME")?.join(".local").join("share")))
    };
    variable("MWCTL_IMAGE_STORE")
        .or_else(|| Some(data()?.join("mwctl").join("images")))
        .unwrap_or_else(|| folder.join("images"))
}

/// Where accounts of registries are.
fn accounts() -> Vec<PathBuf> {
    let docker = variable("DOCKER_CONFIG").or_else(|| Some(variable("HOME")?.join(".docker")));
    docker
        .map(|folder| folder.join("config.json"))
        .into_iter()
        .collect()
}
