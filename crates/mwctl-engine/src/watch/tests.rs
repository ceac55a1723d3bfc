//! The watcher against a real folder: each test waits for the event, never for a time.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;

use mwctl_core::model::Develop;

use super::*;

fn rules() -> Rules {
    let develop = Develop {
        directory: "/srv/service".into(),
        exclude: vec!["ignored/".into()],
        dependencies: None,
        restart: vec![],
        rebuild: vec![],
        command: vec![],
        environment: BTreeMap::new(),
        in_place: false,
        mount: false,
        on_change: Vec::new(),
        stop_timeout_ms: 1000,
    };
    Rules::new(&develop, &[]).expect("the patterns are valid")
}

fn watch(root: &Path) -> Watch {
    let folders = checkout::walk(root, "", &rules())
        .expect("the folder can be read")
        .folders;
    Watch::new(root, rules(), &folders).expect("the folder can be watched")
}

/// Collects what is seen until `path` is among it.
async fn until(watch: &mut Watch, path: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    while !seen.contains(path) {
        let next = tokio::time::timeout(Duration::from_secs(10), watch.next()).await;
        match next.unwrap_or_else(|late| panic!("`{path}` was not seen, only {seen:?}: {late}")) {
            Seen::Paths(paths) => seen.extend(paths),
            other => panic!("unexpected: {other:?}"),
        }
    }
    seen
}

#[tokio::test]
async fn a_file_is_seen_when_it_is_closed_and_not_before() {
    let root = tempfile::tempdir().expect("a folder");
    let mut watch = watch(root.path());
    let mut file = fs::File::create(root.path().join("half.js")).expect("a file");
    file.write_all(b"half").expect("a write");
    fs::write(root.path().join("marker"), b"x").expect("a file");
    assert!(!until(&mut watch, "marker").await.contains("half.js"));
    drop(file);
    until(&mut watch, "half.js").await;
}

#[tokio::test]
async fn a_rename_over_a_file_and_a_removal_are_seen() {
    let root = tempfile::tempdir().expect("a folder");
    fs::write(root.path().join("app.js"), b"1").expect("a file");
    fs::write(root.path().join("gone.js"), b"1").expect("a file");
    let mut watch = watch(root.path());
    fs::write(root.path().join(".app.js.tmp"), b"2").expect("a file");
    fs::rename(root.path().join(".app.js.tmp"), root.path().join("app.js")).expect("a rename");
    until(&mut watch, "app.js").await;
    fs::remove_file(root.path().join("gone.js")).expect("a removal");
    until(&mut watch, "gone.js").await;
}

#[tokio::test]
async fn what_comes_into_a_new_folder_is_seen_however_deep() {
    let root = tempfile::tempdir().expect("a folder");
    let mut watch = watch(root.path());
    fs::create_dir_all(root.path().join("a/b/c")).expect("folders");
    fs::write(root.path().join("a/b/c/deep.js"), b"1").expect("a file");
    until(&mut watch, "a/b/c/deep.js").await;
    fs::write(root.path().join("a/b/c/later.js"), b"1").expect("a file");
    until(&mut watch, "a/b/c/later.js").await;
}

#[tokio::test]
async fn an_ignored_folder_is_not_watched() {
    let root = tempfile::tempdir().expect("a folder");
    fs::create_dir(root.path().join("ignored")).expect("a folder");
    let mut watch = watch(root.path());
    fs::write(root.path().join("ignored/noise"), b"1").expect("a file");
    fs::write(root.path().join("marker"), b"1").expect("a file");
    assert!(!until(&mut watch, "marker").await.contains("ignored/noise"));
}

#[tokio::test]
async fn a_link_and_a_changed_mode_are_seen() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().expect("a folder");
    fs::write(root.path().join("run.sh"), b"#!/bin/sh").expect("a file");
    let mut watch = watch(root.path());
    std::os::unix::fs::symlink("run.sh", root.path().join("link")).expect("a link");
    until(&mut watch, "link").await;
    fs::set_permissions(
        root.path().join("run.sh"),
        fs::Permissions::from_mode(0o755),
    )
    .expect("a mode");
    until(&mut watch, "run.sh").await;
}
