//! Pieces of Kubernetes and of health checks, as our keys.

use super::super::node::{At, Node, Tree};
use super::{Said, number, plain, scalar, text};

/// A probe as Kubernetes writes it. Its port is left to the service's own where it is that one.
pub(super) fn probe(said: &mut Said, pointer: &str, probe: &Node, own: Option<u16>) {
    let port = |said: &mut Said, at: &str, node: Option<&Node>| {
        let number = node.and_then(scalar).and_then(|text| super::port(&text));
        if let (Some(node), Some(port)) = (node, number)
            && Some(port) != own
        {
            said.set(&format!("{pointer}/{at}/port"), number_of(port, &node.at));
        }
    };
    if let Some(http) = probe.get("httpGet") {
        let path = http.get("path").and_then(scalar);
        let at = http.get("path").map_or(&http.at, |path| &path.at);
        said.set(
            &format!("{pointer}/http/path"),
            text(path.unwrap_or_else(|| "/".to_owned()), at),
        );
        port(said, "http", http.get("port"));
        if let Some(headers) = http.get("httpHeaders") {
            said.note("a probe's headers aren't sent", &headers.at);
        }
    } else if let Some(tcp) = probe.get("tcpSocket") {
        said.set(&format!("{pointer}/tcp"), Node::empty(tcp.at.clone()));
        port(said, "tcp", tcp.get("port"));
    } else if let Some(command) = probe.pointer("/exec/command") {
        said.set(&format!("{pointer}/exec/command"), plain(command));
    } else {
        if !probe.entries().is_empty() {
            said.note("a probe of this kind isn't known", &probe.at);
        }
        return;
    }
    for (theirs, ours) in [
        ("periodSeconds", "period"),
        ("timeoutSeconds", "timeout"),
        ("initialDelaySeconds", "initialDelay"),
    ] {
        if let Some(node) = probe.get(theirs)
            && let Some(seconds) = scalar(node)
        {
            said.set(
                &format!("{pointer}/{ours}"),
                text(format!("{seconds}s"), &node.at),
            );
        }
    }
    said.set_some(
        &format!("{pointer}/failureThreshold"),
        probe.get("failureThreshold"),
    );
}

/// A health check's command. One that only asks the service itself for a page is such a question: the
/// image needs no program for it.
pub(super) fn health(said: &mut Said, pointer: &str, command: &[String], at: &At) {
    match own_page(command) {
        Some((path, port)) => {
            said.set(&format!("{pointer}/http/path"), text(path, at));
            if let Some(port) = port {
                said.set(&format!("{pointer}/http/port"), number(port, at));
            }
        }
        None => said.set(
            &format!("{pointer}/exec/command"),
            super::list(command.iter().cloned(), at),
        ),
    }
}

/// The path and port of a command such as `curl -f http://localhost:8080/health || exit 1`.
fn own_page(command: &[String]) -> Option<(String, Option<u16>)> {
    let line = command.join(" ");
    if !line.contains("curl") && !line.contains("wget") {
        return None;
    }
    let address = line
        .split([' ', '"', '\''])
        .find_map(|word| word.strip_prefix("http://"))?;
    let (host, path) = match address.find('/') {
        Some(at) => address.split_at(at),
        None => (address, "/"),
    };
    let (host, port) = match host.split_once(':') {
        Some((host, port)) => (host, Some(super::port(port)?)),
        None => (host, Some(80)),
    };
    let own = ["localhost", "127.0.0.1", "0.0.0.0"].contains(&host);
    (own && !path.contains('$')).then(|| (path.to_owned(), port))
}

fn number_of(port: u16, at: &At) -> Node {
    number(port, at)
}

/// Requests or limits: only what is a single value.
pub(super) fn quantities(said: &mut Said, pointer: &str, node: &Node) {
    for entry in node.entries() {
        if matches!(entry.value.tree, Tree::Text(_) | Tree::Number(_)) {
            let key = super::super::node::escape(&entry.key);
            said.set(&format!("{pointer}/{key}"), plain(&entry.value));
        }
    }
}

/// A time as Docker writes it (`1m30s`, `500ms`, `10s`) in whole seconds, at least `least`.
pub(super) fn seconds(text: &str, least: u64) -> Option<String> {
    let mut rest = text.trim();
    let mut milliseconds = 0_u64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (count, after) = rest.split_at(end);
        let unit = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let factor = match unit {
            "us" | "ns" => 0.0,
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            _ => return None,
        };
        let count: f64 = count.parse().ok().filter(|count| *count < 1e6)?;
        milliseconds += (count * factor) as u64;
        rest = after;
    }
    Some(format!("{}s", milliseconds.div_ceil(1000).max(least)))
}

#[cfg(test)]
mod tests {
    use super::{own_page, seconds};

    #[test]
    fn a_question_to_the_service_itself_is_seen() {
        let words = |line: &str| line.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
        let curl = words("curl -f http://localhost:8080/health");
        assert_eq!(own_page(&curl), Some(("/health".to_owned(), Some(8080))));
        let shell = words("/bin/sh -c wget -q http://127.0.0.1 || exit 1");
        assert_eq!(own_page(&shell), Some(("/".to_owned(), Some(80))));
        assert_eq!(own_page(&words("curl -f http://other:80/")), None);
        assert_eq!(own_page(&words("pg_isready")), None);
    }

    #[test]
    fn times_become_whole_seconds() {
        assert_eq!(seconds("1m30s", 1).as_deref(), Some("90s"));
        assert_eq!(seconds("500ms", 1).as_deref(), Some("1s"));
        assert_eq!(seconds("0s", 0).as_deref(), Some("0s"));
        assert_eq!(seconds("1.5s", 1).as_deref(), Some("2s"));
        for wrong in ["5", "x", "1d", "1e9s"] {
            assert_eq!(seconds(wrong, 1), None, "{wrong}");
        }
    }
}
