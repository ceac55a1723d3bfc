//! The frames of SPDY/3.1 (draft-mbelshe-httpbis-spdy-00, section 2.2 and following), read and written. Pure.

/// The first eight bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// Bytes of a stream.
    Data {
        stream: u32,
        /// The sender has no more.
        last: bool,
        length: u32,
    },
    /// Anything else.
    Control { kind: u16, flags: u8, length: u32 },
}

/// A frame that is no data.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Control<'a> {
    /// A stream begins, with these compressed headers.
    Open {
        stream: u32,
        /// The client will write nothing to it.
        last: bool,
        block: &'a [u8],
    },
    /// More headers of a stream.
    Headers(&'a [u8]),
    /// A stream ends before its end.
    Reset(u32),
    /// A question whether anybody is there.
    Ping(u32),
    /// The client goes.
    GoAway,
    /// Nothing of importance here: settings, windows.
    Other,
}

const LAST: u8 = 1;
const OPEN: u16 = 1;
const REPLY: u16 = 2;
const RESET: u16 = 3;
const PING: u16 = 6;
const GO_AWAY: u16 = 7;
const HEADERS: u16 = 8;

impl Head {
    /// Reads the head of a frame: any eight bytes are one.
    pub(super) fn parse(bytes: [u8; 8]) -> Self {
        let [first, second, third, fourth, flags, rest @ ..] = bytes;
        let length = u32::from_be_bytes([0, rest[0], rest[1], rest[2]]);
        if first & 0x80 == 0 {
            return Self::Data {
                stream: u32::from_be_bytes([first, second, third, fourth]),
                last: flags & LAST != 0,
                length,
            };
        }
        Self::Control {
            kind: u16::from_be_bytes([third, fourth]),
            flags,
            length,
        }
    }
}

impl<'a> Control<'a> {
    /// Reads what follows the head.
    pub(super) fn parse(kind: u16, flags: u8, body: &'a [u8]) -> Result<Self, &'static str> {
        let number = || -> Result<u32, &'static str> {
            let bytes = body.first_chunk().ok_or("a frame that is too short")?;
            Ok(u32::from_be_bytes(*bytes) & 0x7fff_ffff)
        };
        Ok(match kind {
            OPEN => Self::Open {
                stream: number()?,
                last: flags & LAST != 0,
                block: body.get(10..).ok_or("a frame that is too short")?,
            },
            REPLY | HEADERS => {
                number()?;
                Self::Headers(&body[4..])
            }
            RESET => Self::Reset(number()?),
            PING => {
                let bytes = body.first_chunk().ok_or("a frame that is too short")?;
                Self::Ping(u32::from_be_bytes(*bytes))
            }
            GO_AWAY => Self::GoAway,
            _ => Self::Other,
        })
    }
}

/// Bytes of a stream, at most 16 MiB less one.
pub(super) fn data(stream: u32, bytes: &[u8], last: bool) -> Vec<u8> {
    let mut frame = Vec::with_capacity(8 + bytes.len());
    frame.extend(stream.to_be_bytes());
    frame.extend((u32::from(last) << 24 | bytes.len() as u32).to_be_bytes());
    frame.extend(bytes);
    frame
}

/// The acceptance of a stream, without headers; the first one of a connection begins the compression of all that follow.
pub(super) fn reply(stream: u32, first: bool) -> Vec<u8> {
    // The head of zlib's format; then a stored block with the number of headers, which is 0; then an empty block that flushes, without
    // which Go's inflater hands nothing out.
    let head: &[u8] = if first { &[0x78, 0x01] } else { &[] };
    let stored = [0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0];
    let flush = [0, 0, 0, 0xff, 0xff];
    control(
        REPLY,
        &[&stream.to_be_bytes()[..], head, &stored, &flush].concat(),
    )
}

/// The answer to a ping.
pub(super) fn ping(number: u32) -> Vec<u8> {
    control(PING, &number.to_be_bytes())
}

fn control(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80, 3];
    frame.extend(kind.to_be_bytes());
    frame.extend((body.len() as u32).to_be_bytes());
    frame.extend(body);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read() {
        let frame = data(3, b"abc", true);
        let head = Head::parse(*frame.first_chunk().unwrap());
        assert_eq!(
            head,
            Head::Data {
                stream: 3,
                last: true,
                length: 3
            }
        );
        let frame = ping(7);
        let Head::Control {
            kind,
            flags,
            length,
        } = Head::parse(*frame.first_chunk().unwrap())
        else {
            panic!("{frame:?}")
        };
        assert_eq!(length, 4);
        assert_eq!(
            Control::parse(kind, flags, &frame[8..]),
            Ok(Control::Ping(7))
        );
    }

    proptest! {
        #[test]
        fn no_frame_panics(kind in 0..12u16, flags: u8, body in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(Control::Open { block, .. }) = Control::parse(kind, flags, &body) {
                prop_assert!(block.len() + 10 == body.len());
            }
        }
    }
}
