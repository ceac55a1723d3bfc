//! Asks the host's resolvers what the cluster doesn't know. The sockets are the host's, so its own resolver on loopback is reached too.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout};

use super::answer::Transport;
use super::resolvers::Resolvers;

const PORT: u16 = 53;
/// How long a resolver has for its answer. A C library asks again after five seconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long one that gave none isn't asked again, so that whoever is offline doesn't wait each time.
const SILENCE: Duration = Duration::from_secs(10);

/// The host's resolvers, and which of them are silent.
#[derive(Debug)]
pub(crate) struct Upstream {
    file: PathBuf,
    silent: Mutex<HashMap<IpAddr, Instant>>,
}

impl Upstream {
    /// Those that this file names; it is read anew for each question, for networks come and go.
    pub(crate) fn new(file: PathBuf) -> Self {
        Self {
            file,
            silent: Mutex::default(),
        }
    }

    /// The first answer that a resolver gives; `None` if there is none.
    ///
    /// Cancel safe: nothing is left but a socket that closes.
    pub(crate) async fn ask(&self, question: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        for server in Resolvers::parse(&text).servers {
            if self.is_silent(server) {
                continue;
            }
            let asked = timeout(PATIENCE, ask(server, question, transport)).await;
            match asked {
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(error)) => tracing::debug!(%server, %error, "a resolver can't be asked"),
                Err(_) => {
                    tracing::debug!(%server, "a resolver is silent");
                    let until = Instant::now() + SILENCE;
                    self.silent().insert(server, until);
                }
            }
        }
        None
    }

    fn is_silent(&self, server: IpAddr) -> bool {
        let mut silent = self.silent();
        let now = Instant::now();
        silent.retain(|_, until| *until > now);
        silent.contains_key(&server)
    }

    fn silent(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Instant>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(server: IpAddr, question: &[u8], transport: Transport) -> io::Result<Vec<u8>> {
    let server = SocketAddr::new(server, PORT);
    match transport {
        Transport::Udp => ask_udp(server, question).await,
        Transport::Tcp => {
            let mut stream = TcpStream::connect(server).await?;
            write_framed(&mut stream, question).await?;
            read_framed(&mut stream).await
        }
    }
}

/// Each question has a socket, and thereby a port, of its own, which makes forged answers hard (RFC 5452).
async fn ask_udp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let any = match server {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let answer = &buffer[..length];
        if answer.get(..2) == question.get(..2) {
            return Ok(answer.to_vec());
        }
    }
}

/// A message over TCP has its length before it (RFC 1035, 4.2.2).
pub(crate) async fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// Writes a message over TCP.
pub(crate) async fn write_framed(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream
        .write_all(&[&length.to_be_bytes(), message].concat())
        .await
}
