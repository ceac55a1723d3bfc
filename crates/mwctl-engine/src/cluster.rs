//! Finds the clusters that this machine knows, and which of them answer.
//!
//! Which one is taken is decided in `mwctl_core::cluster`; starting and stopping is done by the
//! drivers below. Speaking Kubernetes is [`crate::kube`]'s work.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use mwctl_core::cluster::{
    Choice, Context, Detection, Kind, Kubeconfig, MinikubeState, Question, Refusal, choose, read,
};
use mwctl_core::minikube::Profile;
use mwctl_core::problem::Problem;

use crate::command::find_program;
use crate::repository::ReadError;

pub mod minikube;

/// A local cluster answers within this time or isn't there; all are asked at once.
const PATIENCE: Duration = Duration::from_millis(500);

/// Where things about clusters are on this machine.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The kubeconfig files, in the order of `KUBECONFIG`.
    pub kubeconfig: Vec<PathBuf>,
    /// minikube's home directory (`~/.minikube`).
    pub minikube_home: Option<PathBuf>,
    /// The value of `PATH`.
    pub path: OsString,
    /// Whether this program may serve a cluster with a node.
    pub embedded: bool,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// All contexts.
    pub kubeconfig: Kubeconfig,
    /// Contexts known to be local whose cluster answers.
    pub running: BTreeSet<String>,
    /// What is known of minikube.
    pub minikube: MinikubeState,
    /// minikube's profiles.
    pub profiles: Vec<Profile>,
    /// Whether this program can serve a cluster with a node here.
    pub embedded: bool,
}

/// Why clusters can't be looked for.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// A kubeconfig file can't be read.
    #[error("cannot look for clusters")]
    Read(#[source] ReadError),
    /// Kubeconfig files are there and are none.
    #[error("cannot look for clusters: {}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid {
        /// What is wrong with them.
        problems: Vec<Problem>,
    },
}

/// The texts of the kubeconfig files that are there.
fn texts(paths: &[PathBuf]) -> Result<Vec<(PathBuf, String)>, FindError> {
    let mut files = Vec::new();
    for path in paths {
        match std::fs::read_to_string(path) {
            Ok(text) => files.push((path.clone(), text)),
            // kubectl too takes a missing file for an empty one.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => {
                let path = path.clone();
                return Err(FindError::Read(ReadError { path, source }));
            }
        }
    }
    Ok(files)
}

/// Host and port of each server that the files name, whether it is there or not.
pub fn servers(paths: &[PathBuf]) -> Result<Vec<(String, u16)>, FindError> {
    let read = read(&texts(paths)?, &Detection::default());
    let contexts = read.map_err(|problems| FindError::Invalid { problems })?;
    let contexts = contexts.contexts.iter();
    Ok(contexts
        .filter_map(|context| address(&context.server))
        .collect())
}

/// Looks at the files and asks the local clusters whether they are there.
pub async fn find(places: &Places) -> Result<Found, FindError> {
    let files = texts(&places.kubeconfig)?;
    let profiles = match &places.minikube_home {
        Some(home) => minikube::profiles(home).await,
        None => Vec::new(),
    };
    let names: BTreeSet<String> = profiles.iter().map(|p| p.name.clone()).collect();
    let detection = Detection {
        minikube_home: places.minikube_home.clone(),
        profiles: names.clone(),
    };
    let kubeconfig =
        read(&files, &detection).map_err(|problems| FindError::Invalid { problems })?;
    let running = running(&kubeconfig.contexts).await;
    Ok(Found {
        kubeconfig,
        running,
        minikube: MinikubeState {
            installed: find_program(&places.path, "minikube").is_some(),
            profiles: names,
        },
        profiles,
        embedded: places.embedded,
    })
}

impl Found {
    /// Chooses the cluster to work on.
    pub fn choose(
        &self,
        requested: Option<&str>,
        setting: Option<&str>,
        allowed: &[String],
    ) -> Result<Choice, Refusal> {
        choose(&Question {
            kubeconfig: &self.kubeconfig,
            requested,
            setting,
            allowed,
            running: &self.running,
            minikube: &self.minikube,
            embedded: self.embedded,
        })
    }

    /// The minikube profile behind a context, if it is one.
    pub fn profile(&self, kind: &Kind) -> Option<&Profile> {
        let Kind::Minikube { profile } = kind else {
            return None;
        };
        self.profiles.iter().find(|found| found.name == *profile)
    }
}

/// Which of the local contexts' servers accept a connection. Others are never connected to.
async fn running(contexts: &[Context]) -> BTreeSet<String> {
    let local = contexts.iter().filter(|context| context.kind.is_local());
    let questions: FuturesUnordered<_> = local
        .map(|context| async move {
            let address = address(&context.server)?;
            let connect = tokio::net::TcpStream::connect(address);
            match tokio::time::timeout(PATIENCE, connect).await {
                Ok(Ok(_)) => Some(context.name.clone()),
                _ => None,
            }
        })
        .collect();
    questions.filter_map(std::future::ready).collect().await
}

/// Host and port of a server's address.
fn address(server: &str) -> Option<(String, u16)> {
    let uri: http::Uri = server.parse().ok()?;
    let host = uri.host()?.trim_matches(['[', ']']).to_owned();
    let default = if uri.scheme_str() == Some("http") {
        80
    } else {
        443
    };
    Some((host, uri.port_u16().unwrap_or(default)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, server: &str) -> String {
        format!(
            "clusters: [{{name: {name}, cluster: {{server: \"{server}\"}}}}]\ncontexts: [{{name: {name}, context: {{cluster: {name}}}}}]\n"
        )
    }

    #[tokio::test]
    async fn a_cluster_runs_when_its_server_accepts_connections() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = {
            let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            other.local_addr().unwrap()
        };
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&a, entry("kind-up", &format!("https://{open}"))).unwrap();
        std::fs::write(&b, entry("kind-down", &format!("https://{closed}"))).unwrap();
        let places = Places {
            kubeconfig: vec![folder.path().join("missing"), a, b],
            ..Places::default()
        };
        let expected = [closed.port(), open.port()].map(|port| ("127.0.0.1".to_owned(), port));
        assert_eq!(servers(&places.kubeconfig).unwrap(), expected);
        let found = find(&places).await.unwrap();
        assert_eq!(found.running, BTreeSet::from(["kind-up".to_owned()]));
        let choice = found.choose(None, None, &[]).unwrap();
        assert!(matches!(choice, Choice::Context(context, _) if context.name == "kind-up"));
    }

    #[tokio::test]
    async fn a_file_that_is_no_kubeconfig_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        std::fs::write(&path, "clusters: 3").unwrap();
        let places = Places {
            kubeconfig: vec![path],
            ..Places::default()
        };
        let error = find(&places).await.unwrap_err();
        assert!(error.to_string().contains("config"), "{error}");
    }

    #[test]
    fn an_address_has_a_port_even_where_none_is_written() {
        assert_eq!(address("https://h:1/x"), Some(("h".to_owned(), 1)));
        assert_eq!(address("https://[::1]"), Some(("::1".to_owned(), 443)));
        assert_eq!(address(""), None);
    }
}
