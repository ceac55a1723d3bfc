//! Why minikube failed and what to type: by the stable ID of the reason, else by the exit code.

use super::event::{Event, Failed};

/// A failure with its cure.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    /// What went wrong, in one sentence.
    pub what: String,
    /// The reason's ID, where minikube named one.
    pub id: Option<String>,
    /// What to type or do, the likeliest first.
    pub cures: Vec<String>,
}

/// Explains a failed command from the events it printed and its exit code.
pub fn failure(profile: &str, events: &[Event], exit_code: Option<i32>) -> Failure {
    let errors = || {
        events.iter().rev().filter_map(|event| match event {
            Event::Error(failed) => Some(failed),
            _ => None,
        })
    };
    let fatal = errors()
        .find(|failed| failed.id.is_some())
        .or_else(|| errors().next());
    let Some(failed) = fatal else {
        return by_exit_code(profile, events, exit_code);
    };
    let id = failed.id.clone().unwrap_or_default();
    let mut cures = by_reason(profile, &id, failed);
    cures.extend(failed.advice.clone().filter(|advice| !advice.is_empty()));
    cures.extend(failed.url.as_ref().map(|url| format!("read {url}")));
    if cures.is_empty() {
        cures.push(format!("`minikube logs -p {profile}`"));
    }
    let message = failed.message.lines().next().unwrap_or_default().trim();
    Failure {
        what: if id.is_empty() {
            format!("minikube failed: {message}")
        } else {
            format!("minikube failed ({id}): {message}")
        },
        id: failed.id.clone(),
        cures,
    }
}

fn by_reason(profile: &str, id: &str, failed: &Failed) -> Vec<String> {
    let cure = |text: &str| vec![text.to_owned()];
    if let Some(rest) = id.strip_prefix("PROVIDER_") {
        // IDs of drivers are put together at run time, so only their ends are known.
        for (suffix, verb) in [
            ("_NOT_FOUND", "install"),
            ("_NOT_RUNNING", "start"),
            ("_OBSOLETE", "update"),
        ] {
            if let Some(driver) = rest.strip_suffix(suffix) {
                return vec![format!("{verb} {}", driver.to_ascii_lowercase())];
            }
        }
    }
    if failed.message.contains("x509") && failed.message.contains("expired") {
        return vec![format!("`minikube start -p {profile}` renews certificates")];
    }
    match id {
        "DRV_DOCKER_NOT_RUNNING" => cure("start docker"),
        "DRV_NOT_DETECTED" => cure("install docker, or another driver that minikube can use"),
        "DRV_AS_ROOT" => cure("run it as an ordinary user, or allow root with `--force`"),
        "DRV_NEEDS_ROOT" => cure("this driver needs root"),
        "GUEST_DRIVER_MISMATCH" => vec![format!(
            "the profile has another driver: leave `--driver` out, or `minikube delete -p {profile}`"
        )],
        "GUEST_CERT" => vec![format!("`minikube start -p {profile}` renews certificates")],
        "GUEST_PROVISION_CONTAINER_EXITED" | "GUEST_PROVISION" | "GUEST_START" => vec![
            format!("`minikube logs -p {profile}` has the details"),
            format!("`minikube delete -p {profile}`, then start again, if it stays so"),
        ],
        "RSRC_INSUFFICIENT_CORES" => cure("give fewer processors: `--cpus 2`"),
        "RSRC_DOCKER_STORAGE" | "RSRC_INSUFFICIENT_STORAGE" => {
            cure("free some disk: `docker system prune`")
        }
        "INET_CACHE_BINARIES" | "INET_CACHE_KUBECTL" | "K8S_FAIL_CONNECT" => {
            cure("check the connection to the internet, or the proxy's settings")
        }
        "K8S_DOWNGRADE_UNSUPPORTED" => vec![format!(
            "Kubernetes can't go back in a profile: `minikube delete -p {profile}`"
        )],
        _ if id.starts_with("RSRC_INSUFFICIENT") && id.ends_with("MEMORY") => {
            cure("give less memory: `--memory 3g`")
        }
        _ => Vec::new(),
    }
}

fn by_exit_code(profile: &str, events: &[Event], exit_code: Option<i32>) -> Failure {
    let tail = events.iter().rev().find_map(|event| match event {
        Event::Other { text } => Some(text.as_str()),
        Event::Info { message } | Event::Warning { message } => Some(message.as_str()),
        _ => None,
    });
    let (area, cure) = match exit_code {
        None => ("was killed", String::new()),
        Some(2) => ("was interrupted", String::new()),
        Some(20..=29) => ("lacks a resource", "free memory or disk".to_owned()),
        Some(40..=49) => ("can't reach the internet", "check the proxy".to_owned()),
        Some(50..=69) => (
            "has trouble with its driver",
            "`docker version` tells whether docker runs".to_owned(),
        ),
        Some(85) => (
            "knows no such profile",
            format!("`minikube start -p {profile}`"),
        ),
        Some(_) => ("failed", format!("`minikube logs -p {profile}`")),
    };
    let code = exit_code.map_or_else(String::new, |code| format!(" (exit code {code})"));
    let said = tail.map_or_else(String::new, |text| format!(": {text}"));
    Failure {
        what: format!("minikube {area}{code}{said}"),
        id: None,
        cures: if cure.is_empty() { vec![] } else { vec![cure] },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fatal(id: &str, message: &str) -> Vec<Event> {
        vec![
            Event::Error(Failed {
                message: "first try failed".to_owned(),
                ..Failed::default()
            }),
            Event::Error(Failed {
                message: message.to_owned(),
                id: Some(id.to_owned()),
                advice: Some("the advice".to_owned()),
                ..Failed::default()
            }),
        ]
    }

    #[test]
    fn the_fatal_reason_counts_and_not_the_errors_before_it() {
        let failure = failure("p", &fatal("GUEST_START", "boom\nmore"), Some(80));
        assert_eq!(failure.what, "minikube failed (GUEST_START): boom");
        assert_eq!(failure.cures.last().unwrap(), "the advice");
    }

    #[test]
    fn a_driver_that_is_missing_stopped_or_old_is_named() {
        for (id, cure) in [
            ("PROVIDER_DOCKER_NOT_FOUND", "install docker"),
            ("PROVIDER_KVM2_NOT_RUNNING", "start kvm2"),
            ("PROVIDER_PODMAN_OBSOLETE", "update podman"),
        ] {
            assert_eq!(failure("p", &fatal(id, "x"), Some(60)).cures[0], cure);
        }
    }

    #[test]
    fn expired_certificates_are_renewed_by_a_start_and_not_by_deleting() {
        let events = fatal("K8S_APISERVER_MISSING", "x509: certificate has expired");
        let cures = failure("p", &events, Some(100)).cures;
        assert!(cures[0].contains("minikube start -p p"), "{cures:?}");
    }

    #[test]
    fn without_events_the_exit_code_tells_the_area_and_the_last_line_is_shown() {
        let events = vec![Event::Other {
            text: "no such host".to_owned(),
        }];
        let failure = failure("p", &events, Some(40));
        assert_eq!(
            failure.what,
            "minikube can't reach the internet (exit code 40): no such host"
        );
    }
}
