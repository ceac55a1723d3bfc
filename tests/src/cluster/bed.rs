//! The test bed that `tests/cluster/run` has started: who it is, its API, and its control socket.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use mwctl_engine::kube::Cluster;
use tokio::runtime::Runtime;

/// Tests that stop a component of the node hold this alone; all others share it.
static USE: RwLock<()> = RwLock::new(());

/// How the contexts of test beds begin: the real node's, and those of disposable clusters for one command.
const BEDS: [&str; 2] = ["mwctl-test-", "mwctl-run-"];

/// The node, and a runtime to speak to it with.
pub struct Bed {
    pub(super) cluster: Cluster,
    pub(super) runtime: Runtime,
    pub(super) kubeconfig: PathBuf,
    state: PathBuf,
    /// Whether namespaces are to stay, for a person to look at.
    pub(super) keep: bool,
    shared: Option<RwLockReadGuard<'static, ()>>,
}

/// Nobody else uses the bed while this lives.
pub struct Alone {
    _guard: RwLockWriteGuard<'static, ()>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the bed is described by the variables that its README names"
)]
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

impl Bed {
    /// Finds the bed.
    ///
    /// # Panics
    ///
    /// When there is none, or when the kubeconfig's context isn't a test bed's.
    pub fn find() -> Self {
        let shared = USE.read().unwrap_or_else(PoisonError::into_inner);
        let kubeconfig = variable("MWCTL_TEST_KUBECONFIG")
            .expect("there is no test bed: type `tests/cluster/run`");
        let state = variable("MWCTL_TEST_STATE").expect("the test bed names its folder");
        let read = kube::config::Kubeconfig::read_from(&kubeconfig).expect("a kubeconfig");
        let context = read.current_context.clone().unwrap_or_default();
        assert!(
            BEDS.iter().any(|bed| context.starts_with(bed)),
            "`{context}` is not a test bed: the suite touches nothing else"
        );
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let cluster = runtime
            .block_on(Cluster::connect(read, &context, "default"))
            .expect("a client");
        Self {
            cluster,
            runtime,
            kubeconfig,
            state,
            keep: variable("MWCTL_TEST_KEEP").is_some(),
            shared: Some(shared),
        }
    }

    /// Whether it is a cluster of mwctl's own, on this machine.
    pub fn is_embedded(&self) -> bool {
        self.cluster.context.starts_with(BEDS[1])
    }

    /// Waits until no other test uses the bed, and keeps them away.
    pub fn alone(&mut self) -> Alone {
        drop(self.shared.take());
        Alone {
            _guard: USE.write().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Where the program keeps images and downloads: one place for all tests and runs.
    ///
    /// # Panics
    ///
    /// When the bed's folder isn't where beds keep theirs.
    pub fn cache(&self) -> PathBuf {
        let above = self.state.ancestors().nth(2).expect("the bed's cache");
        above.join("product")
    }

    /// Tells the node's supervisor something, as in `stop apiserver`.
    ///
    /// # Panics
    ///
    /// When it doesn't do it.
    pub fn control(&self, line: &str) {
        let mut socket = UnixStream::connect(self.state.join("control")).expect("a supervisor");
        writeln!(socket, "{line}").expect("a question");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        assert_eq!(answer.trim(), "ok", "the supervisor was told to {line}");
    }
}
