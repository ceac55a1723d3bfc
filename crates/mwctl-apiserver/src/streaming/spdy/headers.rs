//! Headers of a stream: pairs of texts, compressed with all that came before them on the connection and with a dictionary that both sides know.

use flate2::{Decompress, FlushDecompress};

/// The dictionary of draft-mbelshe-httpbis-spdy-00, section 2.6.10.1.
const DICTIONARY: &[u8] = include_bytes!("../../../data/spdy-dictionary.bin");

/// The most bytes of the headers of one stream.
const MOST: usize = 64 << 10;

/// Unpacks the headers of one connection, in their order.
pub(super) struct Inflater(Decompress);

impl Default for Inflater {
    fn default() -> Self {
        Self(Decompress::new(true))
    }
}

impl Inflater {
    /// Names in small letters, and values. After a fault nothing more can be read.
    pub(super) fn read(&mut self, block: &[u8]) -> Result<Vec<(String, String)>, &'static str> {
        pairs(&self.unpack(block)?).ok_or("headers that are cut off")
    }

    fn unpack(&mut self, mut block: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut unpacked = vec![0; MOST];
        let mut length = 0;
        while !block.is_empty() {
            let (read, written) = (self.0.total_in(), self.0.total_out());
            let outcome = self
                .0
                .decompress(block, &mut unpacked[length..], FlushDecompress::Sync);
            let taken = (self.0.total_in() - read) as usize;
            let made = (self.0.total_out() - written) as usize;
            block = &block[taken..];
            length += made;
            match outcome {
                Err(error) if error.needs_dictionary().is_some() => {
                    let known = self.0.set_dictionary(DICTIONARY);
                    known.map_err(|_| "headers of another dictionary")?;
                }
                Err(_) => return Err("headers that are not compressed"),
                Ok(_) if taken + made == 0 => return Err("headers that are too long"),
                Ok(_) => {}
            }
        }
        unpacked.truncate(length);
        Ok(unpacked)
    }
}

/// The number of pairs, and each text with its length before it.
fn pairs(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let mut rest = bytes;
    let count = number(&mut rest)?;
    let mut pairs = Vec::new();
    for _ in 0..count {
        let (name, value) = (text(&mut rest)?, text(&mut rest)?);
        pairs.push((name.to_lowercase(), value));
    }
    Some(pairs)
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    usize::try_from(u32::from_be_bytes(*bytes)).ok()
}

fn text(rest: &mut &[u8]) -> Option<String> {
    let length = number(rest)?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};
    use proptest::prelude::*;

    /// What a client sends.
    pub(crate) struct Deflater(Compress);

    impl Deflater {
        pub(crate) fn new() -> Self {
            let mut compress = Compress::new(Compression::best(), true);
            compress.set_dictionary(DICTIONARY).unwrap();
            Self(compress)
        }

        pub(crate) fn write(&mut self, pairs: &[(&str, &str)]) -> Vec<u8> {
            let mut plain = (pairs.len() as u32).to_be_bytes().to_vec();
            for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
                plain.extend((text.len() as u32).to_be_bytes());
                plain.extend(text.as_bytes());
            }
            let mut block = Vec::with_capacity(plain.len() + 1024);
            self.0
                .compress_vec(&plain, &mut block, FlushCompress::Sync)
                .unwrap();
            block
        }
    }

    #[test]
    fn headers_are_read_one_after_the_other() {
        let (mut deflater, mut inflater) = (Deflater::new(), Inflater::default());
        for port in ["80", "8080"] {
            let block = deflater.write(&[("Streamtype", "data"), ("Port", port)]);
            let read = inflater.read(&block).unwrap();
            assert_eq!(
                read,
                [
                    ("streamtype".to_owned(), "data".to_owned()),
                    ("port".to_owned(), port.to_owned())
                ]
            );
        }
    }

    #[test]
    fn headers_have_a_size() {
        let long = "x".repeat(2 * MOST);
        let block = Deflater::new().write(&[("a", &long)]);
        assert!(block.len() < MOST / 8, "a bomb is small");
        assert!(Inflater::default().read(&block).is_err());
    }

    proptest! {
        #[test]
        fn no_block_panics(block in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut inflater = Inflater::default();
            let first = inflater.read(&block).is_ok();
            let again = inflater.read(&block).is_ok();
            prop_assert!(first || !again, "after a fault nothing is read");
        }

        #[test]
        fn no_list_of_pairs_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..60), count in 0..4u8) {
            if let Some(number) = bytes.get_mut(..4) {
                number.copy_from_slice(&[0, 0, 0, count]);
            }
            if let Some(read) = pairs(&bytes) {
                prop_assert_eq!(read.len(), usize::from(count));
            }
        }
    }
}
