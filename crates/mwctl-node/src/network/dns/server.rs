//! Listens for questions on the node's side and answers them. Two sockets made inside the node's namespace, served from outside.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::view::View;
use super::answer::{self, Reply, Transport};
use super::upstream::{Upstream, read_framed, write_framed};

/// Questions that wait for others at the same time; more fail at once rather than pile up.
const WAITING: usize = 512;
/// TCP connections at the same time.
const CONNECTIONS: usize = 256;
/// How long a TCP connection may be idle (RFC 7766 leaves it to the server).
const IDLE: Duration = Duration::from_secs(10);

/// What questions are answered from.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) views: watch::Receiver<Arc<View>>,
    pub(crate) upstream: Arc<Upstream>,
}

impl Names {
    /// The answer, asked of others where need be; `None` where there is to be none.
    async fn resolve(&self, question: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let view = Arc::clone(&self.views.borrow());
        let reply = match answer::answer(&view.zone, question, transport) {
            Reply::Forward => match self.upstream.ask(question, transport).await {
                Some(answer) => Reply::Answer(answer),
                None => answer::failure(question),
            },
            Reply::Follow { question: other } => {
                let found = self.upstream.ask(&other, transport).await;
                answer::complete(&view.zone, question, transport, found.as_deref())
            }
            reply => reply,
        };
        match reply {
            Reply::Answer(answer) => Some(answer),
            _ => None,
        }
    }

    /// The answer if it needs nobody else.
    fn at_once(&self, question: &[u8]) -> Option<Reply> {
        let reply = answer::answer(&self.views.borrow().zone, question, Transport::Udp);
        (!matches!(reply, Reply::Forward | Reply::Follow { .. })).then_some(reply)
    }
}

/// Answers datagrams until the socket fails.
pub(crate) async fn serve_udp(names: Names, socket: UdpSocket) -> io::Result<()> {
    let socket = Arc::new(socket);
    let mut waiting = JoinSet::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let (length, from) = tokio::select! {
            received = socket.recv_from(&mut buffer) => received?,
            Some(_) = waiting.join_next() => continue,
        };
        let question = &buffer[..length];
        match names.at_once(question) {
            Some(Reply::Answer(answer)) => send(&socket, &answer, from).await,
            Some(_) => {}
            None if waiting.len() >= WAITING => {
                if let Reply::Answer(answer) = answer::failure(question) {
                    send(&socket, &answer, from).await;
                }
            }
            None => {
                let (names, socket) = (names.clone(), Arc::clone(&socket));
                let question = question.to_vec();
                waiting.spawn(async move {
                    if let Some(answer) = names.resolve(&question, Transport::Udp).await {
                        send(&socket, &answer, from).await;
                    }
                });
            }
        }
    }
}

/// Answers over TCP until the listener fails.
pub(crate) async fn serve_tcp(names: Names, listener: TcpListener) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => {
                let (stream, _) = accepted?;
                let names = names.clone();
                connections.spawn(async move { converse(&names, stream).await.ok() });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(names: &Names, mut stream: TcpStream) -> io::Result<()> {
    loop {
        let question = timeout(IDLE, read_framed(&mut stream)).await??;
        if let Some(answer) = names.resolve(&question, Transport::Tcp).await {
            timeout(IDLE, write_framed(&mut stream, &answer)).await??;
        }
    }
}

/// A pod that is gone needs no answer any more.
async fn send(socket: &UdpSocket, answer: &[u8], to: SocketAddr) {
    if let Err(error) = socket.send_to(answer, to).await {
        tracing::debug!(%to, %error, "an answer didn't get out");
    }
}
