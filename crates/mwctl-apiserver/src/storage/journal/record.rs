//! A change as bytes: its length, a digest of what follows, and that. Pure.

/// What every file begins with.
pub(super) const HEADER: &[u8] = b"mwctl objects 1\n";

/// The most bytes of a record; no request makes a larger object.
const MOST: usize = 64 << 20;

/// The length and the digest before each.
const HEAD: usize = 4 + DIGEST;
const DIGEST: usize = 8;

/// One entry of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record<'a> {
    /// An object has changed, or is there.
    Change {
        revision: u64,
        group: &'a str,
        plural: &'a str,
        namespace: &'a str,
        name: &'a str,
        /// Empty when it is gone.
        json: &'a [u8],
    },
    /// A snapshot of this revision is complete.
    End { revision: u64 },
}

/// What bytes begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded<'a> {
    /// A record of this length.
    Whole(Record<'a>, usize),
    /// The beginning of one.
    Cut,
    /// None.
    Damaged(&'static str),
}

impl Record<'_> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEAD];
        match self {
            Self::Change {
                revision,
                group,
                plural,
                namespace,
                name,
                json,
            } => {
                bytes.push(1);
                bytes.extend(revision.to_le_bytes());
                for text in [group, plural, namespace, name] {
                    // Names have at most 253 letters; a longer one would be cut, and found to be damaged.
                    bytes.extend((text.len() as u16).to_le_bytes());
                    bytes.extend(text.as_bytes());
                }
                bytes.extend_from_slice(json);
            }
            Self::End { revision } => {
                bytes.push(2);
                bytes.extend(revision.to_le_bytes());
            }
        }
        let length = (bytes.len() - HEAD) as u32;
        let digest = digest(&bytes[HEAD..]);
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        bytes[4..HEAD].copy_from_slice(&digest);
        bytes
    }
}

impl<'a> Decoded<'a> {
    /// Reads the first record of some bytes.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
            return Self::Cut;
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MOST {
            return Self::Damaged("a change of impossible length");
        }
        let Some((told, rest)) = rest.split_first_chunk::<DIGEST>() else {
            return Self::Cut;
        };
        let Some(body) = rest.get(..length) else {
            return Self::Cut;
        };
        if digest(body) != *told {
            return Self::Damaged("a change that is not as it was written");
        }
        match parse(body) {
            Some(record) => Self::Whole(record, HEAD + length),
            None => Self::Damaged("a change of unknown form"),
        }
    }
}

fn parse(body: &[u8]) -> Option<Record<'_>> {
    let (kind, rest) = body.split_first()?;
    let (revision, mut rest) = rest.split_first_chunk()?;
    let revision = u64::from_le_bytes(*revision);
    if *kind == 2 {
        return Some(Record::End { revision });
    }
    let mut text = || {
        let (length, after) = rest.split_first_chunk()?;
        let (text, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        rest = after;
        std::str::from_utf8(text).ok()
    };
    let (group, plural, namespace, name) = (text()?, text()?, text()?, text()?);
    (*kind == 1).then_some(Record::Change {
        revision,
        group,
        plural,
        namespace,
        name,
        json: rest,
    })
}

fn digest(bytes: &[u8]) -> [u8; DIGEST] {
    let mut digest = [0; DIGEST];
    digest.copy_from_slice(&blake3::hash(bytes).as_bytes()[..DIGEST]);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(revision: u64, texts in proptest::array::uniform4("[a-z.é]{0,40}"), json in proptest::collection::vec(any::<u8>(), 0..200)) {
            let [group, plural, namespace, name] = &texts;
            let record = Record::Change { revision, group, plural, namespace, name, json: &json };
            let bytes = record.encode();
            prop_assert_eq!(Decoded::of(&bytes), Decoded::Whole(record, bytes.len()));
        }

        #[test]
        fn a_beginning_is_a_beginning_and_a_change_is_noticed(name in "[a-z]{1,20}", cut in 0..60_usize, at in 4..60_usize) {
            let record = Record::Change { revision: 7, group: "", plural: "pods", namespace: "n", name: &name, json: b"{\"a\":1}" };
            let mut bytes = record.encode();
            let cut = cut % bytes.len();
            prop_assert_eq!(Decoded::of(&bytes[..cut]), Decoded::Cut);
            let at = 4 + at % (bytes.len() - 4);
            bytes[at] ^= 1;
            prop_assert!(matches!(Decoded::of(&bytes), Decoded::Damaged(_)));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(!matches!(Decoded::of(&bytes), Decoded::Whole(..)), "a digest of chance");
        }
    }
}
