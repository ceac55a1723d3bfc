//! A remote command: the streams of a process, carried to its client and back until both have nothing more to say.

use super::Agreement;
use super::spdy::{self, Incoming};
use super::websocket::{self, Channels};
use super::{PATIENCE, PIECE};
use crate::backend::{Exit, Process, Streams, TerminalSize};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use serde::Deserialize;
use std::collections::HashMap;
use std::future::pending;
use std::pin::pin;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;
use tokio_util::io::ReaderStream;

/// What comes from a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Bytes for standard input.
    Stdin(Bytes),
    /// Standard input ends.
    StdinEnd,
    /// The client's terminal has another size.
    Resize(TerminalSize),
}

/// Where something goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Channel {
    Stdout,
    Stderr,
    /// How the process ended.
    Error,
}

/// How the end of a process is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// As a `Status`.
    Status,
    /// In words, and only a failure.
    Words,
}

impl Told {
    pub(super) fn of(agreement: &Agreement) -> Self {
        if agreement.tells_in_words() {
            Self::Words
        } else {
            Self::Status
        }
    }

    /// What is said of an end; nothing at all where there is nothing to say.
    fn tell(self, exit: Option<&Exit>) -> Option<String> {
        let status = exit.map(Exit::to_status);
        match self {
            Self::Status => Some(status.map(|it| it.to_string()).unwrap_or_default()),
            Self::Words => Some(status?["message"].as_str()?.to_owned()),
        }
    }
}

/// The client's ends of the channels.
trait Outlet {
    /// Sends bytes; false when the client is gone.
    fn tell(&mut self, channel: Channel, bytes: Bytes) -> impl Future<Output = bool> + Send;
}

/// The most bytes of a message about the size of a terminal.
const RESIZE: usize = 1 << 10;

/// Reads the size of a terminal, as clients write it.
pub(super) fn terminal_size(json: &[u8]) -> Option<TerminalSize> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Size {
        width: u16,
        height: u16,
    }
    let size: Size = serde_json::from_slice(json).ok()?;
    Some(TerminalSize {
        width: size.width,
        height: size.height,
    })
}

/// Carries a process over the channels of a WebSocket.
pub(super) async fn over_websocket<T: websocket::Socket>(
    channels: Channels<T>,
    process: Process,
    wanted: Streams,
    told: Told,
) {
    let (mut sink, mut messages) = channels.split();
    let first = match wanted {
        Streams { stdout: true, .. } => Channel::Stdout,
        Streams { stderr: true, .. } => Channel::Stderr,
        _ => Channel::Error,
    };
    // An empty message tells the client that it is heard, before there is anything to tell.
    if !sink.tell(first, Bytes::new()).await {
        return;
    }
    let said = messages
        .by_ref()
        .filter_map(async |message| websocket::said(&message));
    if converse(process, pin!(said), &mut sink, told).await {
        websocket::close(sink, messages).await;
    }
}

impl<T: websocket::Socket> Outlet for websocket::Sender<T> {
    async fn tell(&mut self, channel: Channel, bytes: Bytes) -> bool {
        let number = match channel {
            Channel::Stdout => 1,
            Channel::Stderr => 2,
            Channel::Error => 3,
        };
        websocket::send(self, number, &bytes).await
    }
}

/// Carries a process over streams of SPDY, which the client opens: one for its end, and one for each stream that it wants.
pub(super) async fn over_spdy(mut incoming: Incoming, process: Process, wanted: Streams) {
    let names = [
        ("error", true),
        ("stdin", wanted.stdin),
        ("stdout", wanted.stdout),
        ("stderr", wanted.stderr),
        ("resize", wanted.tty),
    ];
    let names = names
        .iter()
        .filter(|(_, wanted)| *wanted)
        .map(|(name, _)| *name);
    let Ok(Some(mut opened)) = timeout(PATIENCE, opened(&mut incoming, names.collect())).await
    else {
        return;
    };
    let mut body = |name: &str| {
        let stream = opened.get_mut(name)?;
        let (_, closed) = tokio::sync::mpsc::channel(1);
        Some(std::mem::replace(&mut stream.body, closed))
    };
    let (stdin, resize) = (body("stdin"), body("resize"));
    let stdin = stream::iter(stdin).flat_map(|body| {
        let pieces = stream::unfold(body, async |mut body| Some((body.recv().await?, body)));
        pieces
            .map(Said::Stdin)
            .chain(stream::iter([Said::StdinEnd]))
    });
    let resize = stream::iter(resize).flat_map(|body| {
        stream::unfold((body, Vec::new()), async |(mut body, mut rest)| {
            let line = line(&mut body, &mut rest).await?;
            Some((line, (body, rest)))
        })
    });
    let resize = resize.filter_map(async |line| terminal_size(&line).map(Said::Resize));
    // That these end says nothing of the client, which the connection is asked about.
    let said = stream::select(stdin, resize).chain(stream::once(pending()));
    let mut outlet = Opened(opened);
    converse(process, pin!(said), &mut outlet, Told::Status).await;
    for stream in outlet.0.values() {
        stream.writer.finish().await;
    }
}

/// The streams of these names, when the client has opened them all.
async fn opened(
    incoming: &mut Incoming,
    names: Vec<&str>,
) -> Option<HashMap<String, spdy::Stream>> {
    let mut opened = HashMap::new();
    while names.iter().any(|name| !opened.contains_key(*name)) {
        let stream = incoming.next().await?;
        opened.insert(stream.header("streamtype").to_owned(), stream);
    }
    Some(opened)
}

