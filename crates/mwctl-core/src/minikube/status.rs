//! The answer to `minikube status -o json -l nodes`, in all the forms it takes.
//!
//! One node is an object, several are an array, a host that is gone is `null`, and a profile that
//! doesn't exist gives event lines instead. The exit code is a bit mask that repeats all this.

use serde::{Deserialize, Serialize};

use super::event::{Event, event};

/// What the answer says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Report {
    /// The nodes, the control plane first.
    Nodes(Vec<Status>),
    /// The profile exists, its machine doesn't.
    HostGone,
    /// There is no such profile; with minikube's own words.
    NoProfile(String),
    /// It can't be understood.
    Unreadable(String),
}

/// One node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// The machine.
    pub host: State,
    /// The kubelet.
    pub kubelet: State,
    /// The API server; irrelevant on workers.
    pub api_server: State,
    /// Whether the kubeconfig's address is right; `None` on workers.
    pub kubeconfig: Option<bool>,
}

/// How a thing is, in either of minikube's vocabularies.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// `Running`, `OK`, `HAppy`.
    Running,
    /// `Running` in the other vocabulary too, but not wholly: `Degraded`, `Warning`.
    Degraded,
    /// `Starting`.
    Starting,
    /// `Stopped`, `Saved`.
    Stopped,
    /// `Stopping`, `Pausing`, `Unpausing`, `Deleting`.
    Changing,
    /// `Paused`.
    Paused,
    /// `Nonexistent`, `NotFound`.
    Missing,
    /// `Irrelevant`: not asked of this node.
    Irrelevant,
    /// `InsufficientStorage`.
    DiskFull,
    /// `Error`.
    Error,
    /// `Unknown`, an empty word, or one of a newer version.
    Unknown,
}

impl State {
    /// Reads a word of either vocabulary.
    pub fn from_word(word: &str) -> Self {
        match word {
            "Running" | "OK" | "HAppy" => Self::Running,
            "Degraded" | "Warning" => Self::Degraded,
            "Starting" => Self::Starting,
            "Stopped" | "Saved" => Self::Stopped,
            "Stopping" | "Pausing" | "Unpausing" | "Deleting" => Self::Changing,
            "Paused" => Self::Paused,
            "Nonexistent" | "NotFound" => Self::Missing,
            "Irrelevant" => Self::Irrelevant,
            "InsufficientStorage" => Self::DiskFull,
            "Error" => Self::Error,
            _ => Self::Unknown,
        }
    }
}

/// How a whole cluster is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// It runs and the kubeconfig leads to it.
    Ready,
    /// It runs, but the kubeconfig leads elsewhere.
    StaleKubeconfig,
    /// It is on its way up or down.
    Changing,
    /// Its machine is off.
    Stopped,
    /// Its containers are frozen.
    Paused,
    /// Its machine is gone.
    Gone,
    /// The disk is full.
    DiskFull,
    /// The machine runs, Kubernetes in it doesn't.
    Broken,
}

