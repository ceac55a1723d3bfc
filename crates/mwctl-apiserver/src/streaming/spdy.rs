//! The server's side of SPDY/3.1, as far as Kubernetes uses it: streams that the client opens, and that both sides write to.
//!
//! There is no flow control, which Go's clients have none of either. What the server holds is bounded instead: a stream that nobody reads
//! makes the connection wait. Frames are read in [`frame`], their compressed headers in [`headers`].

mod frame;
mod headers;

use super::PIECE;
use bytes::Bytes;
use frame::{Control, Head};
use headers::Inflater;
use std::collections::HashMap;
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Pieces that wait for the reader of a stream.
const WAITING: usize = 32;

/// Frames that wait for the client.
const FRAMES: usize = 16;

/// The most streams that a client has open for writing.
const STREAMS: usize = 4096;

/// The most bytes of a frame that is no data.
const CONTROL: u32 = 64 << 10;

/// How long a client may take to close after it has been told everything.
const FAREWELL: Duration = Duration::from_secs(5);

/// The streams that a client opens, as it opens them.
pub(super) struct Incoming {
    streams: mpsc::Receiver<Stream>,
    /// While this is there, the connection is.
    _frames: mpsc::Sender<Bytes>,
}

/// A stream.
pub(super) struct Stream {
    headers: HashMap<String, String>,
    /// What the client writes to it; ends when it has no more.
    pub(super) body: mpsc::Receiver<Bytes>,
    /// What is written to the client.
    pub(super) writer: Writer,
}

/// The server's end of a stream.
pub(super) struct Writer {
    id: u32,
    frames: mpsc::Sender<Bytes>,
}

impl Incoming {
    /// The next stream; none when the client is gone.
    pub(super) async fn next(&mut self) -> Option<Stream> {
        self.streams.recv().await
    }
}

impl Stream {
    /// A header, whose name is in small letters; empty if there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl Writer {
    /// Sends bytes; false when the client is gone.
    pub(super) async fn send(&self, bytes: &[u8]) -> bool {
        for piece in bytes.chunks(PIECE) {
            let frame = frame::data(self.id, piece, false);
            if self.frames.send(frame.into()).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Says that this was all.
    pub(super) async fn finish(&self) {
        let sent = self
            .frames
            .send(frame::data(self.id, &[], true).into())
            .await;
        if sent.is_err() {
            tracing::trace!(stream = self.id, "nobody hears the end of a stream");
        }
    }
}

/// Speaks SPDY on a connection: `work` gets the client's streams, and is dropped if the client goes before it is done.
pub(super) async fn serve<T, W>(connection: T, work: impl FnOnce(Incoming) -> W)
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
    W: Future<Output = ()>,
{
    let (reader, writer) = tokio::io::split(connection);
    let (frame_tx, frame_rx) = mpsc::channel(FRAMES);
    let (stream_tx, stream_rx) = mpsc::channel(FRAMES);
    let mut heard = pin!(read(reader, frame_tx.downgrade(), stream_tx));
    let incoming = Incoming {
        streams: stream_rx,
        _frames: frame_tx,
    };
    let all = async { tokio::join!(work(incoming), write(writer, frame_rx)) };
    tokio::select! {
        ended = &mut heard => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a client of SPDY is gone");
            }
            return;
        }
        ((), written) = all => {
            if written.is_err() {
                return;
            }
        }
    }
    // Closing first would cut off what the client hasn't read yet.
    if timeout(FAREWELL, heard).await.is_err() {
        tracing::debug!("a client did not close its connection");
    }
}

/// Writes frames until nobody has any more.
async fn write(
    mut connection: impl AsyncWrite + Unpin,
    mut frames: mpsc::Receiver<Bytes>,
) -> io::Result<()> {
    while let Some(frame) = frames.recv().await {
        connection.write_all(&frame).await?;
        while let Ok(frame) = frames.try_recv() {
            connection.write_all(&frame).await?;
        }
        connection.flush().await?;
    }
    connection.shutdown().await
}

