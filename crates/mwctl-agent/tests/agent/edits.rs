//! Files: what is written, what is deleted, what is never touched.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use mwctl_agent::protocol::{
    Applied, CHUNK, Entry, EntryKind, FromAgent, Hash, Put, ToAgent, transfer,
};

use crate::stage::Stage;

const IDLE: &str = "exec sleep 1000";

fn reasons(applied: &Applied) -> Vec<(String, String)> {
    let all = applied.failed.iter().chain(&applied.kept);
    all.map(|refused| (refused.path.clone(), refused.reason.clone()))
        .collect()
}

#[test]
fn a_save_is_in_the_container_when_it_is_reported() {
    let stage = Stage::run(&[], IDLE);
    let mut session = stage.session("anna");
    let applied = session.edit(&[("lib/routes/root.js", "one")], &[]);
    assert_eq!(
        (applied.written, applied.deleted, reasons(&applied)),
        (1, 0, vec![])
    );
    assert_eq!(stage.text("lib/routes/root.js"), "one");
    session.edit(&[("lib/routes/root.js", "two"), ("b", "")], &[]);
    assert_eq!(
        (stage.text("lib/routes/root.js"), stage.text("b")),
        ("two".into(), String::new())
    );
}

#[test]
fn modes_and_links_arrive() {
    let stage = Stage::run(&[], IDLE);
    let mut session = stage.session("anna");
    let commit = session.commit();
    let update = commit.update;
    let puts = vec![
        Put::file("bin/run", b"#!/bin/sh\n", true),
        Put::symlink("current", "bin/run"),
    ];
    session.send(&ToAgent::Update {
        puts,
        deletes: vec![],
        commit,
    });
    assert_eq!(session.applied(update).written, 2);
    let mode = fs::metadata(stage.path("bin/run"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o755);
    assert_eq!(
        fs::read_link(stage.path("current")).unwrap().to_str(),
        Some("bin/run")
    );
}

#[test]
fn converging_sends_only_what_differs_and_deletes_only_its_own() {
    let stage = Stage::prepared(|app| {
        fs::create_dir_all(app.join("node_modules/x")).unwrap();
        fs::write(app.join("node_modules/x/index.js"), "generated").unwrap();
        fs::write(app.join("same.js"), "same").unwrap();
        fs::write(app.join("other.js"), "of the image").unwrap();
        fs::write(app.join("upload.bin"), "of a user").unwrap();
    })
    .start(&[], IDLE);
    let mut session = stage.session("anna");
    let files = [
        ("same.js", "same"),
        ("other.js", "mine"),
        ("deep/er/new.js", "new"),
    ];
    assert_eq!(session.converge(&files).written, 2);
    assert_eq!(stage.text("other.js"), "mine");
    let applied = session.converge(&[("other.js", "mine")]);
    assert_eq!(
        (applied.written, applied.deleted, reasons(&applied)),
        (0, 2, vec![])
    );
    assert!(
        !stage.path("same.js").exists(),
        "an adopted file is the session's"
    );
    assert!(
        !stage.path("deep").exists(),
        "empty parents that the agent made are removed"
    );
    assert_eq!(stage.text("node_modules/x/index.js"), "generated");
    assert_eq!(stage.text("upload.bin"), "of a user");
}

#[test]
fn the_manifest_survives_the_agent() {
    let mut stage = Stage::run(&[], IDLE);
    stage
        .session("anna")
        .edit(&[("a.js", "a"), ("b.js", "b")], &[]);
    fs::write(stage.path("foreign"), "kept").unwrap();
    stage.agent.kill().unwrap();
    stage.wait();
    let second = stage.start_again(&[], IDLE);
    let mut session = second.session("anna");
    let last = session.welcome.as_ref().unwrap().last_update.clone();
    assert_eq!(last, Some(("anna".into(), 1)));
    let applied = session.converge(&[("a.js", "a")]);
    assert_eq!((applied.written, applied.deleted), (0, 1));
    assert!(!second.path("b.js").exists());
    assert_eq!(second.text("foreign"), "kept");
}

#[test]
fn a_deletion_of_what_is_not_ours_is_kept_and_reported() {
    let stage = Stage::prepared(|app| fs::write(app.join("image.js"), "image").unwrap());
    let stage = stage.start(&[], IDLE);
    let mut session = stage.session("anna");
    session.edit(&[("lock.json", "1")], &[]);
    fs::write(stage.path("lock.json"), "changed by npm").unwrap();
    let applied = session.edit(&[], &["image.js", "lock.json", "never-was"]);
    assert_eq!(
        (applied.deleted, applied.kept.len(), applied.failed.len()),
        (0, 2, 0)
    );
    assert!(
        reasons(&applied)[0]
            .1
            .contains("doesn't come from the checkout")
    );
    assert!(reasons(&applied)[1].1.contains("changed in the container"));
    assert_eq!(stage.text("lock.json"), "changed by npm");
}

#[test]
fn nothing_escapes_the_target() {
    let stage = Stage::prepared(|app| {
        symlink("/etc", app.join("etc")).unwrap();
        symlink("..", app.join("up")).unwrap();
        fs::write(app.join("file"), "").unwrap();
    })
    .start(&[], IDLE);
    let outside = stage.directory.path().join("escaped");
    let mut session = stage.session("anna");
    let absolute = outside.to_str().unwrap();
    let paths = [
        "../escaped",
        "up/escaped",
        "etc/mwctl-escaped",
        absolute,
        "a/../../escaped",
        "file/x",
    ];
    let puts: Vec<_> = paths.iter().map(|path| (*path, "out")).collect();
    let applied = session.edit(&puts, &[]);
    assert_eq!((applied.written, applied.failed.len()), (0, paths.len()));
    assert!(!outside.exists());
    assert!(!std::path::Path::new("/etc/mwctl-escaped").exists());
    for path in ["up/run/manifest", "../run/manifest", "etc/passwd"] {
        session.send(&ToAgent::Fetch {
            paths: vec![path.into()],
        });
        let entry = session.until(|message| match message {
            FromAgent::Fetched { entry, .. } => Some(entry.clone()),
            _ => None,
        });
        assert_eq!(entry, None, "{path}");
    }
    let applied = session.edit(&[], &["up/run/manifest", "../run/manifest"]);
    assert_eq!(applied.deleted, 0);
    assert!(stage.directory.path().join("run/manifest").exists());
}

#[test]
fn a_link_at_the_place_itself_is_replaced_and_not_followed() {
    let stage = Stage::prepared(|app| {
        fs::write(app.join("../outside"), "outside").unwrap();
        symlink("../outside", app.join("config")).unwrap();
    })
    .start(&[], IDLE);
    let mut session = stage.session("anna");
    session.edit(&[("config", "mine")], &[]);
    let update = session.edit_with(&[("config", "mine again")], &[], |commit| {
        commit.in_place = true;
    });
    assert_eq!(session.applied(update).written, 1);
    assert_eq!(stage.text("config"), "mine again");
    assert_eq!(
        fs::read_to_string(stage.directory.path().join("outside")).unwrap(),
        "outside"
    );
}

#[test]
fn a_file_becomes_a_directory_and_back() {
    let stage = Stage::run(&[], IDLE);
    let mut session = stage.session("anna");
    session.converge(&[("a", "file")]);
    assert_eq!(reasons(&session.converge(&[("a/b/c", "deep")])), vec![]);
    assert_eq!(stage.text("a/b/c"), "deep");
    assert_eq!(reasons(&session.edit(&[("a", "file")], &["a/b/c"])), vec![]);
    assert_eq!(stage.text("a"), "file");
}

#[test]
fn a_directory_with_files_of_the_container_is_not_replaced() {
    let stage = Stage::prepared(|app| {
        fs::create_dir(app.join("cache")).unwrap();
        fs::write(app.join("cache/x"), "generated").unwrap();
    })
    .start(&[], IDLE);
    let mut session = stage.session("anna");
    let applied = session.edit(&[("cache", "a file"), ("ok", "ok")], &[]);
    assert_eq!((applied.written, applied.failed.len()), (1, 1));
    assert!(applied.failed[0].reason.contains("files of the container"));
    assert_eq!(stage.text("cache/x"), "generated");
}

#[test]
fn in_place_keeps_the_inode_and_a_rename_does_not() {
    let stage = Stage::run(&[], IDLE);
    let mut session = stage.session("anna");
    session.edit(&[("a.js", "a long first version")], &[]);
    let inode = || fs::metadata(stage.path("a.js")).unwrap().ino();
    let first = inode();
    let update = session.edit_with(&[("a.js", "short")], &[], |commit| commit.in_place = true);
    session.applied(update);
    assert_eq!((inode(), stage.text("a.js")), (first, "short".into()));
    session.edit(&[("a.js", "renamed")], &[]);
    assert_ne!(inode(), first);
}

#[test]
fn contents_that_do_not_fit_their_hash_are_not_written() {
    let stage = Stage::run(&[], IDLE);
    let mut session = stage.session("anna");
    session.edit(&[("a.js", "good")], &[]);
    let commit = session.commit();
    let update = commit.update;
    let mut bad = Put::file("a.js", b"evil", false);
    bad.entry = Entry::file("a.js", b"other", false);
    session.send(&ToAgent::Update {
        puts: vec![bad],
        deletes: vec![],
        commit,
    });
    assert_eq!(session.applied(update).failed.len(), 1);
    let commit = session.commit();
    let update = commit.update;
    let kind = EntryKind::File {
        hash: Hash::of(b"x"),
        size: CHUNK as u64,
        executable: false,
    };
    session.send(&ToAgent::Put {
        update,
        entry: Entry {
            path: "a.js".into(),
            kind,
        },
    });
    session.send(&ToAgent::Commit(commit));
    assert!(
        reasons(&session.applied(update))[0]
            .1
            .contains("not sent completely")
    );
    assert_eq!(stage.text("a.js"), "good");
    assert_eq!(temporaries(&stage), 0);
}

fn temporaries(stage: &Stage) -> usize {
    let names = fs::read_dir(stage.path("")).unwrap();
    names
        .filter(|name| {
            name.as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .contains("tmp")
        })
        .count()
}

#[test]
fn big_files_arrive_in_pieces() {
    let stage = Stage::run(&[], IDLE);
    let mut session = stage.session("anna");
    let big: Vec<u8> = (0..9_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let commit = session.commit();
    let update = commit.update;
    for message in transfer::edit(
        vec![(Entry::file("big", &big, false), big.clone())],
        vec![],
        commit,
    ) {
        session.send(&message);
    }
    assert_eq!(session.applied(update).written, 1);
    assert!(fs::read(stage.path("big")).unwrap() == big);
    session.send(&ToAgent::Fetch {
        paths: vec!["big".into()],
    });
    let mut back = Vec::new();
    while back.len() < big.len() {
        let piece = session.until(|message| match message {
            FromAgent::Contents { data } => Some(data.clone().unpack().unwrap()),
            _ => None,
        });
        back.extend(piece);
    }
    assert!(back == big);
}

#[test]
fn a_thousand_files_converge() {
    let stage = Stage::run(&[], IDLE);
    let mut session = stage.session("anna");
    let names: Vec<String> = (0..1000)
        .map(|n| format!("d{}/e{}/f{n}.js", n % 7, n % 31))
        .collect();
    let files: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), name.as_str()))
        .collect();
    let applied = session.converge(&files);
    assert_eq!((applied.written, reasons(&applied)), (1000, vec![]));
    for name in &names {
        assert_eq!(&stage.text(name), name);
    }
    let applied = session.converge(&files[..500]);
    assert_eq!((applied.written, applied.deleted), (0, 500));
}

