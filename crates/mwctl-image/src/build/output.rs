//! What a program of a build writes: told line by line, kept in a log, without secrets.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, Read};

use super::mask::Mask;
use crate::store::Log;

/// How many of a failed program's last lines are shown.
const LAST: usize = 20;
/// How much of a line is told: nobody reads more, and a program may write for ever without ending a line.
const LONGEST: usize = 8 << 10;
/// How much is read at once: what a pipe holds.
const PIECE: usize = 64 << 10;

/// An output that was read to its end.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// The last lines.
    pub(super) last: VecDeque<String>,
    /// Where it was written down.
    pub(super) log: Option<Log>,
}

/// Reads what a program writes, and blocks until it has ended. Tells each line, and keeps all in the log as it comes.
pub(super) fn read(
    mut output: impl Read,
    mut mask: Mask,
    mut log: Option<Log>,
    tell: impl Fn(String),
) -> Output {
    let mut buffer = vec![0; PIECE];
    let mut shown = Vec::new();
    let mut lines = Lines::new(tell);
    loop {
        let count = match output.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // A program that ends closes it; what can't be read any more is over, too.
            other => other.unwrap_or(0),
        };
        shown.clear();
        if count == 0 {
            mask.end(&mut shown);
        } else {
            mask.feed(&buffer[..count], &mut shown);
        }
        if let Some(log) = &mut log {
            log.write(&shown);
        }
        lines.add(&shown);
        if count == 0 {
            let last = lines.end();
            return Output { last, log };
        }
    }
}

/// Puts lines together.
struct Lines<T> {
    tell: T,
    /// As much of the current line as is told.
    line: Vec<u8>,
    /// How long it is.
    length: usize,
    last: VecDeque<String>,
}

impl<T: Fn(String)> Lines<T> {
    fn new(tell: T) -> Self {
        Self {
            tell,
            line: Vec::new(),
            length: 0,
            last: VecDeque::new(),
        }
    }

    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let mut rest = bytes;
            let count = rest.skip_until(b'\n').unwrap_or(bytes.len());
            let (part, after) = bytes.split_at(count);
            let room = LONGEST.saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..count.min(room)]);
            self.length += count;
            if part.ends_with(b"\n") {
                self.finish();
            }
            bytes = after;
        }
    }

    fn finish(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        let mut line = text.trim_end_matches(['\n', '\r']).to_owned();
        if self.length > LONGEST {
            line = format!("{line}… (a line of {} bytes)", self.length);
        }
        self.line.clear();
        self.length = 0;
        if self.last.len() == LAST {
            self.last.pop_front();
        }
        self.last.push_back(line.clone());
        (self.tell)(line);
    }

    fn end(mut self) -> VecDeque<String> {
        if self.length > 0 {
            self.finish();
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::*;
    use crate::owners::Owners;
    use crate::store::Store;

    fn lines(output: impl Read) -> Vec<String> {
        let told = RefCell::new(Vec::new());
        let tell = |line| told.borrow_mut().push(line);
        let read = read(output, Mask::new([&BTreeMap::new()]), None, tell);
        let told = told.take();
        let begin = told.len() - read.last.len();
        assert_eq!(Vec::from(read.last), told[begin..]);
        told
    }

    #[test]
    fn lines_are_told_as_they_are_written() {
        let output = "one\r\n\ntwo\nhalf".as_bytes();
        assert_eq!(lines(output), ["one", "", "two", "half"]);
        let many = "x\n".repeat(50);
        assert_eq!(lines(many.as_bytes()).len(), 50);
    }

    #[test]
    fn a_line_without_an_end_is_cut_and_takes_no_memory() {
        let length = 100 << 20;
        let output = io::repeat(b'x').take(length).chain(&b"\nshort\n"[..]);
        let told = lines(output);
        assert_eq!(told.len(), 2);
        assert!(told[0].len() < LONGEST + 100);
        let word = format!("x… (a line of {} bytes)", length + 1);
        assert!(told[0].ends_with(&word), "{}", &told[0][LONGEST..]);
        assert_eq!(told[1], "short");
    }

    #[test]
    fn what_is_kept_and_what_is_told_have_no_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Owners::of_process()).unwrap();
        let log = store.log("key").unwrap();
        let given = BTreeMap::from([("TOKEN".to_owned(), "hidden".to_owned())]);
        // The program writes it in two goes.
        let output = (&b"it is hid"[..]).chain(&b"den\nhid"[..]);
        let read = read(output, Mask::new([&given]), Some(log), |_| {});
        assert_eq!(read.last, ["it is …", "hid"]);
        let kept = std::fs::read_to_string(read.log.unwrap().path()).unwrap();
        assert_eq!(kept, "it is …\nhid");
    }
}
