//! The way out: pods' connections to what isn't in the cluster end here and go on from the host's side.
//!
//! The packet filter hands them over, [`destination`] decides where they may go, and they end when a policy closes. TCP only. What can't
//! be reached is answered with a reset: the pod's side is open before the other is tried.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::destination::{Destination, Refusal};
use super::config::Config;
use super::host;
use super::view::View;

pub(crate) mod destination;

/// How long a destination has to accept. A C library's own patience is two minutes, but the pod believes itself connected already.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes on their way in each direction.
const BUFFER: usize = 64 << 10;

/// What decides on connections.
#[derive(Clone, Debug)]
pub(crate) struct Relay {
    pub(crate) config: Arc<Config>,
    pub(crate) views: watch::Receiver<Arc<View>>,
    /// Whose turn it is among endpoints outside.
    pub(crate) turn: Arc<AtomicUsize>,
}

/// Relays until the listener fails.
pub(crate) async fn serve(relay: Relay, listener: TcpListener) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, from) = match accepted {
                    Ok(accepted) => accepted,
                    // The connection was gone before it was looked at, or there are too many; the listener is as good as before.
                    Err(error) if is_passing(&error) => {
                        tracing::warn!(%error, "the relay can't take a connection");
                        tokio::task::yield_now().await;
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                let relay = relay.clone();
                connections.spawn(async move { relay.carry(stream, from).await });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Whether accepting may go well the next time (accept(2)).
pub(crate) fn is_passing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let passing = [
        Errno::CONNABORTED,
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
    ];
    Errno::from_io_error(error).is_some_and(|errno| passing.contains(&errno))
}

impl Relay {
    async fn carry(mut self, mut stream: TcpStream, from: SocketAddr) {
        let SocketAddr::V4(from) = from else { return };
        let from = *from.ip();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let outcome = match rustix::net::sockopt::ip_original_dst(&stream) {
            Ok(meant) => match self.decide(from, meant, turn) {
                Ok(to) => self.connect_and_copy(&mut stream, from, to).await,
                Err(refusal) => Err(io::Error::other(refusal.to_string())),
            },
            Err(error) => Err(error.into()),
        };
        if let Err(error) = outcome {
            tracing::debug!(%from, %error, "the relay ends a connection");
            // A reset rather than an orderly end, which would read as an empty answer.
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).ok();
        }
    }

    fn decide(
        &self,
        from: Ipv4Addr,
        meant: SocketAddrV4,
        turn: usize,
    ) -> Result<Destination, Refusal> {
        destination::decide(&self.config, &self.views.borrow(), from, meant, turn)
    }

    async fn connect_and_copy(
        &mut self,
        stream: &mut TcpStream,
        from: Ipv4Addr,
        to: Destination,
    ) -> io::Result<()> {
        if to.must_be_elsewhere && host::is_own(*to.dial.ip())? {
            return Err(io::Error::other(Refusal::ThisMachine.to_string()));
        }
        let mut there = timeout(PATIENCE, TcpStream::connect(SocketAddr::V4(to.dial))).await??;
        stream.set_nodelay(true)?;
        there.set_nodelay(true)?;
        let closed = async {
            loop {
                if self.views.changed().await.is_err() {
                    return std::future::pending().await;
                }
                let view = self.views.borrow_and_update();
                if !destination::is_still_allowed(&self.config, &view, from, &to) {
                    return;
                }
            }
        };
        tokio::select! {
            copied = copy_bidirectional_with_sizes(stream, &mut there, BUFFER, BUFFER) => copied.map(|_| ()),
            () = closed => {
                rustix::net::sockopt::set_socket_linger(&there, Some(Duration::ZERO)).ok();
                Err(io::Error::other(Refusal::Policy.to_string()))
            }
        }
    }
}
