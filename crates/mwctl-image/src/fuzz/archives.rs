//! Archives of layers: entries of all kinds whose names lead everywhere, with some bytes changed.

use std::fs;
use std::io::Cursor;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tar::{EntryType, Header};

use super::some;
use crate::layer::{Limits, pack, unpack};
use crate::owners::Owners;

/// Few, so that entries meet each other.
const PARTS: &[&str] = &[
    "a",
    "b",
    "c",
    "a",
    "b",
    ".",
    "..",
    "",
    ".wh.a",
    ".wh.b",
    ".wh..wh..opq",
    ".wh.",
    ".wh..",
    ".wh..wh.x",
    "é",
    "outside",
];
const KINDS: &[u8] = b"00000055552211133467xgLKSV\0";
const RECORDS: &[&str] = &[
    "path=a/b",
    "path=../outside",
    "path=/a",
    "linkpath=b",
    "linkpath=../outside",
    "size=3",
    "size=99999999999",
    "uid=7",
    "gid=-1",
    "mtime=1.5",
    "SCHILY.xattr.user.a=b\nc",
    "SCHILY.xattr.user.overlay.opaque=y",
    "SCHILY.xattr.trusted.overlay.opaque=y",
    "SCHILY.xattr.trusted.overlay.redirect=/b",
    "SCHILY.xattr.security.capability=x",
    "SCHILY.xattr.=",
    "GNU.sparse.size=9",
    "=",
    "",
];

#[derive(Clone, Debug)]
struct Member {
    kind: u8,
    name: String,
    target: String,
    mode: u32,
    owner: u32,
    content: Vec<u8>,
}

fn path() -> impl Strategy<Value = String> {
    (some(PARTS, 4), any::<bool>()).prop_map(|(parts, absolute)| {
        format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"))
    })
}

fn member() -> impl Strategy<Value = Member> {
    let content = prop_oneof![
        4 => vec(select(&b"\0\n= a1/."[..]), 0..40),
        2 => some(RECORDS, 3).prop_map(records),
        1 => Just(vec![0; 9000]),
    ];
    let facts = (
        select(&[0o644, 0o755, 0, 0o4755, 0o1777, 0o7_777_777][..]),
        select(&[0, 1, 33, 70_000][..]),
    );
    (select(KINDS), path(), path(), facts, content).prop_map(
        |(kind, name, target, facts, content)| {
            let (mode, owner) = facts;
            // What has records in it is mostly read as such.
            let content = if kind == b'x' && content.len() % 3 > 0 {
                records(vec!["path=a/x".to_owned()])
            } else {
                content
            };
            Member {
                kind,
                name,
                target,
                mode,
                owner,
                content,
            }
        },
    )
}

fn records(texts: Vec<String>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in texts {
        let mut length = text.len() + 3;
        while format!("{length} {text}\n").len() != length {
            length += 1;
        }
        bytes.extend(format!("{length} {text}\n").into_bytes());
    }
    bytes
}

fn set_sum(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// What is changed: where, to what, and how; and where the archive ends, if not at its end.
type Changes = (Vec<(Index, u8)>, Option<Index>);

fn archive(members: &[Member], (changes, end): &Changes) -> Vec<u8> {
    let (mut bytes, mut headers) = (Vec::new(), Vec::new());
    for member in members {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::new(member.kind));
        header.set_mode(member.mode);
        header.set_uid(member.owner.into());
        header.set_gid(member.owner.into());
        header.set_mtime(7);
        header.set_size(member.content.len() as u64);
        let old = header.as_old_mut();
        for (field, text) in [
            (&mut old.name, &member.name),
            (&mut old.linkname, &member.target),
        ] {
            let length = text.len().min(field.len());
            field[..length].copy_from_slice(&text.as_bytes()[..length]);
        }
        headers.push(bytes.len());
        bytes.extend(header.as_bytes());
        bytes.extend(&member.content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    for (place, byte) in changes {
        if !bytes.is_empty() {
            let place = place.index(bytes.len());
            bytes[place] = *byte;
        }
    }
    // Without its sum a header is refused before anybody reads it.
    for header in headers {
        set_sum(&mut bytes[header..header + 512]);
    }
    bytes.extend([0; 1024]);
    if let Some(end) = end {
        bytes.truncate(end.index(bytes.len()));
    }
    bytes
}

fn tried(bytes: &[u8], into: &Path) -> bool {
    let limits = Limits {
        entries: 50,
        bytes: 1 << 20,
    };
    unpack(Cursor::new(bytes), into, Owners::of_process(), limits).is_ok()
}

proptest! {
    #[test]
    fn an_archive_stays_in_its_folder_and_what_it_makes_is_packed_and_unpacked_as_it_is(
        members in vec(member(), 0..8),
        changes in (
            vec((any::<Index>(), any::<u8>()), 0..4),
            proptest::option::weighted(0.1, any::<Index>()),
        ),
    ) {
        let above = tempfile::tempdir().unwrap();
        let (layer, outside) = (above.path().join("layer"), above.path().join("outside"));
        fs::create_dir(&layer).unwrap();
        fs::write(&outside, "untouched").unwrap();
        let before = fs::metadata(&outside).unwrap();
        let unpacked = tried(&archive(&members, &changes), &layer);

        prop_assert_eq!(fs::read_dir(above.path()).unwrap().count(), 2);
        prop_assert_eq!(fs::read(&outside).unwrap(), b"untouched");
        let after = fs::metadata(&outside).unwrap();
        let facts = |data: &fs::Metadata| (data.mode(), data.uid(), data.mtime(), data.nlink());
        prop_assert_eq!(facts(&after), facts(&before));
        if unpacked {
            let (mut first, mut second) = (Vec::new(), Vec::new());
            let owners = Owners::of_process();
            pack(&layer, owners, u64::MAX, &mut first).unwrap();
            let again = above.path().join("again");
            fs::create_dir(&again).unwrap();
            let limits = Limits::default();
            unpack(Cursor::new(&first), &again, owners, limits).unwrap();
            pack(&again, owners, u64::MAX, &mut second).unwrap();
            prop_assert!(first == second, "another archive of the same layer");
        }
    }
}
