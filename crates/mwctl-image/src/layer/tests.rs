//! Archives there and back, and archives that mean harm.

use std::fs;
use std::io::Cursor;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::*;
use crate::owners::Owners;

/// An archive in the making.
struct Archive(Builder<Vec<u8>>);

impl Archive {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn entry(mut self, kind: EntryType, name: &str, target: &str, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
        header.set_size(content.len() as u64);
        header.set_mtime(7);
        // Past the checks of the library: hostile archives weren't made with it.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    fn file(self, name: &str, content: &str) -> Self {
        self.entry(EntryType::Regular, name, "", content.as_bytes())
    }

    fn folder(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name, "", b"")
    }

    fn link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name, target, b"")
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    fn unpack(self) -> Result<TempDir, UnpackError> {
        unpack_bytes(&self.bytes(), Limits::default())
    }
}

fn unpack_bytes(bytes: &[u8], limits: Limits) -> Result<TempDir, UnpackError> {
    let folder = tempfile::tempdir().unwrap();
    unpack(
        Cursor::new(bytes),
        folder.path(),
        Owners::of_process(),
        limits,
    )?;
    Ok(folder)
}

/// Unpacks upon other layers, the topmost first.
fn unpack_over(archive: Archive, lower: &[&TempDir]) -> (TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let lower = lower.iter().map(|it| it.path().to_path_buf()).collect();
    let implied = unpack_upon(
        Cursor::new(archive.bytes()),
        folder.path(),
        Owners::of_process(),
        Limits::default(),
        &crate::view::View::new(lower),
    );
    let implied = implied.unwrap().into_iter();
    let implied = implied.map(|path| path.display().to_string());
    (folder, implied.collect())
}

fn pack_bytes(folder: &Path) -> (Vec<u8>, Packed) {
    let mut bytes = Vec::new();
    let packed = pack(folder, Owners::of_process(), u64::MAX, &mut bytes).unwrap();
    (bytes, packed)
}

fn read(folder: &TempDir, path: &str) -> String {
    fs::read_to_string(folder.path().join(path)).unwrap()
}

fn is_deleted(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|data| is_whiteout(&data))
}

#[test]
fn what_was_packed_and_unpacked_packs_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    fs::create_dir_all(at("a/b")).unwrap();
    fs::write(at("a/b/program"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(at("a/b/program"), fs::Permissions::from_mode(0o6755)).unwrap();
    fs::hard_link(at("a/b/program"), at("a/same")).unwrap();
    symlink("../../outside//it", at("a/link")).unwrap();
    symlink("x".repeat(300), at("a/far")).unwrap();
    fs::create_dir_all(at(&"deep/".repeat(60))).unwrap();
    fs::write(at(&format!("{}file", "deep/".repeat(60))), "found").unwrap();
    fs::create_dir(at("opaque")).unwrap();
    xattr::set_opaque(&at("opaque")).unwrap();
    delete_name(&at("a/gone"));
    fs::write(at("closed"), "secret").unwrap();
    xattr::set(&at("closed"), b"user.note", b"\0binary\n").unwrap();
    fs::set_permissions(at("closed"), fs::Permissions::from_mode(0o400)).unwrap();

    let (bytes, packed) = pack_bytes(folder.path());
    let again = unpack_bytes(&bytes, Limits::default()).unwrap();
    assert_eq!(pack_bytes(again.path()).1, packed);

    let at = |path: &str| again.path().join(path);
    let program = fs::metadata(at("a/b/program")).unwrap();
    assert_eq!(program.mode() & 0o7777, 0o6755);
    assert_eq!(program.ino(), fs::metadata(at("a/same")).unwrap().ino());
    assert_eq!(
        fs::read_link(at("a/link")).unwrap(),
        Path::new("../../outside//it")
    );
    assert!(is_deleted(&at("a/gone")));
    assert!(xattr::is_opaque(&at("opaque")));
    assert_eq!(
        xattr::list(&at("closed")).unwrap(),
        [(b"user.note".to_vec(), b"\0binary\n".to_vec())]
    );
}

fn delete_name(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
}

#[test]
fn the_order_in_which_files_were_made_and_their_times_dont_matter() {
    let make = |names: [&str; 3]| {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let mut bytes = Vec::new();
        pack(folder.path(), Owners::of_process(), 0, &mut bytes).unwrap()
    };
    assert_eq!(make(["a", "b", "c"]), make(["c", "a", "b"]));
}

#[test]
fn holes_stay_holes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse");
    fs::File::create(&path).unwrap().set_len(64 << 20).unwrap();
    let (bytes, _) = pack_bytes(folder.path());
    let again = unpack_bytes(&bytes, Limits::default()).unwrap();
    let data = fs::metadata(again.path().join("sparse")).unwrap();
    assert_eq!(data.len(), 64 << 20);
    assert!(data.blocks() * 512 < 1 << 20, "{} blocks", data.blocks());
}

