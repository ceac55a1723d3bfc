//! What stands before an entry of an archive because its header has no place for it: long names,
//! attributes, large numbers; in the form of POSIX (`pax`) and of GNU.
//!
//! Read here and not by the `tar` crate, which takes lines for records, while an attribute may
//! contain a line's end, and which keeps in memory whatever is announced.

use std::io::{self, Read};

use tar::{Entry, EntryType};

/// Longer than all names and attributes of any real entry together.
const MOST: u64 = 4 << 20;

/// What was said of the entry that comes next.
#[derive(Debug, Default)]
pub(crate) struct Extended {
    records: Vec<(Vec<u8>, Vec<u8>)>,
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl Extended {
    /// Takes an entry, of an archive that is read raw, if it is about the next one.
    pub(crate) fn take<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> io::Result<bool> {
        let kind = entry.header().entry_type();
        match kind {
            EntryType::XHeader => self.records.extend(records(&content(entry)?)?),
            EntryType::GNULongName => self.name = Some(string(content(entry)?)),
            EntryType::GNULongLink => self.target = Some(string(content(entry)?)),
            // About all entries: git writes its commit there, and nothing that a layer needs.
            EntryType::XGlobalHeader => drop(content(entry)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The value of a record.
    pub(crate) fn record(&self, key: &[u8]) -> Option<&[u8]> {
        // The last one counts.
        let mut records = self.records.iter().rev();
        let (_, value) = records.find(|(known, _)| known == key)?;
        Some(value)
    }

    /// A number in a record.
    pub(crate) fn number(&self, key: &[u8]) -> Option<u64> {
        std::str::from_utf8(self.record(key)?).ok()?.parse().ok()
    }

    /// The records whose keys begin so, without that beginning.
    pub(crate) fn beginning<'a>(
        &'a self,
        prefix: &'a [u8],
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.records.iter().filter_map(move |(key, value)| {
            let rest = key.strip_prefix(prefix)?;
            Some((rest, value.as_slice()))
        })
    }

    /// The entry's name.
    pub(crate) fn name<R: Read>(&self, entry: &Entry<'_, R>) -> Vec<u8> {
        let long = self.record(b"path").or(self.name.as_deref());
        long.map_or_else(|| entry.path_bytes().into_owned(), <[u8]>::to_vec)
    }

    /// What the entry links to.
    pub(crate) fn target<R: Read>(&self, entry: &Entry<'_, R>) -> Option<Vec<u8>> {
        let long = self.record(b"linkpath").or(self.target.as_deref());
        match long {
            Some(target) => Some(target.to_vec()),
            None => entry.link_name_bytes().map(std::borrow::Cow::into_owned),
        }
    }

    /// Refuses an entry whose content is longer than its header can say: what follows it couldn't
    /// be found.
    pub(crate) fn check_length<R: Read>(&self, entry: &Entry<'_, R>) -> io::Result<()> {
        match self.number(b"size") {
            Some(size) if size != entry.size() => Err(invalid("it has a file of more than 8 GiB")),
            _ => Ok(()),
        }
    }
}

fn content<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Vec<u8>> {
    if entry.size() > MOST {
        return Err(invalid(
            "an entry has more names and attributes than any real one",
        ));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Without the zero at its end.
fn string(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0);
    bytes.truncate(end.unwrap_or(bytes.len()));
    bytes
}

/// `LENGTH KEY=VALUE\n`, again and again; the length is that of the whole record.
fn records(mut bytes: &[u8]) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let malformed = || invalid("an entry's attributes can't be read");
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ');
        let (number, _) = bytes.split_at(space.ok_or_else(malformed)?);
        let length: usize = std::str::from_utf8(number)
            .ok()
            .and_then(|number| number.parse().ok())
            .ok_or_else(malformed)?;
        let record = bytes
            .get(number.len() + 1..length)
            .and_then(|record| record.strip_suffix(b"\n"))
            .ok_or_else(malformed)?;
        let equals = record.iter().position(|byte| *byte == b'=');
        let (key, value) = record.split_at(equals.ok_or_else(malformed)?);
        records.push((key.to_vec(), value[1..].to_vec()));
        bytes = &bytes[length..];
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_may_contain_a_lines_end_and_an_equals_sign() {
        let bytes = b"12 a=b\n=c\n\0\n6 d=e\n";
        let read = records(bytes).unwrap();
        assert_eq!(read[0], (b"a".to_vec(), b"b\n=c\n\0".to_vec()));
        assert_eq!(read[1], (b"d".to_vec(), b"e".to_vec()));
        let bad: [&[u8]; 6] = [
            b"x",
            b"99 a=b\n",
            b"0 a=b\n",
            b"6 ab=c",
            b"5 ab\n",
            b"-1 a=b\n",
        ];
        for bytes in bad {
            assert!(records(bytes).is_err(), "{bytes:?}");
        }
    }
}
