//! Every environment variable that `mwctl` reads, and the only place that reads them.
//!
//! Those that stand for an option are read by the argument parser and named there through these
//! constants.

use std::env;
use std::path::PathBuf;

/// Stands for `--cluster`.
pub(crate) const CLUSTER: &str = "MWCTL_CLUSTER";
/// Stands for `--namespace`.
pub(crate) const NAMESPACE: &str = "MWCTL_NAMESPACE";
/// Stands for `--profile`.
pub(crate) const PROFILE: &str = "MWCTL_PROFILE";
/// Stands for `--allow-context`.
pub(crate) const ALLOW_CONTEXT: &str = "MWCTL_ALLOW_CONTEXT";
/// Stands for `--output`.
pub(crate) const OUTPUT: &str = "MWCTL_OUTPUT";
/// Stands for `--registry`.
pub(crate) const REGISTRY: &str = "MWCTL_REGISTRY";
/// Stands for `--cache-dir`.
pub(crate) const CACHE_DIR: &str = "MWCTL_CACHE_DIR";
/// Where images are kept, a folder of one user; by default below `XDG_DATA_HOME`.
pub(crate) const IMAGE_STORE: &str = "MWCTL_IMAGE_STORE";
/// Set by the scripts of `mwctl completion`: the shell that asks for completions.
pub(crate) const COMPLETE: &str = "MWCTL_COMPLETE";
/// What is traced to stderr, in the syntax of `tracing_subscriber::EnvFilter`.
pub(crate) const LOG: &str = "MWCTL_LOG";
/// The kubeconfig files, separated as in `PATH`.
pub(crate) const KUBECONFIG: &str = "KUBECONFIG";
/// Where `docker login` keeps its `config.json`.
pub(crate) const DOCKER_CONFIG: &str = "DOCKER_CONFIG";
/// The file in which `podman login` keeps accounts.
pub(crate) const REGISTRY_AUTH_FILE: &str = "REGISTRY_AUTH_FILE";
/// Where minikube keeps its profiles.
pub(crate) const MINIKUBE_HOME: &str = "MINIKUBE_HOME";

/// Proxies: a build's programs are given them.
const PROXIES: [&str; 8] = [
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
];

/// What a run takes from its environment beside the options.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    /// The user's home directory.
    pub home: PathBuf,
    /// The kubeconfig files, in order of precedence.
    pub kubeconfig: Vec<PathBuf>,
    /// Where minikube keeps its profiles.
    pub minikube_home: Option<PathBuf>,
    /// Where caches go by default.
    pub cache: PathBuf,
    /// Where images are kept.
    pub image_store: PathBuf,
    /// Files with accounts at registries, the first that knows one counts.
    pub accounts: Vec<PathBuf>,
    /// Variables that lead programs to the network, such as `https_proxy`.
    pub network: std::collections::BTreeMap<String, String>,
    /// What kind of terminal this is (`TERM`).
    pub terminal: Option<String>,
    /// Where the folders of disposable clusters are.
    pub clusters: PathBuf,
    /// The filter of [`LOG`].
    pub log: Option<String>,
    /// Where programs are looked for.
    pub path: std::ffi::OsString,
    /// For people: who runs this, as `user@host`.
    pub user: String,
    /// How this program was called, as it can be called again.
    pub program: String,
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the environment"
)]
fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the environment"
)]
fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The value of a variable that a service's description asks for.
pub(crate) fn asked_for(name: &str) -> Option<String> {
    text(name)
}

impl Environment {
    /// Reads the environment.
    pub(crate) fn read() -> Self {
        let home = path("HOME").unwrap_or_else(|| PathBuf::from("/"));
        let kubeconfig: Vec<PathBuf> = match path(KUBECONFIG) {
            Some(paths) => env::split_paths(&paths)
                .filter(|path| !path.as_os_str().is_empty())
                .collect(),
            None => vec![home.join(".kube").join("config")],
        };
        let cache = path("XDG_CACHE_HOME")
            .unwrap_or_else(|| home.join(".cache"))
            .join("mwctl");
        let clusters = path("XDG_STATE_HOME")
            .unwrap_or_else(|| home.join(".local").join("state"))
            .join("mwctl")
            .join("clusters");
        let image_store = path(IMAGE_STORE).unwrap_or_else(|| {
            path("XDG_DATA_HOME")
                .unwrap_or_else(|| home.join(".local").join("share"))
                .join("mwctl")
                .join("images")
        });
        let docker = path(DOCKER_CONFIG).unwrap_or_else(|| home.join(".docker"));
        let podman = path("XDG_RUNTIME_DIR").map(|run| run.join("containers").join("auth.json"));
        let accounts = path(REGISTRY_AUTH_FILE)
            .into_iter()
            .chain([docker.join("config.json")])
            .chain(podman)
            .collect();
        let network = PROXIES
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), text(name)?)))
            .collect();
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let host = host.as_deref().map_or("localhost", str::trim).to_owned();
        let user = text("USER")
            .or_else(|| text("LOGNAME"))
            .unwrap_or_else(|| "someone".into());
        Self {
            terminal: text("TERM"),
            kubeconfig,
            minikube_home: path(MINIKUBE_HOME),
            path: path("PATH").unwrap_or_default().into_os_string(),
            cache,
            image_store,
            accounts,
            network,
            clusters,
            log: text(LOG),
            user: format!("{user}@{host}"),
            program: env::args().next().unwrap_or_else(|| "mwctl".to_owned()),
            home,
        }
    }
}