/// Reads frames until the client is gone.
async fn read(
    connection: impl AsyncRead + Unpin,
    frames: mpsc::WeakSender<Bytes>,
    streams: mpsc::Sender<Stream>,
) -> io::Result<()> {
    let mut connection = BufReader::new(connection);
    let mut inflater = Inflater::default();
    let mut replied = false;
    let mut open: HashMap<u32, mpsc::Sender<Bytes>> = HashMap::new();
    loop {
        let mut head = [0; 8];
        match connection.read_exact(&mut head).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        };
        let (kind, flags, length) = match Head::parse(head) {
            Head::Data {
                stream,
                last,
                length,
            } => {
                let mut left = length as usize;
                while left > 0 {
                    let mut piece = vec![0; left.min(PIECE)];
                    connection.read_exact(&mut piece).await?;
                    left -= piece.len();
                    if let Some(body) = open.get(&stream)
                        && body.send(piece.into()).await.is_err()
                    {
                        open.remove(&stream);
                    }
                }
                if last {
                    open.remove(&stream);
                }
                continue;
            }
            Head::Control {
                kind,
                flags,
                length,
            } => (kind, flags, length),
        };
        if length > CONTROL {
            return Err(io::Error::other(format!("a frame of {length} bytes")));
        }
        let mut body = vec![0; length as usize];
        connection.read_exact(&mut body).await?;
        match Control::parse(kind, flags, &body).map_err(io::Error::other)? {
            Control::Open {
                stream,
                last,
                block,
            } => {
                let headers = inflater.read(block).map_err(io::Error::other)?;
                let Some(frames) = frames.upgrade() else {
                    continue;
                };
                if open.len() >= STREAMS || open.contains_key(&stream) {
                    return Err(io::Error::other(format!(
                        "stream {stream} cannot be opened"
                    )));
                }
                let (body_tx, body_rx) = mpsc::channel(WAITING);
                if !last {
                    open.insert(stream, body_tx);
                }
                let opened = Stream {
                    headers: headers.into_iter().collect(),
                    body: body_rx,
                    writer: Writer {
                        id: stream,
                        frames: frames.clone(),
                    },
                };
                let reply = frame::reply(stream, !replied);
                replied = true;
                if frames.send(reply.into()).await.is_err() || streams.send(opened).await.is_err() {
                    open.remove(&stream);
                }
            }
            Control::Headers(block) => drop(inflater.read(block).map_err(io::Error::other)?),
            Control::Reset(stream) => drop(open.remove(&stream)),
            Control::Ping(number) => {
                if let Some(frames) = frames.upgrade()
                    && frames.send(frame::ping(number).into()).await.is_err()
                {
                    return Ok(());
                }
            }
            Control::GoAway => return Ok(()),
            Control::Other => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headers::tests::Deflater;

    /// Opens a stream as a client does.
    fn open(deflater: &mut Deflater, stream: u32) -> Vec<u8> {
        let block = deflater.write(&[("streamtype", "data")]);
        let mut frame = vec![0x80, 3, 0, 1];
        frame.extend((10 + block.len() as u32).to_be_bytes());
        frame.extend(stream.to_be_bytes());
        frame.extend([0; 6]);
        frame.extend(block);
        frame
    }

    /// Echoes the bytes of every stream.
    async fn echo(mut incoming: Incoming) {
        while let Some(mut stream) = incoming.next().await {
            assert_eq!(stream.header("streamtype"), "data");
            while let Some(bytes) = stream.body.recv().await {
                stream.writer.send(&bytes).await;
            }
            stream.writer.finish().await;
        }
    }

    #[tokio::test]
    async fn streams_are_answered_and_pings_too() {
        let (near, far) = tokio::io::duplex(1 << 20);
        let client = async move {
            let (mut reader, mut writer) = tokio::io::split(near);
            let mut deflater = Deflater::new();
            let sent = [
                open(&mut deflater, 1),
                frame::data(1, b"abc", true),
                frame::ping(9),
                open(&mut deflater, 3),
                frame::data(3, b"", true),
            ];
            writer.write_all(&sent.concat()).await.unwrap();
            let expected = [
                frame::reply(1, true),
                frame::ping(9),
                frame::reply(3, false),
                frame::data(1, b"abc", false),
                frame::data(1, b"", true),
                frame::data(3, b"", true),
            ];
            let mut answer = vec![0; expected.concat().len()];
            reader.read_exact(&mut answer).await.unwrap();
            for frame in expected {
                let found = answer.windows(frame.len()).any(|part| part == frame);
                assert!(found, "{frame:?} is not in {answer:?}");
            }
        };
        tokio::join!(serve(far, echo), client);
    }

    #[tokio::test]
    async fn nonsense_ends_the_connection_and_holds_no_memory() {
        let endless = [0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff];
        let twice = [open(&mut Deflater::new(), 1), open(&mut Deflater::new(), 1)].concat();
        for nonsense in [endless.to_vec(), twice] {
            let (mut near, far) = tokio::io::duplex(1 << 20);
            near.write_all(&nonsense).await.unwrap();
            serve(far, echo).await;
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_hang_or_panic(
            valid in 0..4_usize,
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut deflater = Deflater::new();
                let sent: Vec<u8> = (0..valid as u32)
                    .flat_map(|number| open(&mut deflater, 2 * number + 1))
                    .chain(bytes)
                    .collect();
                let (mut near, far) = tokio::io::duplex(1 << 20);
                near.write_all(&sent).await.unwrap();
                drop(near);
                serve(far, echo).await;
            });
        }
    }
}
