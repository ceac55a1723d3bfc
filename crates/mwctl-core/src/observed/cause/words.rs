//! What a process's last words say about why it doesn't run: well-known errors that hide behind an
//! exit code or a failing check.

use super::Cause;
use crate::manifest::object_name;
use crate::model::{Service, Stack};

/// The marks of a name that can't be resolved, and what stands around it.
const NAMES: [(&str, &str); 8] = [
    ("getaddrinfo ENOTFOUND ", ""),
    ("getaddrinfo EAI_AGAIN ", ""),
    ("could not translate host name \"", "\""),
    ("Could not resolve host: ", ""),
    ("lookup ", ""),
    ("getaddrinfo for ", ""),
    ("Failed to resolve '", "'"),
    ("Unknown MySQL server host '", "'"),
];

/// The marks of a port that somebody listens on already.
const TAKEN: [&str; 3] = [
    "EADDRINUSE",
    "address already in use",
    "Address already in use",
];

/// The marks of a program for other machines.
const FOREIGN: [&str; 2] = ["exec format error", "Exec format error"];

/// The marks of a service that isn't listening.
const REFUSED: [&str; 3] = ["ECONNREFUSED", "connection refused", "Connection refused"];

/// A cause that the last lines make plainer; what was said before becomes its support.
pub(super) fn sharpened(
    stack: &Stack,
    service: &Service,
    cause: Cause,
    last_lines: &[String],
) -> Cause {
    let found = cause.detail.iter().chain(last_lines).rev();
    let Some((summary, hint)) = found
        .into_iter()
        .find_map(|line| said(stack, service, line))
    else {
        return cause;
    };
    let mut detail = vec![cause.summary];
    detail.extend(cause.detail);
    Cause {
        summary,
        detail,
        hint,
    }
}

fn said(stack: &Stack, service: &Service, line: &str) -> Option<(String, String)> {
    let name = &service.name;
    let has = |marks: &[&str]| marks.iter().any(|mark| line.contains(mark));
    if has(&FOREIGN) {
        return Some((
            format!("the program of `{name}` is for another architecture than the node's"),
            format!(
                "choose an image for the node's architecture as `container.image` of `{name}`; `kubectl get nodes --label-columns kubernetes.io/arch` shows it"
            ),
        ));
    }
    if has(&TAKEN) {
        let port = service
            .port()
            .map_or_else(String::new, |port| format!(" {}", port.number));
        return Some((
            format!(
                "`{name}` finds its port{port} used already, by another process or helper of its pod"
            ),
            format!("correct the port of `{name}` in `mwctl.yaml`, or in its own configuration"),
        ));
    }
    if let Some(host) = unresolved(line) {
        return Some(unknown_name(stack, service, host));
    }
    if has(&REFUSED) {
        let needed = stack
            .services
            .values()
            .find(|other| other.name != *name && line.contains(&object_name(stack, other)))?;
        let other = &needed.name;
        return Some((
            format!("`{name}` can't reach `{other}`: nothing listens there"),
            format!("mwctl status {other}"),
        ));
    }
    None
}

/// The name that a line says can't be resolved.
fn unresolved(line: &str) -> Option<&str> {
    NAMES.iter().find_map(|(mark, end)| {
        let rest = line.split_once(mark)?.1;
        // Go says `lookup NAME on …: no such host`: only that is about a name.
        if *mark == "lookup " && !rest.contains("no such host") {
            return None;
        }
        let host = if end.is_empty() {
            rest.split(|c: char| c.is_whitespace() || ":,;)'\"".contains(c))
                .next()
        } else {
            rest.split(end).next()
        };
        host.filter(|host| !host.is_empty())
    })
}

fn unknown_name(stack: &Stack, service: &Service, host: &str) -> (String, String) {
    let name = &service.name;
    let hosts: Vec<(String, &str)> = stack
        .services
        .values()
        .map(|other| (object_name(stack, other), other.name.as_str()))
        .collect();
    if let Some((_, other)) = hosts.iter().find(|(known, _)| known == host) {
        return (
            format!("`{name}` doesn't find `{other}` by its name yet"),
            format!("write `{other}` under `needs` of `{name}` in `mwctl.yaml`"),
        );
    }
    let near = |known: &str| strsim::jaro_winkler(known, host);
    let nearest = hosts
        .iter()
        .flat_map(|(known, other)| [(near(known), *other), (near(other), *other)])
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(one, _), (two, _)| one.total_cmp(two));
    let hint = match nearest {
        Some((_, other)) => {
            let variable = other.replace('-', "_");
            format!(
                "did you mean `{other}`? Write `{{{{ services.{variable}.host }}}}` in `mwctl.yaml`"
            )
        }
        None => format!(
            "the names in the cluster are: {}",
            hosts
                .iter()
                .map(|(known, _)| known.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    (
        format!("`{name}` looks for `{host}`, and no service has that name"),
        hint,
    )
}
