//! Streams between a client and a container over one HTTP connection: which protocol a client speaks, and the bytes of each.
//!
//! Clients speak WebSocket (kubectl since 1.30, kube-rs, the Python and JavaScript clients) or SPDY/3.1 (kubectl before), and kubectl since 1.31
//! forwards ports with SPDY inside of WebSocket. What they carry is the same: a remote command ([`remote`]) or connections ([`forward`]).
//! Which pod it is about, and who may ask, is decided before any of this begins.

mod forward;
mod negotiate;
mod remote;
mod spdy;
mod websocket;

pub(crate) use negotiate::{Agreement, Purpose, agree, upgrade};

use crate::backend::{Backend, Log, PodRef, Process, Streams};
use futures::future::BoxFuture;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a client may take to open the streams that it announced, and to close when all has been told.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most bytes that are carried in one piece.
const PIECE: usize = 32 << 10;

/// What is done with a connection after its last answer over HTTP. The task that serves the connection does it: it is nobody else's.
#[derive(Clone)]
pub(crate) struct Continuation(pub(crate) mpsc::UnboundedSender<BoxFuture<'static, ()>>);

/// What a connection is upgraded for.
pub(crate) enum Work {
    /// A process and the streams of it that the client wants.
    Remote(Process, Streams),
    /// What a container has written.
    Log(Log),
    /// Connections to these ports; empty where the client names them as it goes.
    Forward(Arc<dyn Backend>, PodRef, Vec<u16>),
}

/// Carries out the work on an upgraded connection, to its end or to the client's.
pub(crate) async fn carry(upgrade: OnUpgrade, agreement: Agreement, work: Work) {
    let connection = match upgrade.await {
        Ok(connection) => TokioIo::new(connection),
        Err(error) => {
            tracing::debug!(%error, "a connection was not upgraded");
            return;
        }
    };
    let told = remote::Told::of(&agreement);
    match (agreement, work) {
        (Agreement::Spdy(_), Work::Remote(process, streams)) => {
            spdy::serve(connection, |incoming| {
                remote::over_spdy(incoming, process, streams)
            })
            .await;
        }
        (Agreement::Spdy(_), Work::Forward(backend, pod, _)) => {
            spdy::serve(connection, |incoming| {
                forward::over_spdy(incoming, backend, pod)
            })
            .await;
        }
        (Agreement::Tunnel(_), Work::Forward(backend, pod, _)) => {
            let connection = websocket::tunnel(connection).await;
            spdy::serve(connection, |incoming| {
                forward::over_spdy(incoming, backend, pod)
            })
            .await;
        }
        (Agreement::WebSocket { .. }, Work::Remote(process, streams)) => {
            let channels = websocket::open(connection).await;
            remote::over_websocket(channels, process, streams, told).await;
        }
        (Agreement::WebSocket { .. }, Work::Log(log)) => {
            websocket::pour(websocket::open(connection).await, log).await;
        }
        (Agreement::WebSocket { .. }, Work::Forward(backend, pod, ports)) => {
            let channels = websocket::open(connection).await;
            forward::over_websocket(channels, backend, pod, ports).await;
        }
        // Only ports are forwarded through tunnels, and logs have a WebSocket: nothing else is agreed on.
        (Agreement::Tunnel(_), Work::Remote(..))
        | (Agreement::Tunnel(_) | Agreement::Spdy(_), Work::Log(_)) => {}
    }
}