#[test]
fn deleted_names_and_hidden_folders_take_overlay_form() {
    let folder = Archive::new()
        .file("etc/.wh.shadow", "")
        .folder("var/")
        .file("var/.wh..wh..opq", "")
        .file(".wh..wh.plnk", "")
        .unpack()
        .unwrap();
    assert!(is_deleted(&folder.path().join("etc/shadow")));
    assert!(xattr::is_opaque(&folder.path().join("var")));
    assert!(!folder.path().join(".wh..wh.plnk").exists());
}

#[test]
fn a_name_that_is_deleted_and_made_anew_is_the_new_one() {
    let after = Archive::new()
        .file(".wh.a", "")
        .file("a", "new")
        .file(".wh.b", "")
        .folder("b/")
        .unpack()
        .unwrap();
    assert_eq!(read(&after, "a"), "new");
    assert!(xattr::is_opaque(&after.path().join("b")));
    let before = Archive::new()
        .file("a", "new")
        .file(".wh.a", "")
        .folder("b/")
        .file(".wh.b", "")
        .unpack()
        .unwrap();
    assert_eq!(read(&before, "a"), "new");
    assert!(xattr::is_opaque(&before.path().join("b")));
}

#[test]
fn a_later_entry_replaces_an_earlier_one_of_any_kind() {
    let folder = Archive::new()
        .folder("a/")
        .file("a/b", "1")
        .link("a", "c")
        .file("d", "1")
        .folder("d/")
        .file("d/e", "2")
        .file("f", "1")
        .file("f", "2")
        .unpack()
        .unwrap();
    assert_eq!(
        fs::read_link(folder.path().join("a")).unwrap(),
        Path::new("c")
    );
    assert_eq!(read(&folder, "d/e"), "2");
    assert_eq!(read(&folder, "f"), "2");
}

#[test]
fn no_name_leads_out_of_the_layer() {
    for name in ["../x", "a/../../x", "/../x"] {
        let refused = Archive::new().file(name, "harm").unpack();
        assert!(
            matches!(refused, Err(UnpackError::Refused { .. })),
            "{name}"
        );
    }
    let folder = Archive::new()
        .file("/etc/passwd", "inside")
        .unpack()
        .unwrap();
    assert_eq!(read(&folder, "etc/passwd"), "inside");
}

#[test]
fn links_lead_where_they_would_in_the_container() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    // Made and used, directly, through another one, and in place of a folder that was open.
    let folder = Archive::new()
        .link("out", target)
        .folder(&format!("{}/", &target[1..]))
        .file("out/x", "inside")
        .link("up", "../../../..")
        .file("up/y", "inside")
        .folder("changes/")
        .file("changes/1", "inside")
        .link("changes", target)
        .file("changes/2", "inside")
        .unpack()
        .unwrap();
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(read(&folder, &format!("{}/x", &target[1..])), "inside");
    assert_eq!(read(&folder, &format!("{}/2", &target[1..])), "inside");
    assert_eq!(read(&folder, "y"), "inside");
}

#[test]
fn a_file_is_never_written_through_a_link() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("file");
    fs::write(&target, "mine").unwrap();
    let folder = Archive::new()
        .link("a", target.to_str().unwrap())
        .file("a", "harm")
        .unpack()
        .unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
    assert_eq!(read(&folder, "a"), "harm");
}

#[test]
fn hard_links_are_only_to_files_of_the_layer() {
    for target in ["/etc/passwd", "../x", "missing", "folder"] {
        let refused = Archive::new()
            .folder("folder/")
            .entry(EntryType::Link, "a", target, b"")
            .unpack();
        assert!(
            matches!(refused, Err(UnpackError::Refused { .. })),
            "{target}"
        );
    }
    let itself = Archive::new()
        .file("a", "kept")
        .entry(EntryType::Link, "a", "./a", b"");
    assert_eq!(read(&itself.unpack().unwrap(), "a"), "kept");
}

