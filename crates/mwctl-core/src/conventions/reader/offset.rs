//! Byte offsets of a text as places: what parsers give, and what people read.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::super::node::{At, Source};

/// A text with the beginnings of its lines.
pub(crate) struct Offsets {
    pub(crate) source: Arc<Source>,
    starts: Vec<usize>,
}

impl Offsets {
    pub(crate) fn new(file: &Path, text: &str) -> Self {
        let source = Source::new(file, text);
        let ends = source.text.bytes().enumerate();
        let after = ends.filter_map(|(index, byte)| (byte == b'\n').then_some(index + 1));
        let starts = std::iter::once(0).chain(after).collect();
        Self { source, starts }
    }

    /// The place of a range of bytes; what reaches over its line's end is cut there.
    pub(crate) fn at(&self, range: &Range<usize>) -> At {
        let text = &self.source.text;
        let start = floor(text, range.start);
        let line = self.starts.partition_point(|begin| *begin <= start).max(1);
        let begin = self.starts[line - 1];
        let rest = &text[start..floor(text, range.end.max(range.start))];
        let rest = rest.split('\n').next().unwrap_or_default();
        At {
            source: Arc::clone(&self.source),
            line,
            column: text[begin..start].chars().count() + 1,
            length: rest.trim_end_matches('\r').chars().count(),
        }
    }

    /// The place of a whole line, from 1.
    pub(crate) fn line(&self, number: usize) -> At {
        let start = self.starts.get(number.max(1) - 1).copied();
        let start = start.unwrap_or(self.source.text.len());
        self.at(&(start..self.source.text.len()))
    }
}

/// The nearest beginning of a character at or before an offset.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
