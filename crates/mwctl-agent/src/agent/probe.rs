//! Finding out whether the process accepts connections: often while it starts, seldom afterwards.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How to see that the process is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// It is as soon as it runs.
    None,
    /// It accepts connections on this port.
    Tcp(u16),
    /// It answers a GET of this path with success or a redirection.
    Http(u16, String),
}

/// Longest wait for a connection or an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between looks at a process that is ready.
const CALM: Duration = Duration::from_secs(2);

/// What the prober found out about the start with this number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) start: u64,
    pub(crate) result: Result<(), String>,
}

impl Probe {
    /// Probes until another start has begun, and tells each change.
    pub(crate) fn spawn(
        &self,
        start: u64,
        current: Arc<AtomicU64>,
        tell: impl Fn(Verdict) + Send + 'static,
    ) {
        let probe = self.clone();
        std::thread::spawn(move || {
            let began = Instant::now();
            let mut ready = false;
            while current.load(Ordering::Relaxed) == start {
                let result = probe.look(ready);
                if result.is_ok() != ready {
                    ready = result.is_ok();
                    tell(Verdict { start, result });
                }
                if ready && probe == Self::None {
                    return;
                }
                std::thread::sleep(if ready {
                    CALM
                } else {
                    pause(began.elapsed(), &probe)
                });
            }
        });
    }

    fn look(&self, was_ready: bool) -> Result<(), String> {
        match self {
            Self::None => Ok(()),
            Self::Tcp(port) => connect(*port).map(drop),
            // Once it is ready its log is not filled with our requests.
            Self::Http(port, _) if was_ready => connect(*port).map(drop),
            Self::Http(port, path) => get(*port, path),
        }
    }
}

/// At most a twentieth of what has passed, so that looking late costs no more than that.
fn pause(passed: Duration, probe: &Probe) -> Duration {
    let shortest = if matches!(probe, Probe::Http(..)) {
        5
    } else {
        2
    };
    (passed / 20).clamp(Duration::from_millis(shortest), Duration::from_millis(100))
}

fn connect(port: u16) -> Result<TcpStream, String> {
    let at = |address| TcpStream::connect_timeout(&SocketAddr::new(address, port), PATIENCE);
    at(IpAddr::V4(Ipv4Addr::LOCALHOST))
        .or_else(|error| at(IpAddr::V6(Ipv6Addr::LOCALHOST)).map_err(|_| error))
        .map_err(|error| format!("port {port} doesn't accept connections: {error}"))
}

fn get(port: u16, path: &str) -> Result<(), String> {
    let mut stream = connect(port)?;
    let answer = || -> io::Result<Vec<u8>> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let agent = concat!("mwctl-agent/", env!("CARGO_PKG_VERSION"));
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut line = Vec::new();
        let mut buffer = [0; 256];
        while line.len() < 256 && !line.contains(&b'\n') {
            match stream.read(&mut buffer)? {
                0 => break,
                count => line.extend_from_slice(&buffer[..count]),
            }
        }
        Ok(line)
    }()
    .map_err(|error| format!("port {port} doesn't answer: {error}"))?;
    match status(&answer) {
        Some(200..=399) => Ok(()),
        Some(code) => Err(format!("`GET {path}` on port {port} answers {code}")),
        None => Err(format!("port {port} doesn't speak HTTP")),
    }
}

/// The code of a status line.
fn status(answer: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(answer.get(..12)?).ok()?;
    text.strip_prefix("HTTP/1.")?.get(2..)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_from_the_first_line() {
        assert_eq!(status(b"HTTP/1.1 204 No Content\r\n"), Some(204));
        assert_eq!(status(b"HTTP/1.0 503\r\n"), Some(503));
        assert_eq!(status(b"SSH-2.0-OpenSSH_9.6\r\n"), None);
        assert_eq!(status(b"HTTP"), None);
    }

    #[test]
    fn it_looks_often_at_first_and_never_less_than_ten_times_a_second() {
        let tcp = Probe::Tcp(1);
        assert_eq!(pause(Duration::ZERO, &tcp), Duration::from_millis(2));
        assert_eq!(
            pause(Duration::from_millis(80), &tcp),
            Duration::from_millis(4)
        );
        assert_eq!(
            pause(Duration::from_mins(1), &tcp),
            Duration::from_millis(100)
        );
    }
}