#[test]
fn devices_are_left_out() {
    let folder = Archive::new()
        .entry(EntryType::Char, "dev/null", "", b"")
        .entry(EntryType::Block, "dev/sda", "", b"")
        .entry(EntryType::Fifo, "run/pipe", "", b"")
        .unpack()
        .unwrap();
    assert_eq!(fs::read_dir(folder.path().join("dev")).unwrap().count(), 0);
    let pipe = fs::metadata(folder.path().join("run/pipe")).unwrap();
    assert!(pipe.file_type().is_fifo());
}

#[test]
fn an_archive_cant_set_the_overlays_own_attributes() {
    let mut builder = Builder::new(Vec::new());
    let attributes: [(&str, &[u8]); 3] = [
        ("SCHILY.xattr.user.overlay.redirect", b"/etc"),
        ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ("SCHILY.xattr.user.mine", b"kept"),
    ];
    builder.append_pax_extensions(attributes).unwrap();
    let folder = Archive(builder).folder("a/").unpack().unwrap();
    let a = folder.path().join("a");
    assert!(!xattr::is_opaque(&a));
    let mut value = [0; 16];
    let redirect = rustix::fs::lgetxattr(&a, "user.overlay.redirect", &mut value);
    assert_eq!(redirect, Err(rustix::io::Errno::NODATA));
    assert_eq!(xattr::list(&a).unwrap().len(), 1);
}

#[test]
fn bombs_are_refused_before_they_are_on_the_disk() {
    let limits = Limits {
        entries: 3,
        bytes: 1000,
    };
    let many = (0..4).fold(Archive::new(), |archive, number| {
        archive.folder(&format!("{number}/"))
    });
    let refused = unpack_bytes(&many.bytes(), limits);
    assert!(matches!(
        refused,
        Err(UnpackError::TooLarge {
            what: "entries",
            ..
        })
    ));
    let large = Archive::new().file("a", &"x".repeat(1001)).bytes();
    let refused = unpack_bytes(&large, limits);
    assert!(matches!(
        refused,
        Err(UnpackError::TooLarge { what: "bytes", .. })
    ));
}

#[test]
fn a_name_may_not_fill_the_memory() {
    let name = vec![b'a'; 16 << 20];
    let bomb = Archive::new().entry(EntryType::GNULongName, "././@LongLink", "", &name);
    let refused = bomb.file("a", "").unpack();
    assert!(matches!(refused, Err(UnpackError::Read(_))), "{refused:?}");
}

#[test]
fn a_name_that_deletes_another_is_no_folder() {
    let by_name = Archive::new().file("a/.wh.b/c", "");
    let by_link = Archive::new().link("a", ".wh.b").file("a/c", "");
    for refused in [by_name.unpack(), by_link.unpack()] {
        assert!(
            matches!(refused, Err(UnpackError::Refused { why, .. }) if why.contains("deletes")),
            "{refused:?}"
        );
    }
    // An old union filesystem had such ones for itself.
    let folder = Archive::new().file(".wh..wh.plnk/1.2", "").file("a", "");
    let folder = folder.unpack().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_torn_archive_is_an_error() {
    let bytes = Archive::new().file("a", &"x".repeat(5000)).bytes();
    let refused = unpack_bytes(&bytes[..3000], Limits::default());
    assert!(refused.is_err());
}

#[test]
fn owners_are_those_of_the_image() {
    let owners = Owners::of_process();
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_uid(33);
    header.set_gid(44);
    header.set_mode(0o4755);
    header.set_size(0);
    let mut builder = Builder::new(Vec::new());
    builder.append_data(&mut header, "a", &b""[..]).unwrap();
    let folder = Archive(builder).unpack().unwrap();
    let data = fs::metadata(folder.path().join("a")).unwrap();
    if owners == Owners::Single {
        // The mode stays, the owner can't.
        assert_eq!(data.mode() & 0o7777, 0o4755);
        return;
    }
    assert_eq!(owners.in_image(data.uid()), 33);
    assert_eq!(owners.in_image(data.gid()), 44);
}

#[test]
fn an_owner_that_nobody_can_have_here_is_named() {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_uid(1_000_000);
    header.set_size(0);
    let mut builder = Builder::new(Vec::new());
    builder.append_data(&mut header, "far", &b""[..]).unwrap();
    let bytes = Archive(builder).bytes();
    let folder = tempfile::tempdir().unwrap();
    let few = Owners::Kept { count: 65536 };
    let refused = unpack(Cursor::new(bytes), folder.path(), few, Limits::default());
    assert!(matches!(refused, Err(UnpackError::Owner { .. })));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_write_outside(
        mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2048),
        kind in 0_u8..=255,
        name in "[./a]{0,12}",
    ) {
        // Random bytes alone never get past the checksum: some start with a proper header.
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("layer");
        fs::create_dir(&folder).unwrap();
        let archive = Archive::new()
            .link("a", "..")
            .entry(EntryType::new(kind), &name, "../a", &bytes)
            .bytes();
        bytes.splice(0..0, archive[..archive.len() - 1024].iter().copied());
        drop(unpack(Cursor::new(bytes), &folder, Owners::of_process(), Limits::default()));
        proptest::prop_assert_eq!(fs::read_dir(above.path()).unwrap().count(), 1);
    }
}

