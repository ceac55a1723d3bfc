//! Command lines for minikube, without the program itself.

/// Variables that make its output readable by a program: no emoji, no questions, English, no
/// advertising of new versions.
pub const ENVIRONMENT: [(&str, &str); 3] = [
    ("MINIKUBE_IN_STYLE", "false"),
    ("MINIKUBE_WANTUPDATENOTIFICATION", "false"),
    ("LC_ALL", "C"),
];

/// What a cluster is to be started with.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StartOptions {
    /// The driver. Always name one: with its own choice, minikube deletes the profile and tries
    /// another driver when the first fails. Empty for a profile that exists: it has its driver.
    pub driver: Option<String>,
    /// The container runtime; containerd where the profile is new, since it takes images by layer.
    pub runtime: Option<String>,
    /// The version of Kubernetes, as in `v1.34.0`.
    pub kubernetes: Option<String>,
    /// Processors.
    pub cpus: Option<u32>,
    /// Memory, as in `4g`.
    pub memory: Option<String>,
    /// Whether it may run as root, which the docker driver refuses otherwise.
    pub force: bool,
}

fn line(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Starts a profile; the kubeconfig's current context stays what it is, and what a pod needs from
/// its first moment on (the default service account) is waited for.
pub fn start(profile: &str, options: &StartOptions) -> Vec<String> {
    let mut arguments = line(&[
        "start",
        "-p",
        profile,
        "-o",
        "json",
        "--interactive=false",
        "--keep-context",
        "--wait=all",
        "--skip-audit",
    ]);
    let mut add = |flag: &str, value: Option<&str>| {
        if let Some(value) = value {
            arguments.push(format!("--{flag}={value}"));
        }
    };
    add("driver", options.driver.as_deref());
    add("container-runtime", options.runtime.as_deref());
    add("kubernetes-version", options.kubernetes.as_deref());
    add("cpus", options.cpus.map(|n| n.to_string()).as_deref());
    add("memory", options.memory.as_deref());
    if options.force {
        arguments.push("--force".to_owned());
    }
    arguments
}

/// Stops a profile; its context stays in the kubeconfig.
pub fn stop(profile: &str) -> Vec<String> {
    line(&[
        "stop",
        "-p",
        profile,
        "-o",
        "json",
        "--keep-context-active",
        "--skip-audit",
    ])
}

/// Deletes one profile. There is deliberately no way to delete all: that also removes containers
/// of other users' profiles.
pub fn delete(profile: &str) -> Vec<String> {
    line(&["delete", "-p", profile, "-o", "json", "--skip-audit"])
}

/// Continues a paused profile.
pub fn unpause(profile: &str) -> Vec<String> {
    line(&["unpause", "-p", profile, "-o", "json", "--skip-audit"])
}

/// Asks for the status. The other layout (`cluster`) crashes where the host is gone.
pub fn status(profile: &str) -> Vec<String> {
    line(&["status", "-p", profile, "-o", "json", "-l", "nodes"])
}

/// Brings the kubeconfig's address up to date.
pub fn update_context(profile: &str) -> Vec<String> {
    line(&["update-context", "-p", profile, "--skip-audit"])
}

/// Lists the profiles from files alone; without `--light` every cluster is connected to.
pub fn profile_list() -> Vec<String> {
    line(&["profile", "list", "--light", "-o", "json"])
}

/// Loads an archive. Its exit code says nothing: look at [`image_list`] afterwards.
pub fn image_load(profile: &str, archive: &str) -> Vec<String> {
    line(&["-p", profile, "image", "load", archive, "--skip-audit"])
}

/// Lists the images of all nodes. The flag is `--format`, not `-o`.
pub fn image_list(profile: &str) -> Vec<String> {
    line(&["-p", profile, "image", "ls", "--format", "json"])
}

/// Asks for the version; needs no cluster.
pub fn version() -> Vec<String> {
    line(&["version", "-o", "json"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_never_asks_never_switches_contexts_and_names_its_driver() {
        let options = StartOptions {
            driver: Some("docker".to_owned()),
            runtime: Some("containerd".to_owned()),
            cpus: Some(2),
            force: true,
            ..StartOptions::default()
        };
        assert_eq!(
            start("work", &options).join(" "),
            "start -p work -o json --interactive=false --keep-context --wait=all --skip-audit \
             --driver=docker --container-runtime=containerd --cpus=2 --force"
        );
    }

    #[test]
    fn a_stop_leaves_the_context_in_the_kubeconfig() {
        assert!(stop("work").contains(&"--keep-context-active".to_owned()));
    }

    #[test]
    fn a_delete_is_of_one_profile() {
        assert_eq!(
            delete("work").join(" "),
            "delete -p work -o json --skip-audit"
        );
    }
}
