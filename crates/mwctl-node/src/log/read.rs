//! Reading a log: the part that is wanted, and what is written later.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use k8s_openapi::jiff::Timestamp;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::watch;

use super::aside;
use super::line::{self, Stream};

/// Which part of a log is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Go on with what is written later, until the container ends.
    pub follow: bool,
    /// That of the start before the last.
    pub previous: bool,
    /// Only what was written since.
    pub since: Option<Timestamp>,
    /// Each line begins with its time.
    pub timestamps: bool,
    /// Only so many lines at the end.
    pub tail: Option<u64>,
    /// Only so many bytes.
    pub limit: Option<u64>,
    /// Only one of the outputs.
    pub stream: Option<Stream>,
}

/// Reads a log. With `follow` it goes on until `written` has no sender any more.
pub fn read(
    path: &Path,
    query: Query,
    written: Option<watch::Receiver<u64>>,
) -> BoxStream<'static, io::Result<Bytes>> {
    let limit = query.limit.unwrap_or(u64::MAX);
    let reader = Reader {
        path: path.to_owned(),
        written: written.filter(|_| query.follow),
        reading: None,
        position: 0,
        rest: Vec::new(),
        first: true,
        at_line_start: true,
        query,
    };
    let pieces = stream::try_unfold(reader, |mut reader| async move {
        Ok(reader.next().await?.map(|piece| (piece, reader)))
    });
    let limited = pieces.scan(limit, |left, piece: io::Result<Bytes>| {
        let piece = match piece {
            Ok(_) if *left == 0 => None,
            Ok(mut piece) => {
                piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= piece.len() as u64;
                Some(Ok(piece))
            }
            Err(error) => Some(Err(error)),
        };
        futures::future::ready(piece)
    });
    limited.boxed()
}

struct Reader {
    path: PathBuf,
    query: Query,
    written: Option<watch::Receiver<u64>>,
    /// The file that was read last, by its number on the disk, and how far.
    reading: Option<u64>,
    position: u64,
    /// The beginning of a line whose end isn't written yet.
    rest: Vec<u8>,
    /// Whether the tail is still to be cut.
    first: bool,
    /// Whether what comes next begins a line of the container.
    at_line_start: bool,
}

impl Reader {
    /// None: there is no more.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            // Asked before the reading, so that nothing is missed between the two.
            let over = match &mut self.written {
                None => true,
                Some(written) => {
                    written.mark_unchanged();
                    written.has_changed().is_err()
                }
            };
            let piece = self.rendered().await?;
            if !piece.is_empty() {
                return Ok(Some(piece.into()));
            }
            match &mut self.written {
                Some(written) if !over => {
                    // An error means that the log is complete: it is read once more.
                    if written.changed().await.is_err() {
                        self.written = None;
                    }
                }
                _ => return Ok(None),
            }
        }
    }

    async fn rendered(&mut self) -> io::Result<Vec<u8>> {
        let mut new = std::mem::take(&mut self.rest);
        self.read(&mut new).await?;
        let end = new
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        self.rest = new.split_off(end);
        let lines: Vec<_> = new
            .split(|byte| *byte == b'\n')
            .filter_map(line::parse)
            .filter(|line| self.wants(line))
            .collect();
        let skipped = if std::mem::take(&mut self.first) {
            self.skipped(&lines)
        } else {
            0
        };
        let mut out = Vec::new();
        for line in lines.into_iter().skip(skipped) {
            if self.query.timestamps && self.at_line_start {
                out.extend_from_slice(line.time.as_bytes());
                out.push(b' ');
            }
            out.extend_from_slice(line.text);
            if line.whole {
                out.push(b'\n');
            }
            self.at_line_start = line.whole;
        }
        Ok(out)
    }

    /// Reads what is new. What was put aside since comes first; who begins gets the file before the present one, too. Who is slower than
    /// whole files are filled misses some, as with a kubelet.
    async fn read(&mut self, new: &mut Vec<u8>) -> io::Result<()> {
        let Some((mut file, number)) = open(&self.path).await? else {
            return Ok(());
        };
        if self.reading != Some(number) {
            // After the present one: what is put aside in between is that itself.
            if let Some((mut earlier, its)) = open(&aside(&self.path, 1)).await?
                && its != number
            {
                let position = match self.reading {
                    Some(known) if known == its => self.position,
                    _ => 0,
                };
                earlier.seek(io::SeekFrom::Start(position)).await?;
                earlier.read_to_end(new).await?;
            }
            self.reading = Some(number);
            self.position = 0;
        }
        file.seek(io::SeekFrom::Start(self.position)).await?;
        self.position += file.read_to_end(new).await? as u64;
        Ok(())
    }

    fn wants(&self, line: &line::Line<'_>) -> bool {
        let after = |since: Timestamp| {
            line.time
                .parse::<Timestamp>()
                .is_ok_and(|time| time >= since)
        };
        self.query.stream.is_none_or(|stream| stream == line.stream)
            && self.query.since.is_none_or(after)
    }

    /// How many pieces come before the last so many lines.
    fn skipped(&self, lines: &[line::Line<'_>]) -> usize {
        let Some(tail) = self.query.tail else {
            return 0;
        };
        let mut left = usize::try_from(tail).unwrap_or(usize::MAX);
        if left == 0 {
            return lines.len();
        }
        // The end of the line before the first that is wanted.
        let last = lines.len().saturating_sub(1);
        for (index, line) in lines.iter().enumerate().rev() {
            if line.whole && index != last {
                left -= 1;
                if left == 0 {
                    return index + 1;
                }
            }
        }
        0
    }
}

