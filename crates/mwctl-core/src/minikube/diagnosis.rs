//! What is wrong with a minikube profile and what to type, from what was seen of it.

use serde::Serialize;

use super::profile::Profile;
use super::status::{Condition, Report};

/// What was seen.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// The profile's name.
    pub name: &'a str,
    /// minikube's version, if the program is there.
    pub version: Option<&'a str>,
    /// The profile's configuration, if it could be read.
    pub profile: Option<&'a Profile>,
    /// Whether the profile's directory is there, although the configuration can't be read.
    pub directory: bool,
    /// The status, if it was asked for.
    pub report: Option<&'a Report>,
    /// Whether the driver's own program is there; `None` where it has none or wasn't looked for.
    pub driver_present: Option<bool>,
    /// What the Kubernetes client said, if it couldn't connect.
    pub client_error: Option<&'a str>,
}

/// One conclusion.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// What is so.
    pub what: String,
    /// What to type; `None` where nothing is wrong.
    pub cure: Option<String>,
}

fn wrong(what: impl Into<String>, cure: impl Into<String>) -> Finding {
    Finding {
        what: what.into(),
        cure: Some(cure.into()),
    }
}

/// Concludes. The first finding with a cure is the one to act on.
pub fn diagnose(seen: &Seen<'_>) -> Vec<Finding> {
    let name = seen.name;
    let Some(version) = seen.version else {
        return vec![wrong(
            "minikube is not installed",
            "see https://minikube.sigs.k8s.io/docs/start/",
        )];
    };
    let mut findings = vec![Finding {
        what: format!("minikube {version}"),
        cure: None,
    }];
    let Some(profile) = seen.profile else {
        findings.push(if seen.directory {
            wrong(
                format!("profile `{name}` can't be read: it is being made, or it is damaged"),
                format!("wait for the other start, or `minikube delete -p {name}`"),
            )
        } else {
            wrong(
                format!("there is no profile `{name}`"),
                format!("mwctl up --cluster {name} makes it"),
            )
        });
        return findings;
    };
    if seen.driver_present == Some(false) {
        findings.push(wrong(
            format!(
                "profile `{name}` needs {}, which is not installed",
                profile.driver
            ),
            format!("install {}", profile.driver),
        ));
    }
    if let Some(report) = seen.report {
        findings.push(by_report(name, report));
    }
    let expired = |error: &str| error.contains("x509") && error.contains("expired");
    if seen.client_error.is_some_and(expired) {
        findings.push(wrong(
            format!("the certificates of `{name}` have expired"),
            format!("`minikube start -p {name}` renews them"),
        ));
    }
    findings
}

fn by_report(name: &str, report: &Report) -> Finding {
    let Some(condition) = report.condition() else {
        return match report {
            Report::NoProfile(words) => wrong(words.clone(), format!("`minikube start -p {name}`")),
            _ => wrong(
                format!("minikube's status of `{name}` can't be understood"),
                format!("`minikube status -p {name}`"),
            ),
        };
    };
    let start = format!("`minikube start -p {name} --keep-context`");
    match condition {
        Condition::Ready => Finding {
            what: format!("`{name}` runs"),
            cure: None,
        },
        Condition::StaleKubeconfig => wrong(
            format!("the kubeconfig has an old address of `{name}`"),
            format!("`minikube update-context -p {name}`"),
        ),
        Condition::Changing => wrong(
            format!("`{name}` is being started or stopped"),
            format!("wait; `minikube status -p {name}` shows how far it is"),
        ),
        Condition::Stopped => wrong(format!("`{name}` is stopped"), start),
        Condition::Paused => wrong(
            format!("`{name}` is paused"),
            format!("`minikube unpause -p {name}`"),
        ),
        Condition::Gone => wrong(
            format!("the machine of `{name}` is gone"),
            format!("{start} makes it anew"),
        ),
        Condition::DiskFull => wrong(
            format!("the disk of `{name}` is full"),
            format!(
                "`minikube ssh -p {name} -- docker system prune`, or a new profile with `--disk-size`"
            ),
        ),
        Condition::Broken => wrong(
            format!("the machine of `{name}` runs, but Kubernetes in it doesn't"),
            format!("{start}; `minikube logs -p {name}` has the details"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{profile, status};
    use super::*;

    fn cures(report: &str, client_error: Option<&str>) -> Vec<String> {
        let profile = profile(r#"{"Name":"p","Driver":"docker"}"#).unwrap();
        let report = status(report);
        let seen = Seen {
            name: "p",
            version: Some("v1.38.1"),
            profile: Some(&profile),
            directory: true,
            report: Some(&report),
            driver_present: Some(true),
            client_error,
        };
        let findings = diagnose(&seen);
        findings.into_iter().filter_map(|f| f.cure).collect()
    }

    fn node(host: &str, api: &str, kubeconfig: &str) -> String {
        format!(
            r#"{{"Name":"p","Host":"{host}","Kubelet":"{api}","APIServer":"{api}","Kubeconfig":"{kubeconfig}","Worker":false}}"#
        )
    }

    #[test]
    fn a_cluster_that_runs_needs_no_cure() {
        assert!(cures(&node("Running", "Running", "Configured"), None).is_empty());
    }

    #[test]
    fn each_condition_has_the_command_that_ends_it() {
        for (text, command) in [
            (
                node("Running", "Running", "Misconfigured"),
                "update-context",
            ),
            (node("Stopped", "Stopped", "Stopped"), "minikube start"),
            (node("Running", "Paused", "Configured"), "unpause"),
            ("null".to_owned(), "minikube start"),
        ] {
            let cures = cures(&text, None);
            assert!(cures[0].contains(command), "{text}: {cures:?}");
        }
    }

    #[test]
    fn expired_certificates_are_seen_in_the_clients_words() {
        let error = "tls: x509: certificate has expired or is not yet valid";
        let cures = cures(&node("Running", "Running", "Configured"), Some(error));
        assert!(cures[0].contains("renews"), "{cures:?}");
    }

    #[test]
    fn without_the_program_nothing_else_is_said() {
        let seen = Seen {
            name: "p",
            version: None,
            profile: None,
            directory: true,
            report: None,
            driver_present: None,
            client_error: None,
        };
        assert_eq!(diagnose(&seen).len(), 1);
    }
}