impl Report {
    /// The cluster's condition; `None` where there is no such profile or no understanding.
    pub fn condition(&self) -> Option<Condition> {
        let nodes = match self {
            Self::Nodes(nodes) => nodes,
            Self::HostGone => return Some(Condition::Gone),
            Self::NoProfile(_) | Self::Unreadable(_) => return None,
        };
        let first = nodes.first()?;
        Some(match (&first.host, &first.api_server) {
            (State::Stopped, _) => Condition::Stopped,
            (State::Missing, _) => Condition::Gone,
            (State::DiskFull, _) | (_, State::DiskFull) => Condition::DiskFull,
            (State::Starting | State::Changing, _) | (_, State::Starting | State::Changing) => {
                Condition::Changing
            }
            (State::Paused, _) | (_, State::Paused) => Condition::Paused,
            (State::Running | State::Degraded, State::Running | State::Degraded) => {
                if first.kubeconfig == Some(false) {
                    Condition::StaleKubeconfig
                } else {
                    Condition::Ready
                }
            }
            _ => Condition::Broken,
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Wire {
    name: String,
    host: String,
    kubelet: String,
    #[serde(rename = "APIServer")]
    api_server: String,
    kubeconfig: String,
    worker: bool,
}

impl From<Wire> for Status {
    fn from(wire: Wire) -> Self {
        Self {
            name: wire.name,
            host: State::from_word(&wire.host),
            kubelet: State::from_word(&wire.kubelet),
            api_server: State::from_word(&wire.api_server),
            kubeconfig: (!wire.worker && wire.kubeconfig != "Irrelevant")
                .then(|| wire.kubeconfig == "Configured"),
        }
    }
}

/// Reads the standard output of a status command.
pub fn status(output: &str) -> Report {
    let text = output.trim();
    let events: Vec<Event> = text.lines().filter_map(event).collect();
    let words: Vec<&str> = events.iter().filter_map(message).collect();
    if !words.is_empty() {
        return Report::NoProfile(words.join(" "));
    }
    if text == "null" {
        return Report::HostGone;
    }
    let nodes = if text.starts_with('[') {
        serde_json::from_str::<Vec<Wire>>(text)
    } else {
        serde_json::from_str::<Wire>(text).map(|one| vec![one])
    };
    match nodes {
        Ok(wires) if wires.iter().any(|wire| !wire.host.is_empty()) => {
            let (workers, planes): (Vec<_>, Vec<_>) = wires.into_iter().partition(|w| w.worker);
            Report::Nodes(
                planes
                    .into_iter()
                    .chain(workers)
                    .map(Status::from)
                    .collect(),
            )
        }
        _ => Report::Unreadable(text.chars().take(200).collect()),
    }
}

fn message(event: &Event) -> Option<&str> {
    match event {
        Event::Info { message } | Event::Warning { message } => Some(message),
        Event::Error(failed) => Some(&failed.message),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: &str = r#"{"Name":"minikube","Host":"Running","Kubelet":"Running","APIServer":"Running","Kubeconfig":"Configured","Worker":false}"#;

    fn condition(text: &str) -> Option<Condition> {
        status(text).condition()
    }

    #[test]
    fn one_node_is_an_object_and_several_are_an_array() {
        assert_eq!(condition(RUNNING), Some(Condition::Ready));
        let worker = r#"{"Name":"minikube-m02","Host":"Running","Kubelet":"Running","APIServer":"Irrelevant","Kubeconfig":"Irrelevant","Worker":true}"#;
        let text = format!("[{worker},{RUNNING}]");
        let Report::Nodes(nodes) = status(&text) else {
            panic!("no nodes");
        };
        assert_eq!(nodes[0].name, "minikube");
        assert_eq!(nodes[1].kubeconfig, None);
        assert_eq!(condition(&text), Some(Condition::Ready));
    }

    #[test]
    fn null_means_that_the_machine_is_gone() {
        assert_eq!(condition("null\n"), Some(Condition::Gone));
    }

    #[test]
    fn info_events_instead_of_a_status_mean_that_there_is_no_such_profile() {
        let text = concat!(
            r#"{"specversion":"1.0","type":"io.k8s.sigs.minikube.info","data":{"message":"Profile \"x\" not found. Run \"minikube profile list\" to view all profiles."}}"#,
            "\n",
            r#"{"specversion":"1.0","type":"io.k8s.sigs.minikube.info","data":{"message":"To start a cluster, run: \"minikube start -p x\""}}"#
        );
        let Report::NoProfile(words) = status(text) else {
            panic!("taken for a status");
        };
        assert!(words.starts_with("Profile \"x\" not found"));
    }

    #[test]
    fn every_word_of_a_cluster_that_does_not_run_has_its_condition() {
        for (from, to, expected) in [
            (
                r#""Host":"Running""#,
                r#""Host":"Stopped""#,
                Condition::Stopped,
            ),
            (
                r#""Host":"Running""#,
                r#""Host":"Nonexistent""#,
                Condition::Gone,
            ),
            (
                r#""APIServer":"Running""#,
                r#""APIServer":"Paused""#,
                Condition::Paused,
            ),
            (
                r#""APIServer":"Running""#,
                r#""APIServer":"Stopped""#,
                Condition::Broken,
            ),
            (
                r#""APIServer":"Running""#,
                r#""APIServer":"Error""#,
                Condition::Broken,
            ),
            (
                r#""Host":"Running""#,
                r#""Host":"InsufficientStorage""#,
                Condition::DiskFull,
            ),
            ("Configured", "Misconfigured", Condition::StaleKubeconfig),
        ] {
            assert_eq!(
                condition(&RUNNING.replace(from, to)),
                Some(expected),
                "{to}"
            );
        }
    }

    #[test]
    fn both_vocabularies_are_understood() {
        for word in ["Running", "OK", "HAppy"] {
            assert_eq!(State::from_word(word), State::Running);
        }
        assert_eq!(State::from_word(""), State::Unknown);
    }

    #[test]
    fn what_is_no_status_is_unreadable_and_not_a_panic() {
        for text in ["", "{}", "[]", "goroutine 1 [running]", "{\"Host\":3}"] {
            assert!(matches!(status(text), Report::Unreadable(_)), "{text}");
        }
    }
}
