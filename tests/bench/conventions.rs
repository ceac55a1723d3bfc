//! How long descriptions take: a hundred services checked, thirty explained and rendered, and the worst texts
//! that can be given.
//!
//! Everything is pure; nothing is read from disk. The folder's own texts are read anew in each run, the shipped
//! conventions once in a process, which has a row of its own: a program that checks a folder once needs both.
//! `cargo bench -p mwctl-tests --bench conventions` prints a table and fails where a budget is exceeded.

#![allow(clippy::unwrap_used, reason = "a benchmark stops where it can't go on")]
#![allow(clippy::print_stdout, reason = "the table is the answer")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use mwctl_core::conventions::{self, Document, Input, Repository};
use mwctl_core::manifest;
use mwctl_core::observed::Observed;
use mwctl_core::plan::{self, Desired, PlanOptions};

/// How often each is measured; the median counts.
const RUNS: usize = 9;

/// Makes this program read the shipped conventions and say how many microseconds that took.
const FIRST: &str = "--first";

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == FIRST) {
        let start = Instant::now();
        assert!(!conventions::shipped().is_empty());
        println!("{}", start.elapsed().as_micros());
        return ExitCode::SUCCESS;
    }
    let hundred = folder(100);
    let thirty = folder(30);
    let rows = [
        first(10),
        row("lint, 100 services", 50, || hundred.check()),
        row("explain, 30 services", 20, || {
            assert_eq!(thirty.explain(), 30);
        }),
        row("render, 30 services", 20, || {
            assert!(thirty.render() > 60);
        }),
        row("plan, 30 services of which one changed", 20, {
            let observed = thirty.deployed();
            move || assert!(thirty.plan(&observed) > 0)
        }),
        row("10 MB of keys", 2000, || long(&keys())),
        row("10 MB in one line", 2000, || long(&line())),
        row("10 MB of aliases", 2000, || long(&aliases())),
        row("10 MB of brackets", 2000, || long(&"[".repeat(10 << 20))),
    ];
    println!("| what | median | budget |\n| --- | --- | --- |");
    for row in &rows {
        println!(
            "| {} | {:.1} ms | {} ms |",
            row.what,
            row.median.as_secs_f64() * 1e3,
            row.budget.as_millis()
        );
    }
    let kept = rows.iter().all(|row| row.median <= row.budget);
    if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

struct Row {
    what: &'static str,
    median: Duration,
    budget: Duration,
}

fn row(what: &'static str, milliseconds: u64, mut run: impl FnMut()) -> Row {
    run();
    median(what, milliseconds, || {
        let start = Instant::now();
        run();
        start.elapsed()
    })
}

/// The shipped conventions and the schema that they are checked with, each time in a process of its own.
#[expect(clippy::disallowed_methods, reason = "it is this program")]
fn first(milliseconds: u64) -> Row {
    median("shipped conventions, once", milliseconds, || {
        let mut program = Command::new(std::env::current_exe().unwrap());
        let output = program.arg(FIRST).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        Duration::from_micros(text.trim().parse().unwrap())
    })
}

fn median(what: &'static str, milliseconds: u64, run: impl FnMut() -> Duration) -> Row {
    let mut times: Vec<Duration> = std::iter::repeat_with(run).take(RUNS).collect();
    times.sort();
    Row {
        what,
        median: times[RUNS / 2],
        budget: Duration::from_millis(milliseconds),
    }
}

/// A folder with a stack, as text.
struct Folder {
    stack: String,
    repositories: Vec<Repository>,
}

