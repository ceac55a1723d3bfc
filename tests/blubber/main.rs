//! Blubber files under the real program: scenarios as Blubber's own project writes them, built, looked into and run.
//!
//! Ours (`features/`) need no network: their base is a few of this machine's programs and the scripted ones of `tools/`, so that the
//! exact commands of every builder are seen. `tests/compat/blubber/run` adds real bases, and Blubber's own scenarios where
//! `MWCTL_BLUBBER_EXAMPLES` names a folder with them.
//!
//! An image is judged by what anybody can see of it: the OCI layout that `build --export` writes. It is run by a Dockerfile
//! that is built upon it, as Blubber runs variants. How files are read is tested beside the code.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]
#![allow(
    clippy::print_stdout,
    reason = "how each scenario ended, for those who ask to see it"
)]

mod bases;
mod differences;
mod judge;
mod layout;
mod scenario;
mod step;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bases::Bases;
use differences::Differences;
use judge::Judge;
use scenario::Scenario;

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("blubber")
}

/// Runs all scenarios, and fails where one ends otherwise than it should.
fn judge(judge: &Judge, scenarios: &[Scenario], differences: &Differences, workers: usize) {
    assert!(!scenarios.is_empty(), "there are no scenarios");
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let passed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let start = Instant::now();
                    let result = judge.judge(scenario);
                    let took = start.elapsed().as_millis();
                    let title = scenario.title();
                    if result.is_ok() {
                        passed.fetch_add(1, Ordering::Relaxed);
                    }
                    match differences.verdict(&title, result.as_ref().err().map(String::as_str)) {
                        Ok(word) => println!("{word:8} {took:6} ms  {title}"),
                        Err(why) => {
                            println!("{:8} {took:6} ms  {title}\n{why}", "WRONG");
                            wrong.lock().unwrap().push(title);
                        }
                    }
                }
            });
        }
    });
    let (passed, all) = (passed.into_inner(), scenarios.len());
    println!("{passed} of {all} scenarios pass");
    let mut wrong = wrong.into_inner().unwrap();
    wrong.extend(differences.unknown(scenarios));
    assert!(wrong.is_empty(), "not as expected: {wrong:#?}");
}

#[test]
fn our_scenarios_end_as_they_say() {
    let scenarios = scenario::all(&here().join("features"));
    let ours = Judge::new(&here(), Bases::own());
    judge(&ours, &scenarios, &Differences::default(), 4);
}

#[cfg(feature = "cluster")]
mod given {
    //! What `tests/compat/blubber/run` gives.

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "the script says where it is")]
    fn folder(variable: &str) -> Option<PathBuf> {
        std::env::var_os(variable).map(PathBuf::from)
    }

    fn bases() -> Bases {
        Bases::with(&folder("MWCTL_BLUBBER_BASES").expect("tests/compat/blubber/run makes them"))
    }

    #[test]
    fn our_scenarios_upon_real_bases_end_as_they_say() {
        let scenarios = scenario::all(&here().join("features/network"));
        let ours = Judge::new(&here(), bases());
        judge(&ours, &scenarios, &Differences::default(), 2);
    }

    #[test]
    fn upstreams_scenarios_pass_but_for_the_differences() {
        let Some(folder) = folder("MWCTL_BLUBBER_EXAMPLES") else {
            println!("skipped: MWCTL_BLUBBER_EXAMPLES names no folder with Blubber's examples");
            return;
        };
        // A checkout, in which scenarios name folders from its root.
        let scenarios = scenario::all(&folder.join("examples"));
        let theirs = Judge::new(&folder, bases());
        let known = Differences::read(&here().join("differences"));
        judge(&theirs, &scenarios, &known, 2);
    }
}
