//! The README's *Quick start* and the newcomer's guide as their readers type them, but for the build: as whoever runs the tests and,
//! where that is root, once more as an ordinary user.

use std::path::Path;

use crate::place::Place;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What a reader does then: open what was printed, try what was suggested, take all of it down.
const THEN: &str = r#"
grep --quiet 'follows your edits' said || { echo "nothing is said about what comes next"; exit 1; }
url=$(grep --only-matching --max-count=1 'http://127[0-9.:]*' said | head -n 1)
python3 - "$url" <<'END'
import sys, urllib.request
read = lambda url: urllib.request.urlopen(url, timeout=20).read().decode()
assert read(sys.argv[1] + "/Ann") == "Hello, Ann!\n"
END
"$MWCTL" -C conventions/stacks/greeting up 2>&1 | grep --line-regexp 'nothing to do, [0-9]* objects unchanged'
"$MWCTL" -C conventions/stacks/greeting status
"$MWCTL" -C conventions/stacks/greeting test greeting
"$MWCTL" -C conventions/stacks/greeting down --volumes
"#;

/// The blocks of a text that are to be typed.
fn blocks(text: &str) -> Vec<&str> {
    let rest = text.split("\n```sh\n").skip(1);
    rest.map(|rest| rest.split_once("\n```").unwrap().0)
        .collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(REPOSITORY).join(path)).unwrap()
}

/// The one command of the section.
fn command() -> String {
    let readme = read("README.md");
    let (_, section) = readme.split_once("\n## Quick start\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let [command] = blocks(section)[..] else {
        panic!("there isn't one command");
    };
    assert!(command.contains("cargo run --"), "{command}");
    command.replace("cargo run --", "\"$MWCTL\"")
}

/// Runs a script in a place with the sample, and gives what was printed.
fn follow(place: &Place, script: &str) -> String {
    place.copy(Path::new(REPOSITORY), "conventions/stacks/greeting");
    let gone = "\"$MWCTL\" cluster delete embedded > /dev/null 2>&1 || true";
    let script = format!("set -euo pipefail\ntrap '{gone}' EXIT\n{script}");
    let mut bash = place.command("bash");
    let output = bash.args(["-c", &script]).output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let user = place.user();
    assert!(output.status.success(), "as user {user}: {out}\n{err}");
    let clusters = std::fs::read_dir(place.cluster("")).unwrap();
    assert_eq!(clusters.count(), 0, "nothing is left");
    out.into_owned()
}

#[test]
fn the_quick_start_can_be_followed_by_root_and_by_an_ordinary_user() {
    for place in Place::for_everybody() {
        let said = follow(
            &place,
            &format!("{{ {}\n}} 2>&1 | tee said\n{THEN}", command()),
        );
        assert!(said.contains("everything is ready"), "{said}");
    }
}

#[test]
fn the_guide_for_newcomers_can_be_followed_by_root_and_by_an_ordinary_user() {
    let guide = read("docs/guide/newcomer.md");
    let commands = blocks(&guide);
    assert!(commands.len() > 4, "the guide has little to follow");
    let script = format!("PATH=$HOME:$PATH\nset -x\n{}", commands.join("\n"));
    for place in Place::for_everybody() {
        let said = follow(&place, &script);
        assert!(said.contains("http://127."), "{said}");
    }
}