/// A file and its number on the disk; `None` where it isn't there: the first one is made with the first start.
async fn open(path: &Path) -> io::Result<Option<(File, u64)>> {
    match File::open(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => {
            let file = opened?;
            let number = file.metadata().await?.ino();
            Ok(Some((file, number)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Log;

    #[tokio::test]
    async fn a_log_that_is_put_aside_is_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        // Two lines fill a file.
        let log = Log::of_size(folder.path(), 0, 70).unwrap();
        let write = |text: &str| {
            let now = Timestamp::from_second(1).unwrap();
            log.write(Stream::Out, text.as_bytes(), now).unwrap();
        };
        let query = Query {
            follow: true,
            ..Query::default()
        };
        let mut followed = read(log.path(), query, Some(log.follow()));
        write("1\n");
        assert_eq!(followed.next().await.unwrap().unwrap(), "1\n");
        // The file is put aside with the one, and the other begins the next.
        write("2\n");
        write("3\n");
        assert_eq!(followed.next().await.unwrap().unwrap(), "2\n3\n");
        // Who begins now has the file before, too.
        assert_eq!(all(&log, Query::default()).await, "1\n2\n3\n");
        for number in 4..40 {
            write(&format!("{number}\n"));
        }
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 5);
        let last = Query {
            tail: Some(1),
            ..Query::default()
        };
        assert_eq!(all(&log, last).await, "39\n");
        // With the next but one start all of it goes.
        drop(Log::create(folder.path(), 2).unwrap());
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 1);
    }

    fn log(folder: &Path) -> Log {
        let log = Log::create(folder, 0).unwrap();
        for (second, stream, text) in [
            (1, Stream::Out, "one\ntwo\n"),
            (2, Stream::Err, "bad\n"),
            (3, Stream::Out, "thr"),
        ] {
            log.write(
                stream,
                text.as_bytes(),
                Timestamp::from_second(second).unwrap(),
            )
            .unwrap();
        }
        log.write(Stream::Out, b"ee\n", Timestamp::from_second(4).unwrap())
            .unwrap();
        log
    }

    async fn all(log: &Log, query: Query) -> String {
        let pieces: Vec<_> = read(log.path(), query, None).collect().await;
        let bytes: Vec<u8> = pieces
            .into_iter()
            .flat_map(|piece| piece.unwrap().to_vec())
            .collect();
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn the_wanted_part_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path());
        let query = Query::default();
        assert_eq!(all(&log, query.clone()).await, "one\ntwo\nbad\nthree\n");
        let tail = |tail| Query {
            tail: Some(tail),
            ..Query::default()
        };
        assert_eq!(all(&log, tail(2)).await, "bad\nthree\n");
        assert_eq!(all(&log, tail(0)).await, "");
        assert_eq!(all(&log, tail(9)).await, "one\ntwo\nbad\nthree\n");
        let errors = Query {
            stream: Some(Stream::Err),
            ..query.clone()
        };
        assert_eq!(all(&log, errors).await, "bad\n");
        let since = Query {
            since: Some(Timestamp::from_second(2).unwrap()),
            ..query.clone()
        };
        assert_eq!(all(&log, since).await, "bad\nthree\n");
        assert_eq!(
            all(
                &log,
                Query {
                    limit: Some(5),
                    ..query.clone()
                }
            )
            .await,
            "one\nt"
        );
        let timed = Query {
            timestamps: true,
            tail: Some(1),
            ..query
        };
        assert_eq!(
            all(&log, timed).await,
            "1970-01-01T00:00:03.000000000Z three\n"
        );
    }

    #[tokio::test]
    async fn following_ends_with_the_log_and_misses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path());
        let query = Query {
            follow: true,
            tail: Some(1),
            ..Query::default()
        };
        let mut pieces = read(log.path(), query, Some(log.follow()));
        assert_eq!(pieces.next().await.unwrap().unwrap(), "three\n");
        log.write(Stream::Out, b"four\n", Timestamp::now()).unwrap();
        assert_eq!(pieces.next().await.unwrap().unwrap(), "four\n");
        log.write(Stream::Out, b"five\n", Timestamp::now()).unwrap();
        drop(log);
        assert_eq!(pieces.next().await.unwrap().unwrap(), "five\n");
        assert!(pieces.next().await.is_none());
    }
}
