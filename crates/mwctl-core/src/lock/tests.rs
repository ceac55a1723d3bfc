//! Locks are written and read, and refused.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;

fn base(reference: &str) -> LockedBase {
    LockedBase {
        reference: reference.to_owned(),
        source: Source {
            kind: SourceKind::Registry,
            from: "docker.io".to_owned(),
        },
        digest: format!("sha256:{}", "a".repeat(64)),
        index: None,
        platform: "linux/amd64".to_owned(),
        packages: BTreeMap::new(),
        checked: "2026-11-23T19:00:00Z".to_owned(),
        place: None,
    }
}

fn problems(text: &str) -> Vec<String> {
    let problems = Lock::parse(Path::new(FILE), text).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_lock_is_written_in_order_and_read_as_it_was_written() {
    let mut lock = Lock::default();
    let mut debian = base("docker.io/library/debian:bookworm");
    debian.index = Some(format!("sha256:{}", "b".repeat(64)));
    debian.packages = [("libc6", "2.36-9+deb12u13"), ("bash", "1.10"), ("y", "0")]
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .into();
    let mut other = debian.clone();
    other.platform = "linux/arm64".to_owned();
    let mut local = base("oci-archive:/srv/my base.tar");
    local.source = Source {
        kind: SourceKind::Archive,
        from: "/srv/my base.tar".to_owned(),
    };
    for base in [local, other, debian] {
        lock.set(base);
    }
    let text = lock.to_string();
    insta::assert_snapshot!(text);
    let read = Lock::parse(Path::new(FILE), &text).unwrap();
    assert_eq!(read.to_string(), text);
    let found = read.get("docker.io/library/debian:bookworm", "linux/amd64");
    let found = found.unwrap();
    assert_eq!(found.packages["bash"], "1.10");
    assert_eq!(found.place.as_ref().unwrap().line, 9);
    assert!(
        read.get("docker.io/library/debian:bookworm", "linux/s390x")
            .is_none()
    );
}

#[test]
fn an_empty_lock_says_so() {
    let text = Lock::default().to_string();
    assert!(Lock::parse(Path::new(FILE), &text).unwrap().is_empty());
}

#[test]
fn whatever_isnt_as_it_was_written_is_refused_with_its_place() {
    let good = {
        let mut lock = Lock::default();
        lock.set(base("a/b:1"));
        lock.to_string()
    };
    for (from, to, told) in [
        (
            "version: 1",
            "version: 2",
            "mwctl.lock:3:10: this `mwctl` knows version 1 of the lock (use the newer `mwctl` that wrote it)",
        ),
        (
            "kind: registry",
            "kind: regstry",
            "mwctl.lock:7:11: `kind` is no kind of source",
        ),
        (
            "digest:",
            "digset:",
            "mwctl.lock:9:3: unknown key `digset` (did you mean `digest`?)",
        ),
        (
            "sha256:a",
            "sha256:A",
            "mwctl.lock:9:11: `digest` is no SHA-256 digest",
        ),
        (
            "  platform: linux/amd64\n",
            "",
            "mwctl.lock:5:3: `platform` is missing",
        ),
        (
            "linux/amd64",
            "windows/amd64",
            "mwctl.lock:10:13: `platform` is no platform like `linux/amd64`",
        ),
        (
            "19:00:00Z",
            "19:00",
            "mwctl.lock:11:12: `checked` is no time like `2026-11-23T19:00:00Z`",
        ),
        (
            "  checked",
            "  packages: {a: 1.0}\n  checked",
            "mwctl.lock:11:17: a version is a text in quotes",
        ),
        (
            "bases:",
            "bases: 1\nother:",
            "mwctl.lock:5:1: unknown key `other` (valid are `bases` and `version`)",
        ),
    ] {
        let wrong = good.replace(from, to);
        assert_ne!(wrong, good, "{from}");
        assert!(
            problems(&wrong).contains(&told.to_owned()),
            "{:#?}",
            problems(&wrong)
        );
    }
    let entry = &good[good.find("- ref").unwrap()..];
    let twice = problems(&format!("{good}{entry}"));
    assert_eq!(
        twice,
        ["mwctl.lock:12:3: `a/b:1` stands twice for linux/amd64"]
    );
    let merged = good.replace("- ref", "<<<<<<< HEAD\n- ref");
    assert!(
        problems(&merged)[0].starts_with("mwctl.lock:"),
        "{:?}",
        problems(&merged)
    );
}

proptest! {
    #[test]
    fn every_text_comes_back(
        reference in "\\PC{1,20}",
        from in "\\PC{0,20}",
        packages in prop::collection::btree_map("\\PC{1,8}", "\\PC{0,8}", 0..4),
    ) {
        let mut written = base(&reference);
        written.source.from = from;
        written.packages = packages;
        let mut lock = Lock::default();
        lock.set(written.clone());
        let read = Lock::parse(Path::new(FILE), &lock.to_string()).unwrap();
        let read = read.get(&reference, "linux/amd64").unwrap();
        prop_assert!(read.says_the_same(&written), "{}", lock);
    }

    #[test]
    fn no_text_makes_it_panic(text in "(bases|version|ref|-|:| |\n|1|\\{|\\[|\\PC){0,60}") {
        drop(Lock::parse(Path::new(FILE), &text));
    }
}
