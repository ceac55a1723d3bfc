//! Wikimedia's development stack in miniature: a page with a formula goes from MediaWiki through the stand-in for
//! RESTBase to Mathoid and back.

use std::path::Path;

use mwctl_tests::cluster::{copy, get, post};
use tempfile::TempDir;

use crate::sample::{Sample, eventually};

/// What the test bed's node lacks. It pulls from no registry, so that each image is built upon the stand-in of that name in
/// this machine's store and brought there, as an own Dockerfile's is; and it has nobody who makes volumes.
const OVERRIDES: &str = "apiVersion: mwctl/v1
kind: Overrides
services:
  mediawiki: {source: {path: images/mediawiki}, container: {build: {file: Dockerfile}}}
  tables: {source: {path: images/mediawiki}, container: {build: {file: Dockerfile}}}
  mariadb:
    convention: mariadb
    source: {path: images/mariadb}
    container: {build: {file: Dockerfile}}
    volumes: {data: {size: }}
";

/// The stack as it is shipped, and what one person's overrides say beside it.
fn stack() -> TempDir {
    let folder = TempDir::with_prefix("wiki-").unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conventions/stacks/mediawiki");
    copy(&shipped, folder.path());
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("mwctl.local.yaml", OVERRIDES);
    for image in ["mediawiki:1.43", "mariadb:10.11"] {
        let (name, _) = image.split_once(':').unwrap();
        let recipe = format!("FROM docker.io/library/{image}\n");
        write(&format!("images/{name}/Dockerfile"), &recipe);
    }
    folder
}

#[test]
#[ignore = "it needs the real cluster, and installs hundreds of packages: `tests/shipped/run --full` runs it"]
fn a_formula_on_a_page_is_rendered_by_the_whole_chain() {
    let stack = stack();
    let sample = Sample::up_from(stack.path(), "wiki");
    let (_forward, local) = sample.forward("mediawiki:0");
    let page = eventually("the main page", || {
        get(&local, "/index.php/Main_Page").filter(|reply| reply.status == 200)
    });
    assert!(page.body.contains("MediaWiki"), "{}", page.body);
    let formula =
        "action=parse&format=json&contentmodel=wikitext&text=%3Cmath%3EE%3Dmc%5E2%3C%2Fmath%3E";
    let parsed = post(&local, "/api.php", formula).unwrap();
    // What Mathoid makes of it: MathML that can be read aloud, too.
    assert!(parsed.body.contains("<math"), "{}", parsed.body);
    let aloud = "upper E equals m c squared";
    assert!(parsed.body.contains(aloud), "{}", parsed.body);
    let wrong =
        "action=parse&format=json&contentmodel=wikitext&text=%3Cmath%3E%5Cnosuch%3C%2Fmath%3E";
    let parsed = post(&local, "/api.php", wrong).unwrap();
    assert!(parsed.body.contains("unknown function"), "{}", parsed.body);
    sample.down();
}
