//! Hostile and broken files of every kind, kept as a corpus: `corpus/KIND/…` stands in the place of KIND's file.
//!
//! Each is read as it is, cut off at many places and with bytes changed. Whatever comes, nothing panics, the
//! answer is the same twice, and what is said of it is said with a message.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use mwctl_core::conventions::{self, Document, Input, Repository};

/// The folders of the corpus, and the files that theirs stand for.
const KINDS: [(&str, &str); 11] = [
    ("package", "package.json"),
    ("config", "config.yaml"),
    ("pyproject", "pyproject.toml"),
    ("requirements", "requirements.txt"),
    ("go", "go.mod"),
    ("cargo", "Cargo.toml"),
    ("dockerfile", "Dockerfile"),
    ("compose", "compose.yaml"),
    ("blubber", ".pipeline/blubber.yaml"),
    ("pipeline", ".pipeline/config.yaml"),
    ("chart", "chart/values.yaml"),
];

fn corpus(kind: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("conventions/corpus")
        .join(kind);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{kind} has nothing in the corpus");
    files
        .into_iter()
        .map(|file| {
            let bytes = std::fs::read(&file).unwrap();
            (file, bytes)
        })
        .collect()
}

/// The bytes, cut off at four places, and with single bytes changed; the same each time.
fn variations(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![bytes.to_vec()];
    for part in 1..4 {
        all.push(bytes[..bytes.len() * part / 4].to_vec());
    }
    let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ bytes.len() as u64;
    for _ in 0..4 {
        let mut changed = bytes.to_vec();
        for _ in 0..3 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if !changed.is_empty() {
                let place = usize::try_from(state >> 8).unwrap_or(0) % changed.len();
                changed[place] =
                    b" \n\t:{}[]\"'#&*!|>%@`-\\$=\xff0aZ"[usize::from((state & 0xff) as u8) % 27];
            }
        }
        all.push(changed);
    }
    all
}

#[test]
fn nothing_in_the_corpus_and_near_it_makes_a_reader_panic() {
    let shipped = conventions::shipped();
    let package = r#"{"name": "x", "main": "x.js"}"#.to_owned();
    for (kind, path) in KINDS {
        for (file, bytes) in corpus(kind) {
            for bytes in variations(&bytes) {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let mut files = BTreeMap::from([
                    (PathBuf::from("package.json"), package.clone()),
                    (PathBuf::from("server.js"), String::new()),
                ]);
                if !matches!(kind, "package" | "config") {
                    files.remove(Path::new("server.js"));
                }
                files.insert(path.into(), text);
                let once = resolved(shipped, &files);
                assert_eq!(once, resolved(shipped, &files), "{}", file.display());
            }
        }
    }
}

fn resolved(shipped: &[Document], files: &BTreeMap<PathBuf, String>) -> Vec<String> {
    let repositories = [Repository {
        directory: "/x".into(),
        files: files.clone(),
    }];
    let answer = conventions::explain(&Input {
        shipped,
        own: &[],
        directory: Path::new("/x"),
        repositories: &repositories,
        environment: &BTreeMap::new(),
        profiles: &BTreeSet::new(),
        manifests: &BTreeMap::new(),
        suffix: None,
    });
    match answer {
        Ok(services) => services
            .iter()
            .map(|service| serde_json::to_string(service).unwrap())
            .collect(),
        Err(problems) => problems
            .iter()
            .map(|problem| {
                assert!(!problem.message.is_empty());
                problem.to_string()
            })
            .collect(),
    }
}