/// A stack of services of several kinds, each with its own repository.
fn folder(count: usize) -> Folder {
    let mut stack = "apiVersion: mwctl/v1\nkind: Stack\nname: many\nservices:\n".to_owned();
    let mut repositories = Vec::new();
    for index in 0..count {
        let needs = if index == 0 {
            "[]".to_owned()
        } else {
            format!("[s{}]", index - 1)
        };
        writeln!(
            stack,
            "  s{index}:\n    source: {{path: s{index}}}\n    needs: {needs}\n    container:\n      environment: {{NUMBER: {index}}}"
        )
        .unwrap();
        let package = format!(
            "{{\"name\": \"s{index}\", \"version\": \"1.0.{index}\", \"main\": \"server.js\", \"dependencies\": {{{}}}}}",
            if index % 2 == 0 {
                "\"service-runner\": \"^5.0.0\""
            } else {
                ""
            }
        );
        let mut files = BTreeMap::from([
            (PathBuf::from("package.json"), package),
            (PathBuf::from("server.js"), String::new()),
        ]);
        if index % 2 == 0 {
            let config = format!(
                "services:\n  - name: s{index}\n    conf:\n      port: {}\n",
                3000 + index
            );
            files.insert("config.yaml".into(), config);
        }
        if index % 3 == 0 {
            let docker = "FROM node:20-slim\nWORKDIR /srv\nCOPY . .\nENV A=1\nEXPOSE 3000\nCMD [\"node\", \"server.js\"]\n";
            files.insert("Dockerfile".into(), docker.to_owned());
        }
        repositories.push(Repository {
            directory: Path::new("/many").join(format!("s{index}")),
            files,
        });
    }
    Folder {
        stack,
        repositories,
    }
}

impl Folder {
    fn with<T>(&self, act: impl FnOnce(&Input<'_>) -> T) -> T {
        let shipped = conventions::shipped();
        let own = conventions::parse(Path::new("mwctl.yaml"), &self.stack);
        assert_eq!(own.problems, []);
        act(&input(shipped, &own.documents, &self.repositories))
    }

    fn check(&self) {
        self.with(|input| drop(conventions::resolve(input).unwrap()));
    }

    fn explain(&self) -> usize {
        self.with(|input| conventions::explain(input).unwrap().len())
    }

    fn render(&self) -> usize {
        let stack = self.with(|input| conventions::resolve(input).unwrap());
        manifest::render(&stack, &BTreeMap::new(), "bench").len()
    }

    /// What a cluster has where all of it was brought up, but for one Deployment's replicas.
    fn deployed(&self) -> Observed {
        let stack = self.with(|input| conventions::resolve(input).unwrap());
        let objects = manifest::render(&stack, &BTreeMap::new(), "bench");
        let live = objects.into_iter().map(|object| {
            let id = object.id();
            (id, object.stamped().to_value())
        });
        let mut observed = Observed {
            objects: live.collect(),
            ..Observed::default()
        };
        let mut workloads = (observed.objects.values_mut())
            .filter_map(|object| object.pointer_mut("/spec/replicas"));
        *workloads.next().unwrap() = 7.into();
        observed
    }

    /// The steps from that to what is described: from its texts, as a command does it.
    fn plan(&self, observed: &Observed) -> usize {
        let stack = self.with(|input| conventions::resolve(input).unwrap());
        let objects = manifest::render(&stack, &BTreeMap::new(), "bench");
        let desired = Desired {
            stack: &stack,
            objects: &objects,
            builds: &BTreeMap::new(),
            worktree: "bench",
        };
        plan::plan(&desired, observed, &PlanOptions::default())
            .steps
            .len()
    }
}

fn input<'a>(
    shipped: &'a [Document],
    own: &'a [Document],
    repositories: &'a [Repository],
) -> Input<'a> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    static NO_FILES: BTreeMap<PathBuf, String> = BTreeMap::new();
    static NO_PROFILES: BTreeSet<String> = BTreeSet::new();
    Input {
        shipped,
        own,
        directory: Path::new("/many"),
        repositories,
        environment: &NONE,
        profiles: &NO_PROFILES,
        manifests: &NO_FILES,
        suffix: None,
    }
}

fn long(text: &str) {
    drop(conventions::parse(Path::new("mwctl.yaml"), text));
}

fn keys() -> String {
    let mut text = "apiVersion: mwctl/v1\nkind: Service\nname: x\nsettings:\n".to_owned();
    let mut index = 0;
    while text.len() < 10 << 20 {
        writeln!(text, "  key{index}: value{index}").unwrap();
        index += 1;
    }
    text
}

fn line() -> String {
    format!(
        "apiVersion: mwctl/v1\nkind: Service\nname: {}\n",
        "x".repeat(10 << 20)
    )
}

fn aliases() -> String {
    let mut text = "a: &a [1, 2, 3, 4]\nb: [".to_owned();
    while text.len() < 10 << 20 {
        text.push_str("*a, ");
    }
    text.push_str("*a]\n");
    text
}
