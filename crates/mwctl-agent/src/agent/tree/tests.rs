//! Nothing escapes, with `openat2` and without it.

use std::io::Write;
use std::os::unix::fs::symlink;

use super::*;
use crate::protocol::EntryKind;

fn path(text: &str) -> RelativePath {
    RelativePath::parse(text).unwrap()
}

fn each_way(check: impl Fn(&Path, &Rc<Tree>)) {
    for openat2 in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("target");
        std::fs::create_dir(&target).unwrap();
        let tree = Tree::open(&target).unwrap();
        if !openat2 {
            tree.forgo_openat2();
        }
        check(&target, &tree);
    }
}

fn write(tree: &Rc<Tree>, at: &str, text: &str) -> Result<Vec<String>, TreeError> {
    let (mut file, temporary) = tree.create_temporary(&path(at), false)?;
    file.write_all(text.as_bytes()).unwrap();
    let mut made = Vec::new();
    tree.place(&temporary, &path(at), &mut made).map(|()| made)
}

#[test]
fn files_are_written_in_directories_made_for_them() {
    each_way(|target, tree| {
        assert_eq!(write(tree, "a/b/c", "x").unwrap(), ["a", "a/b"]);
        assert_eq!(write(tree, "a/b/d", "y").unwrap(), Vec::<String>::new());
        assert_eq!(std::fs::read_to_string(target.join("a/b/c")).unwrap(), "x");
        assert_eq!(
            std::fs::read_dir(target).unwrap().count(),
            1,
            "no temporary file is left"
        );
    });
}

#[test]
fn no_link_is_followed_on_the_way() {
    each_way(|target, tree| {
        symlink("/", target.join("root")).unwrap();
        symlink("inner", target.join("link")).unwrap();
        std::fs::create_dir(target.join("inner")).unwrap();
        for at in ["root/tmp/x", "link/x", "root/x"] {
            assert_eq!(
                write(tree, at, "x").unwrap_err(),
                TreeError::InTheWay,
                "{at}"
            );
            assert_eq!(
                tree.found(&path(at)).unwrap_err(),
                TreeError::InTheWay,
                "{at}"
            );
            assert_eq!(
                tree.remove(&path(at)).unwrap_err(),
                TreeError::InTheWay,
                "{at}"
            );
        }
        let link = tree.found(&path("link")).unwrap();
        let target = "inner".to_owned();
        assert_eq!(link, Some(Found::Entry(EntryKind::Symlink { target })));
        assert!(tree.open_file(&path("link")).is_err());
        assert!(tree.open_in_place(&path("link")).is_none());
    });
}

#[test]
fn a_changed_file_is_hashed_again_although_its_size_stays() {
    each_way(|target, tree| {
        for text in ["one", "two", "six"] {
            std::fs::write(target.join("f"), text).unwrap();
            let Some(Found::Entry(found)) = tree.found(&path("f")).unwrap() else {
                panic!()
            };
            assert_eq!(
                found,
                crate::protocol::Entry::file("f", text.as_bytes(), false).kind
            );
        }
    });
}

#[test]
fn only_empty_directories_give_way_to_a_file() {
    each_way(|target, tree| {
        std::fs::create_dir_all(target.join("a/b/c")).unwrap();
        write(tree, "a", "file").unwrap();
        std::fs::create_dir_all(target.join("d/e")).unwrap();
        std::fs::write(target.join("d/e/kept"), "").unwrap();
        assert_eq!(
            write(tree, "d", "file").unwrap_err(),
            TreeError::DirectoryInTheWay
        );
        assert!(target.join("d/e/kept").exists());
    });
}

#[test]
fn a_pipe_is_neither_read_nor_waited_for() {
    each_way(|target, tree| {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, target.join("pipe"), kind, mode, 0).unwrap();
        assert_eq!(tree.found(&path("pipe")).unwrap(), Some(Found::Other));
        assert_eq!(
            tree.open_file(&path("pipe")).unwrap_err(),
            TreeError::NotAFile
        );
    });
}

#[test]
fn leftovers_of_a_killed_agent_are_removed() {
    each_way(|target, tree| {
        std::fs::create_dir(target.join("a")).unwrap();
        std::fs::write(target.join("a").join(format!("{TEMPORARY}1-0")), "").unwrap();
        std::fs::write(target.join("a/kept"), "").unwrap();
        tree.remove_leftovers("a");
        assert_eq!(std::fs::read_dir(target.join("a")).unwrap().count(), 1);
    });
}
