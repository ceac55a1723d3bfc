//! Forwarded ports: connections between a client and ports of a pod, several over one connection.

use super::PIECE;
use super::spdy::{self, Incoming};
use super::websocket::{self, Channels};
use crate::backend::{Backend, Connection, PodRef};
use bytes::Bytes;
use futures::stream::FuturesUnordered;
use futures::{SinkExt as _, StreamExt as _};
use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::io::ReaderStream;

/// The most connections of one client at once.
const MOST: usize = 1024;

/// Pieces that wait for one connection.
const WAITING: usize = 32;

/// Where the bytes of a connection go, and what is wrong with it.
trait Outlet {
    /// Sends bytes; false when the client is gone.
    fn data(&self, bytes: Bytes) -> impl Future<Output = bool> + Send;

    /// Says why there is no connection.
    fn fault(&self, message: String) -> impl Future<Output = ()> + Send;
}

/// Streams come in pairs, one for the bytes of a connection and one for its fault.
#[derive(Default)]
struct Pair {
    data: Option<spdy::Stream>,
    error: Option<spdy::Stream>,
}

/// Carries connections over streams of SPDY, until the client is gone.
pub(super) async fn over_spdy(mut incoming: Incoming, backend: Arc<dyn Backend>, pod: PodRef) {
    let mut halves: HashMap<String, Pair> = HashMap::new();
    let mut running = FuturesUnordered::new();
    loop {
        let stream = tokio::select! {
            stream = incoming.next(), if running.len() + halves.len() < MOST => stream,
            Some(()) = running.next() => continue,
        };
        let Some(stream) = stream else {
            return;
        };
        let request = stream.header("requestid").to_owned();
        let port = stream.header("port").to_owned();
        let pair = halves.entry(request.clone()).or_default();
        match stream.header("streamtype") {
            "data" => pair.data = Some(stream),
            "error" => pair.error = Some(stream),
            _ => {}
        }
        if pair.data.is_none() || pair.error.is_none() {
            continue;
        }
        let Some(Pair {
            data: Some(data),
            error: Some(error),
        }) = halves.remove(&request)
        else {
            continue;
        };
        let (backend, pod) = (&*backend, &pod);
        running.push(async move {
            let (body, data) = (data.body, data.writer);
            let outlet = Writers {
                data,
                error: error.writer,
            };
            forward(backend, pod, &port, body, &outlet).await;
            outlet.data.finish().await;
            outlet.error.finish().await;
        });
    }
}

struct Writers {
    data: spdy::Writer,
    error: spdy::Writer,
}

impl Outlet for Writers {
    async fn data(&self, bytes: Bytes) -> bool {
        self.data.send(&bytes).await
    }

    async fn fault(&self, message: String) {
        self.error.send(message.as_bytes()).await;
    }
}

/// Carries one connection to each port over the channels of a WebSocket, until all have ended or the client is gone.
pub(super) async fn over_websocket<T: websocket::Socket>(
    channels: Channels<T>,
    backend: Arc<dyn Backend>,
    pod: PodRef,
    ports: Vec<u16>,
) {
    let (mut sink, mut messages) = channels.split();
    let (message_tx, mut message_rx) = mpsc::channel::<Message>(WAITING);
    let mut bodies = Vec::new();
    let mut running = FuturesUnordered::new();
    for (index, port) in ports.into_iter().enumerate() {
        let (body_tx, body_rx) = mpsc::channel(WAITING);
        bodies.push(body_tx);
        let outlet = Numbered {
            first: 2 * index as u8,
            messages: message_tx.clone(),
        };
        let (backend, pod) = (&*backend, &pod);
        running.push(async move {
            let number = port.to_le_bytes();
            outlet.send(0, &number).await;
            outlet.send(1, &number).await;
            forward(backend, pod, &port.to_string(), body_rx, &outlet).await;
        });
    }
    drop(message_tx);
    let hear = async {
        while let Some(Ok(message)) = messages.next().await {
            let Some((channel, bytes)) = websocket::channel(&message) else {
                continue;
            };
            // What comes for a connection that has ended, or for no connection, is lost as it would be on a socket.
            if channel % 2 == 0
                && let Some(body) = bodies.get(usize::from(channel / 2))
                && body.send(bytes).await.is_err()
            {
                tracing::trace!(channel, "bytes for a connection that has ended");
            }
        }
    };
    let tell = async {
        while let Some(message) = message_rx.recv().await {
            if sink.send(message).await.is_err() {
                return;
            }
        }
    };
    let all = async {
        let ended = async { while running.next().await.is_some() {} };
        tokio::join!(ended, tell);
    };
    tokio::select! {
        () = hear => return,
        () = all => {}
    }
    websocket::close(sink, messages).await;
}

struct Numbered {
    first: u8,
    messages: mpsc::Sender<Message>,
}

impl Numbered {
    async fn send(&self, channel: u8, bytes: &[u8]) -> bool {
        let message = [&[self.first + channel], bytes].concat();
        self.messages
            .send(Message::Binary(message.into()))
            .await
            .is_ok()
    }
}

impl Outlet for Numbered {
    async fn data(&self, bytes: Bytes) -> bool {
        self.send(0, &bytes).await
    }

    async fn fault(&self, message: String) {
        self.send(1, message.as_bytes()).await;
    }
}

/// Connects to a port and carries bytes until the pod ends the connection, or the client is gone.
async fn forward(
    backend: &dyn Backend,
    pod: &PodRef,
    port: &str,
    body: mpsc::Receiver<Bytes>,
    outlet: &impl Outlet,
) {
    let connection = match port.parse() {
        Ok(number) if number != 0 => backend
            .connect(pod, number)
            .await
            .map_err(|refusal| refusal.message),
        _ => Err(format!("{port:?} is no port")),
    };
    match connection {
        Ok(connection) => copy(connection, body, outlet).await,
        Err(why) => {
            let told = format!(
                "error forwarding port {port} to pod {}, uid {}: {why}",
                pod.name, pod.uid
            );
            outlet.fault(told).await;
        }
    }
}

async fn copy(connection: Connection, mut body: mpsc::Receiver<Bytes>, outlet: &impl Outlet) {
    let (reader, mut writer) = tokio::io::split(connection);
    let there = async {
        while let Some(bytes) = body.recv().await {
            let written = async { writer.write_all(&bytes).await.and(writer.flush().await) };
            if written.await.is_err() {
                return pending().await;
            }
        }
        if let Err(error) = writer.shutdown().await {
            tracing::debug!(%error, "a pod did not hear the end of a connection");
        }
        // What the pod still says is carried.
        pending::<()>().await;
    };
    let back = async {
        let mut pieces = ReaderStream::with_capacity(reader, PIECE);
        while let Some(Ok(bytes)) = pieces.next().await {
            if !outlet.data(bytes).await {
                return;
            }
        }
    };
    tokio::select! {
        () = there => {}
        () = back => {}
    }
}
