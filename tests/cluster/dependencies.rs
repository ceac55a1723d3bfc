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
