//! One line of a log on disk.

use std::io::Write as _;

use k8s_openapi::jiff::Timestamp;

/// Which output a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A line as it is on disk.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) time: &'a str,
    pub(super) stream: Stream,
    /// Whether a line of the container ends with it.
    pub(super) whole: bool,
    pub(super) text: &'a [u8],
}

pub(super) fn write(out: &mut Vec<u8>, now: Timestamp, stream: Stream, whole: bool, text: &[u8]) {
    let stream = match stream {
        Stream::Out => "stdout",
        Stream::Err => "stderr",
    };
    let mark = if whole { 'F' } else { 'P' };
    // A vector takes whatever is written to it.
    let _written = write!(out, "{now:.9} {stream} {mark} ");
    out.extend_from_slice(text);
    out.push(b'\n');
}

/// Reads a line without its end. None: it is none of ours.
pub(super) fn parse(line: &[u8]) -> Option<Line<'_>> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?;
    let stream = match parts.next()? {
        b"stdout" => Stream::Out,
        b"stderr" => Stream::Err,
        _ => return None,
    };
    let whole = match parts.next()? {
        b"F" => true,
        b"P" => false,
        _ => return None,
    };
    Some(Line {
        time,
        stream,
        whole,
        text: parts.next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let now = Timestamp::from_second(0).unwrap();
        let mut out = Vec::new();
        write(&mut out, now, Stream::Err, true, b"some text");
        assert_eq!(out, b"1970-01-01T00:00:00.000000000Z stderr F some text\n");
        let line = parse(out.strip_suffix(b"\n").unwrap()).unwrap();
        let time = "1970-01-01T00:00:00.000000000Z";
        assert_eq!(
            line,
            Line {
                time,
                stream: Stream::Err,
                whole: true,
                text: b"some text"
            }
        );
        for wrong in [&b""[..], b"x", b"x y F z", b"x stdout Q z", b"x stdout F"] {
            assert_eq!(parse(wrong), None);
        }
    }
}
