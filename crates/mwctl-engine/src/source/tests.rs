//! Fetching, against the real git and archives made here.

use std::os::unix::fs::PermissionsExt as _;

use tar::EntryType;

use super::unpack::unpack;
use super::*;
use crate::command::{Command, ProcessRunner, fake::ScriptedRunner, ignore_lines};
use crate::progress::silent;

struct Origin {
    folder: tempfile::TempDir,
}

impl Origin {
    /// A repository with two commits on `main`, the first of them tagged `v1`.
    async fn new() -> Self {
        let origin = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(origin.folder.path().join("origin")).unwrap();
        origin.git("init -q -b main .").await;
        std::fs::write(origin.path().join("file"), "one").unwrap();
        origin.git("add file").await;
        origin.git("commit -q -m one").await;
        origin.git("tag v1").await;
        std::fs::write(origin.path().join("file"), "two").unwrap();
        origin.git("commit -q -a -m two").await;
        origin
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("origin")
    }

    async fn git(&self, arguments: &str) -> String {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let words = ["git"].into_iter().chain(identity);
        let output = Command::new(words.chain(arguments.split(' ')))
            .directory(self.path())
            .succeed(&ProcessRunner::new(), &ignore_lines)
            .await
            .unwrap();
        output.text().trim().to_owned()
    }

    async fn fetch(&self, reference: Option<&str>) -> Result<String, FetchError> {
        let directory = self.folder.path().join("deep/checkout");
        let source = Source::Git {
            url: format!("file://{}", self.path().display()),
            reference: reference.map(str::to_owned),
            directory: directory.clone(),
        };
        let fetched = fetch(&source, &ProcessRunner::new(), &silent).await?;
        assert_eq!(fetched, Fetched::Fetched(directory.clone()));
        Ok(std::fs::read_to_string(directory.join("file")).unwrap())
    }

    fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path().join("deep")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name());
        names
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    }
}

#[tokio::test]
async fn a_branch_a_tag_and_a_commit_are_checked_out() {
    assert_eq!(Origin::new().await.fetch(None).await.unwrap(), "two");
    assert_eq!(
        Origin::new().await.fetch(Some("main")).await.unwrap(),
        "two"
    );
    assert_eq!(Origin::new().await.fetch(Some("v1")).await.unwrap(), "one");
    for length in [40, 10] {
        let origin = Origin::new().await;
        let commit = origin.git("rev-parse v1").await;
        assert_eq!(origin.fetch(Some(&commit[..length])).await.unwrap(), "one");
        assert_eq!(origin.left(), ["checkout"]);
    }
}

#[tokio::test]
async fn a_clone_that_fails_leaves_nothing_and_shows_gits_words() {
    let origin = Origin::new().await;
    let error = origin.fetch(Some("no-such-branch")).await.unwrap_err();
    let FetchError::Command { source, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(source.tail().contains("no-such-branch"), "{source}");
    assert_eq!(origin.left(), Vec::<String>::new());
}

#[tokio::test]
async fn a_folder_that_is_there_is_never_touched() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::Npm {
        package: "x".to_owned(),
        version: "1".to_owned(),
        directory: folder.path().to_path_buf(),
    };
    let runner = ScriptedRunner::new();
    let fetched = fetch(&source, &runner, &silent).await.unwrap();
    assert_eq!(fetched, Fetched::Present(folder.path().to_path_buf()));
    assert!(runner.asked().is_empty());
}

#[tokio::test]
async fn a_path_that_is_missing_is_an_error_with_its_cure() {
    let source = Source::Path(PathBuf::from("/no/such/folder"));
    let error = fetch(&source, &ScriptedRunner::new(), &silent)
        .await
        .unwrap_err();
    assert!(error.hints()[0].contains("mkdir"), "{error}");
}

#[tokio::test]
async fn what_looks_like_an_option_is_never_given_to_a_program() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::Git {
        url: "--upload-pack=evil".to_owned(),
        reference: None,
        directory: folder.path().join("x"),
    };
    let runner = ScriptedRunner::new();
    let error = fetch(&source, &runner, &silent).await.unwrap_err();
    assert!(matches!(error, FetchError::Illegal { .. }));
    assert!(runner.asked().is_empty());
}

type Entry<'a> = (&'a str, EntryType, &'a [u8], u32);

fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, content, mode) in entries {
        let mut header = tar::Header::new_gnu();
        // The library refuses to write such names, so they are put into the header as they are.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

#[tokio::test]
async fn a_package_is_unpacked_without_its_outer_folder() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("service");
    let bytes = archive(&[
        ("package/package.json", EntryType::Regular, b"{}", 0o600),
        ("package/bin/run", EntryType::Regular, b"#!", 0o700),
    ]);
    let runner =
        ScriptedRunner::new().doing("npm pack --loglevel=warn service@1.2.3", move |command| {
            let to = command
                .directory
                .as_ref()
                .unwrap()
                .join("service-1.2.3.tgz");
            let mut out = flate2::write::GzEncoder::new(
                std::fs::File::create(to).unwrap(),
                flate2::Compression::fast(),
            );
            io::Write::write_all(&mut out, &bytes).unwrap();
            out.finish().unwrap();
        });
    let source = Source::Npm {
        package: "service".to_owned(),
        version: "1.2.3".to_owned(),
        directory: directory.clone(),
    };
    fetch(&source, &runner, &silent).await.unwrap();
    let mode = |name: &str| {
        let data = std::fs::metadata(directory.join(name)).unwrap();
        data.permissions().mode() & 0o777
    };
    assert_eq!(mode("package.json"), 0o644);
    assert_eq!(mode("bin/run"), 0o755);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn the_sources_of_a_python_package_are_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = archive(&[("teller-1.0/main.py", EntryType::Regular, b"run()", 0o644)]);
    let asked = "python3 -m pip download --quiet --no-deps --no-binary=:all: --dest";
    let runner = ScriptedRunner::new().doing(asked, move |command| {
        let to = command
            .directory
            .as_ref()
            .unwrap()
            .join("teller-1.0.tar.gz");
        let mut out = flate2::write::GzEncoder::new(
            std::fs::File::create(to).unwrap(),
            flate2::Compression::fast(),
        );
        io::Write::write_all(&mut out, &bytes).unwrap();
        out.finish().unwrap();
    });
    let directory = folder.path().join("teller");
    let source = Source::Pypi {
        package: "teller".to_owned(),
        version: Some("1.0".to_owned()),
        directory: directory.clone(),
    };
    fetch(&source, &runner, &silent).await.unwrap();
    let asked = runner.asked();
    assert!(asked[0].ends_with(" teller==1.0"), "{asked:?}");
    let text = std::fs::read_to_string(directory.join("main.py")).unwrap();
    assert_eq!(text, "run()");
}

#[test]
fn a_version_of_a_python_package_may_be_a_range_or_the_newest() {
    for (version, wanted) in [
        (None, "teller"),
        (Some("latest"), "teller"),
        (Some("1.0"), "teller==1.0"),
        (Some(">=1,<2"), "teller>=1,<2"),
        (Some("~=1.4"), "teller~=1.4"),
    ] {
        assert_eq!(pypi::requirement("teller", version).unwrap(), wanted);
    }
    assert!(pypi::requirement("--index-url=x", None).is_err());
}

#[test]
fn a_package_that_would_write_elsewhere_is_refused() {
    for (name, kind) in [
        ("package/../../evil", EntryType::Regular),
        ("/etc/evil", EntryType::Regular),
        ("package/link", EntryType::Symlink),
        ("package/hard", EntryType::Link),
        ("package/pipe", EntryType::Fifo),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let bytes = archive(&[(name, kind, b"", 0o644)]);
        let result = unpack(bytes.as_slice(), &folder.path().join("new"));
        let refused = matches!(
            result,
            Err(UnpackError::Escape { .. } | UnpackError::Kind { .. })
        );
        assert!(refused, "{name}: {result:?}");
    }
}

#[test]
fn a_package_that_claims_to_be_huge_is_refused_before_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_path("package/huge").unwrap();
    header.set_entry_type(EntryType::Regular);
    header.set_size(2 << 30);
    header.set_mode(0o644);
    header.set_cksum();
    let result = unpack(&header.as_bytes()[..], &folder.path().join("new"));
    assert!(matches!(result, Err(UnpackError::TooLarge)), "{result:?}");
}

#[test]
fn what_a_killed_fetch_left_goes_and_what_another_one_uses_stays() {
    let parent = tempfile::tempdir().unwrap();
    let abandoned = parent.path().join(".mwctl-fetch-abandoned");
    let used = parent.path().join(".mwctl-fetch-used");
    let mine = parent.path().join("notes");
    for folder in [&abandoned, &used, &mine] {
        std::fs::create_dir(folder).unwrap();
    }
    let lock = std::fs::File::open(&used).unwrap();
    lock.lock_shared().unwrap();
    let place = Place::beside(&parent.path().join("service")).unwrap();
    assert!(!abandoned.exists());
    assert!(used.exists() && mine.exists());
    assert!(place.folder().exists());
}
