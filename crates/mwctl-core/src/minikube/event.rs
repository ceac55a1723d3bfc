//! The lines that `minikube … -o json` prints: `CloudEvents`, one a line, all values strings.

use serde::{Deserialize, Serialize};

/// One line of minikube's output.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// A step began. Numbers skip and change with versions; only the name means something.
    Step {
        /// As in `Creating Container`.
        name: String,
        /// As in `Creating docker container (CPUs=2, Memory=4000MB) ...`.
        message: String,
    },
    /// A download began; its progress is shown to terminals only.
    Download {
        /// What is fetched.
        artifact: String,
    },
    /// Something said in passing.
    Info {
        /// The text.
        message: String,
    },
    /// Something that may matter later.
    Warning {
        /// The text.
        message: String,
    },
    /// Something failed; fatal where an ID is given.
    Error(Failed),
    /// A line that is no event: kept as it is.
    Other {
        /// The line.
        text: String,
    },
}

/// An error event.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Failed {
    /// What minikube says.
    pub message: String,
    /// The exit code that will follow, if the error is fatal.
    pub exit_code: Option<i32>,
    /// The stable ID of the reason, as in `PROVIDER_DOCKER_NOT_RUNNING`.
    pub id: Option<String>,
    /// minikube's own advice.
    pub advice: Option<String>,
    /// Where to read on.
    pub url: Option<String>,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "specversion")]
    _version: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    message: String,
    name: String,
    artifact: String,
    exitcode: String,
    advice: String,
    url: String,
}

const PREFIX: &str = "io.k8s.sigs.minikube.";

/// Reads one line; `None` for an empty one.
pub fn event(line: &str) -> Option<Event> {
    let line = line.trim();
    if line.is_empty() {
        return None;
    }
    let Ok(wire) = serde_json::from_str::<Wire>(line) else {
        return Some(text_event(line));
    };
    let data = wire.data;
    Some(match wire.kind.strip_prefix(PREFIX) {
        Some("step") => Event::Step {
            name: data.name,
            message: data.message,
        },
        Some("download") => Event::Download {
            artifact: data.artifact,
        },
        Some("info") => Event::Info {
            message: data.message,
        },
        Some("warning") => Event::Warning {
            message: data.message,
        },
        Some("error") => Event::Error(Failed {
            message: data.message,
            exit_code: data.exitcode.parse().ok(),
            id: some(data.name),
            advice: some(data.advice),
            url: some(data.url),
        }),
        _ => Event::Other {
            text: line.to_owned(),
        },
    })
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A fatal error in plain text: `Exiting due to GUEST_START: …`, with or without decoration.
fn text_event(line: &str) -> Event {
    const MARK: &str = "Exiting due to ";
    let other = || Event::Other {
        text: line.to_owned(),
    };
    let Some(start) = line.find(MARK) else {
        return other();
    };
    let rest = &line[start + MARK.len()..];
    let Some((id, message)) = rest.split_once(':') else {
        return other();
    };
    let legal = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if id.is_empty() || !id.chars().all(legal) {
        return other();
    }
    Event::Error(Failed {
        message: message.trim().to_owned(),
        id: Some(id.to_owned()),
        ..Failed::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_known_by_its_name() {
        let line = r#"{"specversion":"1.0","id":"6a","source":"https://minikube.sigs.k8s.io/","type":"io.k8s.sigs.minikube.step","datacontenttype":"application/json","data":{"currentstep":"","message":"* Using the docker driver","name":"Selecting Driver","totalsteps":"19"}}"#;
        let Some(Event::Step { name, .. }) = event(line) else {
            panic!("no step");
        };
        assert_eq!(name, "Selecting Driver");
    }

    #[test]
    fn a_fatal_error_has_its_code_and_its_reason() {
        let line = r#"{"specversion":"1.0","type":"io.k8s.sigs.minikube.error","data":{"advice":"Start the Docker service","exitcode":"63","issues":"","message":"not running","name":"PROVIDER_DOCKER_NOT_RUNNING","url":""}}"#;
        let Some(Event::Error(failed)) = event(line) else {
            panic!("no error");
        };
        assert_eq!(failed.exit_code, Some(63));
        assert_eq!(failed.id.as_deref(), Some("PROVIDER_DOCKER_NOT_RUNNING"));
        assert_eq!(failed.url, None);
    }

    #[test]
    fn a_fatal_error_in_plain_text_is_one_too() {
        let Some(Event::Error(failed)) = event("X Exiting due to GUEST_START: no such container")
        else {
            panic!("no error");
        };
        assert_eq!(failed.id.as_deref(), Some("GUEST_START"));
        assert_eq!(failed.message, "no such container");
    }

    #[test]
    fn an_unknown_type_and_a_line_that_is_no_event_are_kept() {
        for line in [
            r#"{"specversion":"1.0","type":"io.k8s.sigs.minikube.dance","data":{}}"#,
            "panic: runtime error",
            "null",
            "Exiting due to",
            "Exiting due to x: y",
        ] {
            let text = line.to_owned();
            assert_eq!(event(line), Some(Event::Other { text }), "{line}");
        }
        assert_eq!(event("  "), None);
    }
}