#[test]
fn folders_that_only_lead_to_entries_are_those_of_the_layers_below() {
    let lower = Archive::new()
        .file("usr/bin/sh", "sh")
        .link("bin", "usr/bin");
    let lower = lower.link("old", "/var").folder("tmp/").unpack().unwrap();
    fs::set_permissions(lower.path().join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    let upper = Archive::new()
        .file("bin/foo", "foo")
        .entry(EntryType::Link, "bin/again", "bin/foo", b"")
        .file("tmp/x/y", "y")
        .file("bin/.wh.sh", "")
        .folder("bin/own/")
        .file("old/z", "z");
    let (folder, implied) = unpack_over(upper, &[&lower]);
    assert_eq!(implied, ["tmp", "tmp/x", "usr", "usr/bin", "var"]);
    assert_eq!(read(&folder, "usr/bin/again"), "foo");
    assert_eq!(read(&folder, "var/z"), "z");
    let data = |path: &str| fs::symlink_metadata(folder.path().join(path));
    assert_eq!(data("tmp").unwrap().mode() & 0o7777, 0o1777);
    assert_eq!(data("tmp/x").unwrap().mode() & 0o7777, 0o755);
    assert!(data("usr/bin/own").unwrap().is_dir());
    assert!(data("usr/bin/sh").unwrap().file_type().is_char_device());
    assert!(data("bin").is_err() && data("old").is_err());
    // A folder with an entry of its own takes the link's place, and one that hides is new.
    let upper = Archive::new()
        .folder("bin/")
        .file("bin/foo", "foo")
        .folder("tmp/")
        .file("tmp/.wh..wh..opq", "")
        .file("usr/.wh..wh..opq", "")
        .file("usr/bin/x", "x");
    let (folder, implied) = unpack_over(upper, &[&lower]);
    assert_eq!(implied, ["usr", "usr/bin"]);
    assert_eq!(read(&folder, "bin/foo"), "foo");
    let upper = Archive::new()
        .file(".wh..wh..opq", "")
        .file("bin/foo", "foo");
    assert_eq!(unpack_over(upper, &[&lower]).1, ["bin"]);
}

#[test]
fn what_an_archive_says_of_a_folder_counts_also_where_it_says_it_late() {
    let mut builder = Builder::new(Vec::new());
    for (name, mode) in [("a/b", 0o644), ("a/", 0o700), ("a/", 0o750), ("./", 0o711)] {
        let mut header = Header::new_gnu();
        let is_folder = name.ends_with('/');
        header.set_entry_type(if is_folder {
            EntryType::Directory
        } else {
            EntryType::Regular
        });
        header.set_mode(mode);
        header.set_size(0);
        builder.append_data(&mut header, name, &b""[..]).unwrap();
    }
    let folder = Archive(builder).unpack().unwrap();
    let mode = |path: &str| folder.path().join(path).metadata().unwrap().mode() & 0o7777;
    assert_eq!((mode("a"), mode("")), (0o750, 0o711));
}

#[test]
fn a_folder_that_was_deleted_and_is_led_through_is_new() {
    let archive = Archive::new().file(".wh.a", "").file("a/b", "new");
    let folder = archive.unpack().unwrap();
    assert_eq!(read(&folder, "a/b"), "new");
    assert!(is_opaque(&folder.path().join("a")));
    // Through a link of its own to a folder that only layers below have.
    let folder = Archive::new().link("l", "far/away").file("l/x", "x");
    assert_eq!(read(&folder.unpack().unwrap(), "far/away/x"), "x");
}
