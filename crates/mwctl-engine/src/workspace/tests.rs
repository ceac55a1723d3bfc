//! Folders as they are on a disk: several files that make one stack.

use std::path::Path;

use mwctl_core::name::ServiceName;

use super::*;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    (folder, root)
}

fn loaded(root: &Path, profiles: &[&str]) -> Result<Stack, Vec<String>> {
    let profiles: Vec<String> = profiles.iter().map(|it| (*it).to_owned()).collect();
    let asked = Asked {
        profiles: &profiles,
        ..Asked::default()
    };
    match load(root, asked, &|_| None) {
        Ok(workspace) => Ok(workspace.stack),
        Err(Load::Problems(problems)) => Err(problems.iter().map(ToString::to_string).collect()),
        Err(error) => panic!("{error}"),
    }
}

fn names(stack: &Stack) -> Vec<&str> {
    stack.services.keys().map(ServiceName::as_str).collect()
}

const STACK: &str = "\
apiVersion: mwctl/v1
kind: Stack
name: site
include: [shared/stack.yaml]
manifests: [raw.yaml, more]
services:
  web:
    convention: thing
    needs: [store]
  extra:
    convention: thing
    profiles: [full]
";
const SHARED: &str = "\
apiVersion: mwctl/v1
kind: Stack
name: shared
services:
  store: {convention: thing, replicas: 2, source: {path: here}}
  web: {replicas: 3, settings: {a: shared, b: shared}}
";
const THING: &str = "\
apiVersion: mwctl/v1
kind: Convention
name: thing
container: {image: \"thing:1\", ports: [{port: 80}]}
";
const RAW: &str =
    "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}]}";
const MORE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n";

fn site() -> (tempfile::TempDir, PathBuf) {
    folder(&[
        ("mwctl.yaml", STACK),
        ("shared/stack.yaml", SHARED),
        ("shared/here/x", ""),
        ("conventions/thing.yaml", THING),
        ("conventions/other.yaml", "nothing: of ours\n"),
        ("raw.yaml", RAW),
        ("more/b.yaml", MORE),
        ("more/readme.txt", "no object"),
        (
            "mwctl.local.yaml",
            "apiVersion: mwctl/v1\nkind: Overrides\nservices: {web: {settings: {b: mine}}}\n",
        ),
    ])
}

#[test]
fn what_is_included_lies_below_the_stack_and_the_personal_file_above_all() {
    let (_keep, root) = site();
    let stack = loaded(&root, &[]).unwrap();
    assert_eq!(stack.name.as_str(), "site");
    assert_eq!(names(&stack), ["store", "web"]);
    assert_eq!(stack.services["web"].replicas, 3);
    let environment = &stack.services["web"].main.environment;
    let of = |name: &str| {
        environment
            .iter()
            .find(|(key, _)| key == name)
            .unwrap()
            .1
            .as_str()
    };
    assert_eq!((of("A"), of("B")), ("shared", "mine"));
    let source = stack.services["store"].source.directory();
    assert_eq!(source, Some(&root.join("shared/here")));
}

#[test]
fn a_profile_brings_its_services_and_the_others_are_named_when_they_are_missed() {
    let (_keep, root) = site();
    assert_eq!(
        names(&loaded(&root, &["full"]).unwrap()),
        ["extra", "store", "web"]
    );
    let text = STACK.replace("needs: [store]", "needs: [extra]");
    std::fs::write(root.join("mwctl.yaml"), text).unwrap();
    let problems = loaded(&root, &[]).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("`--profile full`"), "{problems:?}");
}

#[test]
fn objects_from_elsewhere_are_read_from_files_and_folders() {
    let (_keep, root) = site();
    let stack = loaded(&root, &[]).unwrap();
    let names: Vec<&str> = stack
        .manifests
        .iter()
        .map(|it| it.0["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["b", "a"]);
    std::fs::write(root.join("raw.yaml"), "kind: Pod\nmetadata: {name: c}\n").unwrap();
    std::fs::remove_dir_all(root.join("more")).unwrap();
    let problems = loaded(&root, &[]).unwrap_err();
    assert!(
        problems.iter().any(|it| it.contains("lacks `apiVersion`")),
        "{problems:?}"
    );
    assert!(
        problems
            .iter()
            .any(|it| it.contains("no Kubernetes object at")),
        "{problems:?}"
    );
}

#[test]
fn a_shipped_convention_is_replaced_only_by_one_that_says_so() {
    let (_keep, root) = site();
    let shadow = THING.replace("name: thing", "name: redis");
    std::fs::write(root.join("conventions/redis.yaml"), &shadow).unwrap();
    let problems = loaded(&root, &[]).unwrap_err();
    assert!(problems[0].contains("`override: true`"), "{problems:?}");
    let text = shadow.replace("name: redis", "name: redis\noverride: true");
    std::fs::write(root.join("conventions/redis.yaml"), text).unwrap();
    assert!(loaded(&root, &[]).is_ok());
}

#[test]
fn a_linked_worktree_has_a_namespace_of_its_own() {
    let (_keep, root) = site();
    std::fs::write(root.join(".git"), "gitdir: /src/.git/worktrees/fix\n").unwrap();
    let stack = loaded(&root, &[]).unwrap();
    assert_eq!(
        (stack.name.as_str(), stack.namespace.as_str()),
        ("site", "site-fix")
    );
}

#[test]
fn an_included_file_that_is_missing_is_named_where_it_is_asked_for() {
    let (_keep, root) = site();
    std::fs::remove_file(root.join("shared/stack.yaml")).unwrap();
    let problems = loaded(&root, &[]).unwrap_err();
    assert!(
        problems.iter().any(|it| it.contains("mwctl.yaml:4:")),
        "{problems:?}"
    );
}