#[test]
fn an_update_that_is_abandoned_leaves_no_trace() {
    let stage = Stage::run(&[], IDLE);
    let mut session = stage.session("anna");
    for message in transfer::put(7, Entry::file("a.js", b"x", false), b"x") {
        session.send(&message);
    }
    session.send(&ToAgent::Abandon { update: 7 });
    let applied = session.edit(&[("b.js", "b")], &[]);
    assert_eq!((applied.written, temporaries(&stage)), (1, 0));
    assert!(!stage.path("a.js").exists());
}

#[test]
fn a_mounted_checkout_is_told_of_and_never_written() {
    let stage = Stage::prepared(|app| fs::write(app.join("main.js"), "one").unwrap());
    let stage = stage.start(&["--mounted"], IDLE);
    let mut session = stage.session("anna");
    assert!(session.welcome.as_ref().unwrap().mounted);
    let main = |text: &str| Entry::file("main.js", text.as_bytes(), false);
    // The process hasn't been told of it, although it is there.
    assert_eq!(session.want(1, vec![main("one")]), ["main.js"]);
    let mut commit = session.commit();
    commit.update = 1;
    session.send(&ToAgent::Commit(commit));
    let applied = session.applied(1);
    assert_eq!((applied.written, reasons(&applied)), (1, vec![]));
    assert_eq!(session.want(2, vec![main("one")]), Vec::<String>::new());

    let mut commit = session.commit();
    commit.update = 3;
    let change = vec![(main("two"), Vec::new())];
    for message in transfer::edit(change, vec!["gone.js".to_owned()], commit) {
        session.send(&message);
    }
    let applied = session.applied(3);
    assert_eq!((applied.written, applied.deleted), (1, 0));
    assert_eq!(reasons(&applied), vec![]);
    assert_eq!(stage.text("main.js"), "one");

    // What another session finds new is what this one didn't tell.
    drop(session);
    let mut session = stage.session("berta");
    let wanted = vec![main("two"), Entry::file("b.js", b"b", false)];
    assert_eq!(session.want(1, wanted), ["b.js"]);
    let mut commit = session.commit();
    commit.update = 1;
    session.send(&ToAgent::Commit(commit));
    session.applied(1);
    // What is no longer wanted isn't removed either.
    assert_eq!(session.want(2, Vec::new()), Vec::<String>::new());
    let mut commit = session.commit();
    commit.update = 2;
    session.send(&ToAgent::Commit(commit));
    let applied = session.applied(2);
    assert_eq!((applied.deleted, reasons(&applied)), (2, vec![]));
    assert_eq!(stage.text("main.js"), "one");
}
