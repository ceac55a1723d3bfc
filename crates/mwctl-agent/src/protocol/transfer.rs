//! How a set of edits becomes messages: one frame when it is small, pieces otherwise.

use super::{CHUNK, Commit, Data, Entry, Put, ToAgent, WANT_PART};

/// Edits of at most this many bytes go as one message: well below the frame limit, and applied
/// before a larger one would have arrived.
pub const ONE_FRAME: usize = 1 << 20;

/// The messages of an edit: contents (empty for links), deletions, commit.
pub fn edit(puts: Vec<(Entry, Vec<u8>)>, deletes: Vec<String>, commit: Commit) -> Vec<ToAgent> {
    let size: usize = puts
        .iter()
        .map(|(entry, contents)| entry.path.len() + contents.len())
        .chain(deletes.iter().map(String::len))
        .map(|bytes| bytes + 64)
        .sum();
    if size <= ONE_FRAME {
        let puts = puts
            .into_iter()
            .map(|(entry, contents)| Put {
                entry,
                data: Data::pack(&contents),
            })
            .collect();
        return vec![ToAgent::Update {
            puts,
            deletes,
            commit,
        }];
    }
    let update = commit.update;
    let mut messages = Vec::new();
    for (entry, contents) in puts {
        messages.extend(put(update, entry, &contents));
    }
    for paths in deletes.chunks(WANT_PART) {
        messages.push(ToAgent::Delete {
            update,
            paths: paths.to_vec(),
        });
    }
    messages.push(ToAgent::Commit(commit));
    messages
}

/// The messages that bring one file or link.
pub fn put(update: u64, entry: Entry, contents: &[u8]) -> impl Iterator<Item = ToAgent> {
    let pieces = contents.chunks(CHUNK).map(|piece| ToAgent::Chunk {
        data: Data::pack(piece),
    });
    std::iter::once(ToAgent::Put { update, entry }).chain(pieces)
}

/// The messages that state the complete list.
pub fn want(update: u64, entries: Vec<Entry>) -> Vec<ToAgent> {
    let parts = entries.len().div_ceil(WANT_PART).max(1);
    let mut entries = entries.into_iter();
    (1..=parts)
        .map(|part| ToAgent::Want {
            update,
            entries: entries.by_ref().take(WANT_PART).collect(),
            last: part == parts,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Restart;
    use super::*;
    use crate::frame::{MAX_FRAME, encode};

    fn commit(update: u64) -> Commit {
        Commit {
            update,
            step: None,
            restart: Restart::IfChanged,
            in_place: false,
        }
    }

    #[test]
    fn a_save_is_one_frame() {
        let contents = b"module.exports = 1;\n".to_vec();
        let entry = Entry::file("lib/a.js", &contents, false);
        let messages = edit(vec![(entry, contents)], vec!["old.js".into()], commit(3));
        assert!(matches!(&messages[..], [ToAgent::Update { puts, .. }] if puts.len() == 1));
    }

    #[test]
    fn a_big_file_goes_in_pieces_that_fit() {
        let contents = vec![7_u8; CHUNK * 5 + 1];
        let entry = Entry::file("big", &contents, false);
        let messages = edit(vec![(entry, contents)], Vec::new(), commit(1));
        assert_eq!(messages.len(), 1 + 6 + 1);
        assert!(
            messages
                .iter()
                .all(|message| encode(message).unwrap().len() < MAX_FRAME)
        );
        assert!(matches!(messages.last(), Some(ToAgent::Commit(_))));
    }

    #[test]
    fn a_list_of_any_length_ends_with_one_last_part() {
        for (count, parts) in [(0, 1), (1, 1), (WANT_PART, 1), (WANT_PART + 1, 2)] {
            let entries = vec![Entry::symlink("x".repeat(4096), "y".repeat(4096)); count];
            let messages = want(1, entries);
            assert_eq!(messages.len(), parts);
            assert!(
                messages
                    .iter()
                    .all(|message| encode(message).unwrap().len() < MAX_FRAME)
            );
            let lasts = messages
                .iter()
                .filter(|m| matches!(m, ToAgent::Want { last: true, .. }));
            assert_eq!(lasts.count(), 1);
        }
    }
}
