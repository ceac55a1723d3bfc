//! `apply`: dependencies are installed where the service runs.

use super::plain;

const PACKAGE: &str = r#"{
  "name": "plain",
  "version": "1.0.0",
  "private": true,
  "scripts": { "start": "node server.js", "test": "node test.js" },
  "dependencies": { "left-pad": "1.3.0" }
}
"#;

#[test]
fn apply_installs_a_new_dependency_and_offers_the_lock_file() {
    let cluster = plain("apply");
    let develop = cluster.run(&["develop", "plain", "--detach"]);
    assert_eq!(develop.code, Some(0), "{develop}");

    cluster.write("package.json", PACKAGE);
    cluster.write(
        "lib/place.js",
        "module.exports = require('left-pad')('moon', 8, '.');\n",
    );
    let apply = cluster.run(&["apply", "plain", "--take-lock-files"]);
    assert_eq!(apply.code, Some(0), "{apply}");
    let lock = std::fs::read_to_string(cluster.root().join("package-lock.json"));
    assert!(lock.expect("the lock file was taken").contains("left-pad"));

    let forward = cluster.start(&["forward", "plain:0"]);
    cluster.answers(&forward, "/", |reply| reply.body == "hello ....moon\n");
}

#[test]
fn without_being_asked_a_lock_file_is_offered_and_not_written() {
    let cluster = plain("offer");
    let develop = cluster.run(&["develop", "plain", "--detach"]);
    assert_eq!(develop.code, Some(0), "{develop}");
    cluster.write("package.json", PACKAGE);
    let apply = cluster.run(&["apply", "plain"]);
    assert_eq!(apply.code, Some(0), "{apply}");
    assert!(apply.stdout.contains("package-lock.json"), "{apply}");
    assert!(!cluster.root().join("package-lock.json").exists());
}

#[test]
fn tests_find_the_dependencies_that_the_checkout_asks_for() {
    let cluster = plain("test-dependencies");
    cluster.write("package.json", PACKAGE);
    cluster.write(
        "test.js",
        "process.exit(require('left-pad')('x', 6).length);\n",
    );
    let test = cluster.run(&["test", "plain"]);
    assert_eq!(test.code, Some(6), "{test}");
    let without = cluster.run(&["test", "plain", "--no-dependencies"]);
    assert_eq!(cluster.pods(), Vec::<String>::new(), "nothing is left");
    // The image of the service as it stands has them as well: nothing is missing there.
    assert_eq!(without.code, Some(6), "{without}");
}
