//! What a killed run leaves: nothing that runs, and nothing that the next one doesn't take away.

use std::time::{Duration, Instant};

use crate::folder::Folder;

const STACK: &str = "apiVersion: mwctl/v1
kind: Stack
name: teller
services:
  story:
    source: {npm: {package: story, version: 1.0.0}}
    container: {image: x}
";

/// Writes down who it is and what it started, and goes on for ever.
const SLOW: &str = "here=$(dirname \"$0\")/teller
sleep 1000 &
echo $$ $! > \"$here/pids.new\"
mv \"$here/pids.new\" \"$here/pids\"
wait";

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::yield_now();
    }
}

fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

fn fetching(folder: &Folder) -> usize {
    let names = folder.names("src");
    names
        .iter()
        .filter(|name| name.starts_with(".mwctl-fetch-"))
        .count()
}

#[test]
fn the_programs_of_a_killed_run_end_and_the_next_run_takes_its_folder_away() {
    let folder = Folder::new().file("mwctl.yaml", STACK).program("npm", SLOW);
    let mut run = folder.spawn(["up"]);
    eventually("npm was started", || folder.text("pids").is_some());
    let pids = folder.text("pids").unwrap();
    let pids: Vec<&str> = pids.split_whitespace().collect();
    assert!(pids.iter().all(|pid| runs(pid)), "{pids:?}");
    assert_eq!(fetching(&folder), 1);

    // `Child::kill` is SIGKILL: nothing of the program's own runs after it.
    run.kill().unwrap();
    run.wait().unwrap();
    eventually("npm and what it started have ended", || {
        !pids.iter().any(|pid| runs(pid))
    });

    let folder = folder.program("npm", "echo it is not there >&2; exit 1");
    let transcript = folder.mwctl(["up"]);
    assert!(transcript.contains("it is not there"), "{transcript}");
    assert_eq!(fetching(&folder), 0);
}

#[test]
fn the_command_of_a_killed_cluster_run_ends_with_all_that_it_started() {
    let script = "PATH=/usr/bin:/bin; sleep 1000 & echo $$ $! > pids.new; mv pids.new pids; wait";
    let folder = Folder::new();
    let mut run = folder.spawn(["cluster", "run", "--", "/bin/sh", "-c", script]);
    eventually("the command runs", || folder.text("pids").is_some());
    let pids = folder.text("pids").unwrap();
    let pids: Vec<&str> = pids.split_whitespace().collect();
    assert!(pids.iter().all(|pid| runs(pid)), "{pids:?}");
    run.kill().unwrap();
    run.wait().unwrap();
    eventually("the command and what it started have ended", || {
        !pids.iter().any(|pid| runs(pid))
    });
}
