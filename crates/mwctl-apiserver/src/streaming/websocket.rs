//! WebSocket as Kubernetes uses it: each message begins with the number of its channel. And, for port-forward, a connection made of messages.

use super::remote::{Said, terminal_size};
use crate::backend::Log;
use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _, future};
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

/// What a WebSocket goes over.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Socket for T {}

/// A WebSocket whose messages are those of channels.
pub(super) type Channels<T> = WebSocketStream<T>;

/// The half that sends.
pub(super) type Sender<T> = SplitSink<WebSocketStream<T>, Message>;

/// The most bytes of a message: some clients send all of standard input at once.
const MESSAGE: usize = 16 << 20;

/// How long a client may take to close after it has been told to.
const FAREWELL: Duration = Duration::from_secs(5);

/// The channels of a connection whose handshake is over.
pub(super) async fn open<T: Socket>(connection: T) -> Channels<T> {
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE))
        .max_frame_size(Some(MESSAGE));
    WebSocketStream::from_raw_socket(connection, Role::Server, Some(limits)).await
}

/// The bytes of all binary messages as one connection.
pub(super) async fn tunnel<T: Socket>(
    connection: T,
) -> impl AsyncRead + AsyncWrite + Unpin + Send + 'static {
    let (sink, messages) = open(connection).await.split();
    let bytes = messages.filter_map(async |message| match message {
        Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
        Ok(_) => None,
        Err(error) => Some(Err(io::Error::other(error))),
    });
    let sink = sink
        .sink_map_err(io::Error::other)
        .with(|bytes: Bytes| future::ready(Ok::<_, io::Error>(Message::Binary(bytes))));
    let writer = SinkWriter::new(CopyToBytes::new(Box::pin(sink)));
    tokio::io::join(StreamReader::new(Box::pin(bytes)), writer)
}

/// Sends bytes on a channel; false when the client is gone.
pub(super) async fn send<T: Socket>(sink: &mut Sender<T>, channel: u8, bytes: &[u8]) -> bool {
    let mut message = Vec::with_capacity(1 + bytes.len());
    message.push(channel);
    message.extend_from_slice(bytes);
    sink.send(Message::Binary(message.into())).await.is_ok()
}

/// Sends a log to its end, one message for each piece.
pub(super) async fn pour<T: Socket>(channels: Channels<T>, log: Log) {
    let (mut sink, messages) = channels.split();
    let mut pieces = pin!(log);
    while let Some(Ok(bytes)) = pieces.next().await {
        if sink.send(Message::Binary(bytes)).await.is_err() {
            return;
        }
    }
    close(sink, messages).await;
}

/// Says that this was all, and waits for the client to hear it.
pub(super) async fn close<T: Socket>(
    mut sink: Sender<T>,
    mut messages: SplitStream<WebSocketStream<T>>,
) {
    // Without a code clients take the end for a fault.
    let frame = CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    };
    let closed = async {
        if sink.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = messages.next().await {}
        }
    };
    if timeout(FAREWELL, closed).await.is_err() {
        tracing::debug!("a client did not close its connection");
    }
}

/// The channel of a message, and what it carries; none if it has none.
pub(super) fn channel(message: &Message) -> Option<(u8, Bytes)> {
    let bytes = match message {
        Message::Binary(bytes) => bytes.clone(),
        Message::Text(text) => text.clone().into(),
        _ => return None,
    };
    let channel = *bytes.first()?;
    Some((channel, bytes.slice(1..)))
}

/// What a message says about a remote command; none if it says nothing.
pub(super) fn said<E>(message: &Result<Message, E>) -> Option<Said> {
    match channel(message.as_ref().ok()?)? {
        (0, bytes) if !bytes.is_empty() => Some(Said::Stdin(bytes)),
        (4, bytes) => terminal_size(&bytes).map(Said::Resize),
        // Version 5 alone can end standard input; before, this channel had no meaning.
        (255, bytes) if *bytes == [0] => Some(Said::StdinEnd),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::TerminalSize;

    #[tokio::test]
    async fn a_log_is_sent_piece_by_piece_and_then_closed() {
        let (ours, theirs) = tokio::io::duplex(1 << 10);
        let pieces = [&b"one\n"[..], b"two\n"].map(|piece| Ok(Bytes::from_static(piece)));
        let log: Log = Box::pin(futures::stream::iter(pieces));
        let client = async {
            let messages = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
            messages.map(Result::unwrap).collect::<Vec<_>>().await
        };
        let server = async { pour(open(ours).await, log).await };
        let ((), messages) = tokio::join!(server, client);
        let [one, two, Message::Close(Some(end))] = &messages[..] else {
            panic!("{messages:?}");
        };
        assert_eq!(one, &Message::Binary(Bytes::from_static(b"one\n")));
        assert_eq!(two, &Message::Binary(Bytes::from_static(b"two\n")));
        assert_eq!(end.code, CloseCode::Normal);
    }

    #[test]
    fn a_message_is_of_its_first_byte() {
        let said =
            |bytes: &'static [u8]| said::<()>(&Ok(Message::Binary(Bytes::from_static(bytes))));
        assert_eq!(
            said(b"\0hello"),
            Some(Said::Stdin(Bytes::from_static(b"hello")))
        );
        assert_eq!(said(b"\xff\0"), Some(Said::StdinEnd));
        let size = TerminalSize {
            width: 1,
            height: 2,
        };
        assert_eq!(
            said(b"\x04{\"Width\":1,\"Height\":2}"),
            Some(Said::Resize(size))
        );
        for nothing in [&b""[..], b"\0", b"\x01x", b"\xff\x01", b"\x04x"] {
            assert_eq!(said(nothing), None);
        }
    }
}
