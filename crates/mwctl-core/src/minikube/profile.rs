//! Profiles: what `config.json` and `profile list -o json` say about them.

use serde::Deserialize;

use super::machine::Machine;
use super::status::State;

/// One profile, as its `config.json` describes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Its driver, as in `docker`.
    pub driver: String,
    /// Its container runtime: `docker`, `containerd` or `crio`.
    pub runtime: String,
    /// Its version of Kubernetes.
    pub kubernetes: String,
    /// The names of its machines, the control plane first.
    pub machines: Vec<String>,
    /// How all of its machines are reached by ssh, in the same order; empty where they aren't. It stands in files beside the profile's.
    pub by_ssh: Vec<Machine>,
    /// How it is, where the list said so.
    pub state: Option<State>,
}

impl Profile {
    /// Whether its machines are containers of the local docker.
    pub fn in_docker(&self) -> bool {
        self.driver == "docker"
    }
}

/// The answer to `profile list -o json`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProfileList {
    /// Profiles that can be read.
    pub valid: Vec<Profile>,
    /// Names of profiles that can't: perhaps just being written, so look again before believing it.
    pub invalid: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    name: String,
    #[serde(default)]
    driver: String,
    #[serde(default, rename = "KubernetesConfig")]
    kubernetes: Kubernetes,
    #[serde(default)]
    nodes: Option<Vec<Node>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Kubernetes {
    #[serde(rename = "KubernetesVersion")]
    version: String,
    #[serde(rename = "ContainerRuntime")]
    runtime: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    #[serde(default)]
    name: String,
    #[serde(default)]
    control_plane: bool,
}

impl From<Config> for Profile {
    fn from(config: Config) -> Self {
        let mut nodes = config.nodes.unwrap_or_default();
        nodes.sort_by_key(|node| !node.control_plane);
        let machines = if nodes.is_empty() {
            vec![config.name.clone()]
        } else {
            nodes
                .iter()
                .map(|node| machine(&config.name, &node.name))
                .collect()
        };
        Self {
            name: config.name,
            driver: config.driver,
            runtime: config.kubernetes.runtime,
            kubernetes: config.kubernetes.version,
            machines,
            by_ssh: Vec::new(),
            state: None,
        }
    }
}

/// The first node's machine is called as the profile; others have the node's name at the end.
fn machine(profile: &str, node: &str) -> String {
    if node.is_empty() || node == profile {
        profile.to_owned()
    } else {
        format!("{profile}-{node}")
    }
}

/// Reads a `config.json`; `None` where it is half written or none.
pub fn profile(text: &str) -> Option<Profile> {
    let config: Config = serde_json::from_str(text).ok()?;
    (!config.name.is_empty()).then(|| config.into())
}

/// Reads the answer to `profile list -o json`; an `Err` holds minikube's words.
pub fn profiles(text: &str) -> Result<ProfileList, String> {
    #[derive(Deserialize)]
    struct Entry {
        #[serde(rename = "Name", default)]
        name: String,
        #[serde(rename = "Status", default)]
        status: String,
        #[serde(rename = "Config", default)]
        config: Option<Config>,
    }
    #[derive(Deserialize)]
    struct Wire {
        #[serde(default)]
        valid: Option<Vec<Entry>>,
        #[serde(default)]
        invalid: Option<Vec<Entry>>,
        #[serde(default)]
        error: Option<serde_json::Value>,
    }
    let shortened = || text.chars().take(200).collect::<String>();
    let wire: Wire = serde_json::from_str(text).map_err(|_| shortened())?;
    if let Some(error) = wire.error {
        return Err(error.to_string());
    }
    let mut list = ProfileList::default();
    for entry in wire.valid.unwrap_or_default() {
        match entry.config {
            Some(config) => list.valid.push(Profile {
                state: (!matches!(entry.status.as_str(), "" | "Skipped"))
                    .then(|| State::from_word(&entry.status)),
                ..config.into()
            }),
            None => list.invalid.push(entry.name),
        }
    }
    let invalid = wire.invalid.unwrap_or_default();
    list.invalid
        .extend(invalid.into_iter().map(|entry| entry.name));
    Ok(list)
}

/// Whether minikube accepts the text as a profile's name.
pub fn is_profile_name(text: &str) -> bool {
    const COMMANDS: [&str; 10] = [
        "start", "stop", "status", "delete", "config", "open", "profile", "addons", "cache", "logs",
    ];
    let label = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.ends_with(|c: char| c.is_ascii_alphanumeric())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.len() >= 2 && !COMMANDS.contains(&text) && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"Name":"work","KeepContext":false,"Driver":"docker","KubernetesConfig":{"KubernetesVersion":"v1.34.0","ClusterName":"work","ContainerRuntime":"containerd"},"Nodes":[{"Name":"m02","ControlPlane":false,"Worker":true},{"Name":"","ControlPlane":true,"Worker":true}]}"#;

    #[test]
    fn a_config_tells_driver_runtime_and_machines() {
        let profile = profile(CONFIG).unwrap();
        assert!(profile.in_docker());
        assert_eq!(profile.runtime, "containerd");
        assert_eq!(profile.machines, ["work", "work-m02"]);
    }

    #[test]
    fn a_half_written_config_is_none() {
        for cut in [0, 1, 20, CONFIG.len() - 1] {
            assert_eq!(profile(&CONFIG[..cut]), None, "{cut} bytes");
        }
    }

    #[test]
    fn a_list_has_states_in_either_vocabulary_and_none_when_it_is_light() {
        for (word, state) in [
            ("OK", Some(State::Running)),
            ("Running", Some(State::Running)),
            ("Skipped", None),
        ] {
            let text = format!(
                r#"{{"invalid":[{{"Name":"half"}}],"valid":[{{"Name":"work","Status":"{word}","Active":true,"Config":{CONFIG}}}]}}"#
            );
            let list = profiles(&text).unwrap();
            assert_eq!(list.valid[0].state, state);
            assert_eq!(list.invalid, ["half"]);
        }
    }

    #[test]
    fn a_list_that_failed_is_an_error_with_its_words() {
        assert!(
            profiles(r#"{"error":{"Op":"open"}}"#)
                .unwrap_err()
                .contains("open")
        );
        assert!(profiles("").is_err());
    }

    #[test]
    fn commands_and_single_letters_are_no_profile_names() {
        assert!(is_profile_name("work-2.a"));
        for bad in ["a", "start", "-x", "x-", "a b", "a..b", ""] {
            assert!(!is_profile_name(bad), "{bad}");
        }
    }
}
