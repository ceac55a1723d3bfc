//! What is embedded fits a ConfigMap and runs as an unprivileged user would run it.
#![expect(
    clippy::unwrap_used,
    reason = "a test says by its panic what went wrong"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use mwctl_agent_bundle::{DIGEST, LOADER, PACKED, VERSION};

/// Runs the loader from a directory as a ConfigMap gives it.
#[expect(clippy::disallowed_methods, reason = "this test runs the program")]
fn run(packed: Option<&[u8]>, words: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let loader = directory.path().join("agent");
    fs::write(&loader, LOADER).unwrap();
    fs::set_permissions(&loader, PermissionsExt::from_mode(0o555)).unwrap();
    if let Some(packed) = packed {
        fs::write(directory.path().join("agent.lz4"), packed).unwrap();
    }
    Command::new(&loader).args(words).output().unwrap()
}

#[test]
fn it_leaves_room_in_a_config_map() {
    assert!(PACKED.len() <= 900 << 10, "{} bytes", PACKED.len());
    assert!(LOADER.len() <= 16 << 10, "{} bytes", LOADER.len());
    assert_eq!(DIGEST.len(), 64);
}

#[test]
fn the_loader_runs_the_agent_with_its_words() {
    let output = run(Some(PACKED), &["version"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with(&format!("mwctl-agent {VERSION} protocol ")),
        "{text}"
    );
    let output = run(Some(PACKED), &["run", "--target", "/x"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("`run` needs `-- COMMAND`")
    );
}

#[test]
fn the_agent_needs_nothing_of_the_image() {
    let size = u32::from_le_bytes(*PACKED.first_chunk().unwrap()) as usize;
    let program = lz4_flex::block::decompress(&PACKED[4..], size).unwrap();
    assert_eq!(&program[..4], b"\x7fELF");
    // The kernel looks for an interpreter by this kind of program header (3).
    let word = |at: usize| u16::from_le_bytes([program[at], program[at + 1]]) as usize;
    let start = u64::from_le_bytes(*program[32..].first_chunk().unwrap()) as usize;
    let kinds = (0..word(56)).map(|n| program[start + n * word(54)]);
    assert!(
        kinds.clone().all(|kind| kind != 3),
        "{:?}",
        kinds.collect::<Vec<_>>()
    );
}

#[test]
fn a_missing_or_broken_agent_is_named() {
    let missing = run(None, &["version"]);
    assert_eq!(missing.status.code(), Some(71));
    assert!(
        String::from_utf8(missing.stderr)
            .unwrap()
            .contains("cannot open the packed agent")
    );
    let broken = run(Some(&PACKED[..PACKED.len() / 2]), &["version"]);
    assert_eq!(broken.status.code(), Some(75));
    assert_eq!(run(Some(b"x"), &["version"]).status.code(), Some(72));
}
