//! The init container's copy, and that what it seeds may be deleted later.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use mwctl_agent::protocol::Entry;

use crate::stage::{Stage, agent};

#[test]
fn the_image_fills_the_volumes_once_and_its_source_files_are_the_sessions() {
    let stage = Stage::prepared(|app| {
        let image = app.parent().unwrap().join("image");
        fs::create_dir_all(image.join("lib")).unwrap();
        fs::create_dir_all(image.join("node_modules/.bin")).unwrap();
        fs::create_dir_all(image.join("deep/.git")).unwrap();
        fs::write(image.join("deep/.git/HEAD"), "x").unwrap();
        fs::write(image.join("server.js"), "server").unwrap();
        fs::write(image.join("lib/old.js"), "old").unwrap();
        fs::write(image.join("compiled.so"), "built").unwrap();
        fs::write(image.join("node_modules/tool.js"), "tool").unwrap();
        fs::set_permissions(image.join("server.js"), PermissionsExt::from_mode(0o4444)).unwrap();
        symlink("../tool.js", image.join("node_modules/.bin/tool")).unwrap();
        fs::write(
            app.parent().unwrap().join("sources"),
            "server.js\nlib/old.js\n../x\n",
        )
        .unwrap();
        fs::create_dir(app.parent().unwrap().join("modules")).unwrap();
        let at = |name: &str| app.parent().unwrap().join(name);
        let copy = || {
            let status = agent()
                .arg("copy")
                .args(["--from".as_ref(), at("image").as_os_str()])
                .args(["--to".as_ref(), app.as_os_str()])
                .args(["--run-directory".as_ref(), at("run").as_os_str()])
                .args(["--source-files".as_ref(), at("sources").as_os_str()])
                .args(["--exclude", ".git", "--volume"])
                .arg(format!("node_modules={}", at("modules").display()))
                .status()
                .unwrap();
            assert!(status.success());
        };
        copy();
        assert_eq!(fs::read_to_string(app.join("server.js")).unwrap(), "server");
        let mode = fs::metadata(app.join("server.js"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(
            mode & 0o7777,
            0o644,
            "writable for the user, without set-id bits"
        );
        let time = |path| fs::metadata(path).unwrap().modified().unwrap();
        assert_eq!(time(app.join("server.js")), time(image.join("server.js")));
        assert_eq!(fs::read_dir(app.join("node_modules")).unwrap().count(), 0);
        assert_eq!(
            fs::read_to_string(at("modules").join(".bin/tool")).unwrap(),
            "tool"
        );
        assert!(!app.join("deep/.git").exists());
        // The container starts again: what was changed since stays.
        fs::write(app.join("server.js"), "edited").unwrap();
        fs::write(app.join("upload"), "user").unwrap();
        copy();
        assert_eq!(fs::read_to_string(app.join("server.js")).unwrap(), "edited");
    })
    .start(&[], "exec sleep 1000");
    let mut session = stage.session("anna");
    let applied = session.converge(&[("server.js", "edited")]);
    assert_eq!((applied.written, applied.deleted), (0, 1));
    assert!(
        !stage.path("lib/old.js").exists(),
        "the checkout doesn't have it any more"
    );
    assert_eq!(stage.text("compiled.so"), "built", "not from the source");
    assert_eq!(stage.text("upload"), "user");
}

#[test]
fn a_copy_from_nowhere_fails_with_the_place() {
    let directory = tempfile::tempdir().unwrap();
    let output = agent()
        .args(["copy", "--from", "/no/such/place", "--to"])
        .arg(directory.path())
        .arg("--run-directory")
        .arg(directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`/no/such/place`"));
}

#[test]
fn of_an_image_the_dependencies_alone_are_copied_where_the_checkout_is_mounted() {
    let prepared = Stage::prepared(|app| {
        let at = |name: &str| app.parent().unwrap().join(name);
        fs::create_dir_all(at("image/node_modules")).unwrap();
        fs::write(at("image/server.js"), "server").unwrap();
        fs::write(at("image/package.json"), "{}").unwrap();
        fs::write(at("image/node_modules/tool.js"), "tool").unwrap();
        fs::write(at("sources"), "server.js\npackage.json\n").unwrap();
        fs::create_dir(at("modules")).unwrap();
        let status = agent()
            .arg("copy")
            .args(["--from".as_ref(), at("image").as_os_str()])
            .args(["--run-directory".as_ref(), at("run").as_os_str()])
            .args(["--source-files".as_ref(), at("sources").as_os_str()])
            .arg("--volume")
            .arg(format!("node_modules={}", at("modules").display()))
            .status()
            .unwrap();
        assert!(status.success());
        assert_eq!(fs::read_to_string(at("modules/tool.js")).unwrap(), "tool");
        assert_eq!(fs::read_dir(app).unwrap().count(), 0);
        assert_eq!(fs::read_dir(at("modules")).unwrap().count(), 1);
        // The checkout, mounted.
        fs::write(app.join("server.js"), "edited").unwrap();
        fs::write(app.join("package.json"), "{}").unwrap();
    });
    let stage = prepared.start(&["--mounted"], "exec sleep 1000");
    let mut session = stage.session("anna");
    let entry = |path: &str, text: &str| Entry::file(path, text.as_bytes(), false);
    let wanted = vec![entry("server.js", "edited"), entry("package.json", "{}")];
    // The dependencies were made for this `package.json`.
    assert_eq!(session.want(1, wanted), ["server.js"]);
}
