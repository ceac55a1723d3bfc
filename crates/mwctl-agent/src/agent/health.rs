//! The pod's readiness probe over HTTP: 200 `ready`, or 503 with the reason.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The state that the probe is answered from.
#[derive(Clone, Debug)]
pub(crate) struct Health(Arc<Mutex<Result<(), &'static str>>>);

impl Health {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Err("the agent is starting"))))
    }

    pub(crate) fn set(&self, readiness: Result<(), &'static str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = readiness;
    }

    /// Answers on `port` of every address from now on.
    pub(crate) fn serve(&self, port: u16) -> io::Result<()> {
        // Takes both families where there are both.
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
            .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))?;
        let health = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // The prober went away; it will come again.
                let _gone = health.answer(stream);
            }
        });
        Ok(())
    }

    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        const PATIENCE: Option<Duration> = Some(Duration::from_millis(500));
        stream.set_read_timeout(PATIENCE)?;
        stream.set_write_timeout(PATIENCE)?;
        let mut request = Vec::new();
        let mut buffer = [0; 1024];
        while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") && request.len() < 8192 {
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                count => request.extend_from_slice(&buffer[..count]),
            }
        }
        let state = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (status, text) = match state {
            Ok(()) => ("200 OK", "ready"),
            Err(reason) => ("503 Service Unavailable", reason),
        };
        let length = text.len() + 1;
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}");
        stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n{text}\n").as_bytes())
    }
}