/// The next line of a stream of messages; a client whose line has no end is not heard any more.
async fn line(
    body: &mut tokio::sync::mpsc::Receiver<Bytes>,
    rest: &mut Vec<u8>,
) -> Option<Vec<u8>> {
    loop {
        if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            return Some(rest.drain(..=end).collect());
        }
        if rest.len() > RESIZE {
            return None;
        }
        rest.extend_from_slice(&body.recv().await?);
    }
}

struct Opened(HashMap<String, spdy::Stream>);

impl Outlet for Opened {
    async fn tell(&mut self, channel: Channel, bytes: Bytes) -> bool {
        let name = match channel {
            Channel::Stdout => "stdout",
            Channel::Stderr => "stderr",
            Channel::Error => "error",
        };
        match self.0.get(name) {
            Some(stream) => stream.writer.send(&bytes).await,
            None => true,
        }
    }
}

/// Carries everything until the process has ended and the client knows it. False when the client was gone before.
async fn converse(
    mut process: Process,
    said: impl Stream<Item = Said> + Unpin,
    outlet: &mut impl Outlet,
    told: Told,
) -> bool {
    let stdin = process.stdin.take();
    let resize = process.resize.take();
    tokio::select! {
        () = hear(said, stdin, resize) => false,
        heard = tell(process, outlet, told) => heard,
    }
}

/// Hands over what the client says, until there is no client.
async fn hear(
    mut said: impl Stream<Item = Said> + Unpin,
    mut stdin: Option<crate::backend::Input>,
    resize: Option<Box<dyn Fn(TerminalSize) + Send>>,
) {
    while let Some(said) = said.next().await {
        match said {
            Said::Stdin(bytes) => {
                if let Some(open) = &mut stdin {
                    let written = async { open.write_all(&bytes).await.and(open.flush().await) };
                    // A process that doesn't read any more is no reason to end: what it writes is still wanted.
                    if written.await.is_err() {
                        stdin = None;
                    }
                }
            }
            Said::StdinEnd => {
                if let Some(mut open) = stdin.take()
                    && let Err(error) = open.shutdown().await
                {
                    tracing::debug!(%error, "a process did not hear the end of its input");
                }
            }
            Said::Resize(size) => {
                if let Some(resize) = &resize {
                    resize(size);
                }
            }
        }
    }
}

/// Tells what the process writes, and then how it ended.
async fn tell(process: Process, outlet: &mut impl Outlet, told: Told) -> bool {
    let pieces = |output| ReaderStream::with_capacity(output, PIECE);
    let (mut stdout, mut stderr) = (process.stdout.map(pieces), process.stderr.map(pieces));
    let (mut exit, mut ended) = (process.exit, None::<Exit>);
    loop {
        let (channel, piece) = tokio::select! {
            piece = next(&mut stdout), if stdout.is_some() => (Channel::Stdout, piece),
            piece = next(&mut stderr), if stderr.is_some() => (Channel::Stderr, piece),
            how = &mut exit, if ended.is_none() => {
                ended = Some(how);
                continue;
            }
            else => break,
        };
        match (channel, piece) {
            (channel, Some(bytes)) => {
                if !outlet.tell(channel, bytes).await {
                    return false;
                }
            }
            (Channel::Stdout, None) => stdout = None,
            (_, None) => stderr = None,
        }
    }
    match told.tell(ended.as_ref()) {
        Some(text) => outlet.tell(Channel::Error, text.into()).await,
        None => true,
    }
}

/// The next piece; none at the end, and none of what cannot be read.
async fn next(output: &mut Option<ReaderStream<crate::backend::Output>>) -> Option<Bytes> {
    match output {
        Some(output) => output.next().await?.ok(),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_terminal_is_read_and_nonsense_is_none() {
        let size = TerminalSize {
            width: 80,
            height: 24,
        };
        assert_eq!(terminal_size(br#"{"Width":80,"Height":24}"#), Some(size));
        for nonsense in [&b""[..], b"{}", br#"{"Width":-1,"Height":99999}"#] {
            assert_eq!(terminal_size(nonsense), None);
        }
    }

    #[test]
    fn the_first_version_of_the_protocol_tells_failures_alone_and_in_words() {
        assert_eq!(Told::Words.tell(Some(&Exit::Code(0))), None);
        assert_eq!(
            Told::Words.tell(Some(&Exit::Code(3))).unwrap(),
            "command terminated with non-zero exit code: exit status 3"
        );
        let status = Told::Status.tell(Some(&Exit::Code(0))).unwrap();
        assert_eq!(status, r#"{"metadata":{},"status":"Success"}"#);
    }

    #[tokio::test]
    async fn sizes_come_in_lines_wherever_they_are_cut() {
        let (sender, mut body) = tokio::sync::mpsc::channel(4);
        for piece in ["{\"a\"", ":1}\n{", "}\n"] {
            sender.send(Bytes::from(piece)).await.unwrap();
        }
        sender
            .send(Bytes::from(vec![b'x'; RESIZE + 1]))
            .await
            .unwrap();
        let mut rest = Vec::new();
        assert_eq!(line(&mut body, &mut rest).await.unwrap(), b"{\"a\":1}\n");
        assert_eq!(line(&mut body, &mut rest).await.unwrap(), b"{}\n");
        assert_eq!(line(&mut body, &mut rest).await, None);
    }
}
