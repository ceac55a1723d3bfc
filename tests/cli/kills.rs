//! SIGKILL at random moments to whatever makes a cluster with a node: the program, the process that serves, the first process of the
//! containers, a container. Nothing goes on running that shouldn't, and the next command finds a machine on which nothing is left but
//! stores.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest as _, Sha256};

use crate::place::Place;

/// Two pods with a service, a volume on disk and one in memory. Their processes can be told by what they are called.
const STACK: &str = "apiVersion: mwctl/v1
kind: Stack
name: victims
services:
  one: &service
    container:
      image: mwctl.local/host
      user: 900
      command: [python3, -m, http.server, --directory, /kept, '8000']
      ports: [{port: 8000}]
      probes: {readiness: {tcp: {}, period: 1s}}
      mounts: [{volume: kept, path: /kept}, {volume: lost, path: /lost}]
    volumes: {kept: {size: 10Mi}, lost: {}}
  other: *service
";

/// The longest time until a kill: beyond the first `up`, so that each stage is met.
const LONGEST: Duration = Duration::from_secs(3);
/// How long anything may take: beyond all that a loaded machine needs, and the pauses before a container is started again.
const PATIENCE: Duration = Duration::from_mins(3);
/// What is promised, where the machine has nothing else to do.
const PROMISED: Duration = Duration::from_secs(1);
/// From this number on, a run is a judge.
const MANY: u32 = 100;

#[expect(clippy::disallowed_methods, reason = "a test's own setting")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Numbers that are new in each run, and the same again when their seed is given.
struct Chance {
    seed: String,
    drawn: u32,
}

impl Chance {
    #[expect(
        clippy::print_stderr,
        reason = "a failed run is repeated with the seed that it printed"
    )]
    fn new() -> Self {
        let seed = setting("MWCTL_TEST_SEED").unwrap_or_else(|| format!("{:?}", SystemTime::now()));
        eprintln!("MWCTL_TEST_SEED='{seed}'");
        Self { seed, drawn: 0 }
    }

    /// From 0 to 1.
    fn next(&mut self) -> f64 {
        self.drawn += 1;
        let digest = Sha256::digest(format!("{} {}", self.seed, self.drawn));
        f64::from(u32::from_be_bytes(*digest.first_chunk().unwrap())) / f64::from(u32::MAX)
    }

    fn among<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let place = (self.next() * all.len() as f64) as usize;
        all.get(place.min(all.len().checked_sub(1)?)).copied()
    }
}

/// A process, which no other becomes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Process {
    pid: i32,
    begun: u64,
}

/// Every process that isn't a zombie, with its parent.
fn processes() -> BTreeMap<Process, i32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, which may hold anything, ends with the last bracket.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let begun = fields.get(19)?.parse().ok()?;
        let alive = !matches!(fields.first(), Some(&"Z" | &"X"));
        Some((alive, Process { pid, begun }, fields.get(1)?.parse().ok()?))
    })
    .filter_map(|(alive, process, parent)| alive.then_some((process, parent)))
    .collect()
}

/// A process and all that it started, level by level.
fn family(pid: i32) -> Vec<Vec<Process>> {
    let all = processes();
    let root = all.keys().find(|process| process.pid == pid);
    let mut levels: Vec<Vec<Process>> = root.map(|root| vec![*root]).into_iter().collect();
    while let Some(last) = levels.last() {
        let next: Vec<Process> = all
            .iter()
            .filter(|(_, parent)| last.iter().any(|process| process.pid == **parent))
            .map(|(process, _)| *process)
            .collect();
        if next.is_empty() {
            break;
        }
        levels.push(next);
    }
    levels
}

/// What a machine has that a cluster could leave: interfaces, mounts, control groups, and files that are no store's.
#[derive(Debug)]
struct Traces {
    interfaces: BTreeSet<String>,
    mounts: usize,
    groups: BTreeSet<String>,
    processes: usize,
    files: BTreeSet<String>,
}

impl Traces {
    fn of(place: &Place) -> Self {
        let names = |folder: &Path| -> BTreeSet<String> {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
            names.collect()
        };
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        // Whoever belongs to this place is called by its path.
        let own = place.path("").to_str().unwrap().to_owned();
        let called = |process: &&Process| {
            let line = std::fs::read(format!("/proc/{}/cmdline", process.pid));
            String::from_utf8_lossy(&line.unwrap_or_default()).contains(&own)
        };
        let mut files = names(&place.cluster(""));
        // A log that says why its process is gone stays for whoever wants to know.
        files.retain(|name| Path::new(name).extension().is_none_or(|it| it != "log"));
        files.extend(names(&place.path("")));
        let mut interfaces = names(Path::new("/sys/class/net"));
        // Test beds of real nodes come and go.
        interfaces.retain(|name| !name.starts_with("mwtest"));
        Self {
            interfaces,
            mounts: mounts.lines().filter(|line| line.contains(&own)).count(),
            groups: groups(Path::new("/sys/fs/cgroup")),
            processes: processes().keys().filter(called).count(),
            files,
        }
    }

    /// Whether nothing has come since. Interfaces and control groups are the machine's: of those that other tests had left before,
    /// some may be gone.
    fn has_nothing_new(&self, before: &Self) -> bool {
        self.interfaces.is_subset(&before.interfaces)
            && self.groups.is_subset(&before.groups)
            && (self.mounts, self.processes, &self.files)
                == (before.mounts, before.processes, &before.files)
    }
}

/// The control groups of runtimes that are no more: they are named after the process.
fn groups(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let path = entry.path();
        if folder.file_name().is_some_and(|name| name == "mwctl") {
            let name = entry.file_name().to_string_lossy().into_owned();
            let pid = name.split('.').next().unwrap_or_default();
            if !Path::new("/proc").join(pid).exists() {
                found.insert(path.display().to_string());
            }
        } else {
            found.extend(groups(&path));
        }
    }
    found
}

/// Asks until the condition holds; until then it says what is amiss.
fn eventually(what: &str, mut condition: impl FnMut() -> Result<(), String>) -> Duration {
    let start = Instant::now();
    while let Err(amiss) = condition() {
        assert!(start.elapsed() < PATIENCE, "{what}: {amiss}");
        std::thread::yield_now();
    }
    start.elapsed()
}

fn nothing(is_left: bool, otherwise: &impl std::fmt::Debug) -> Result<(), String> {
    is_left
        .then_some(())
        .ok_or_else(|| format!("{otherwise:?}"))
}

/// Who is killed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Victim {
    Program,
    Server,
    First,
    Container,
}

struct Round<'a> {
    place: &'a Place,
    chance: &'a mut Chance,
    many: bool,
}

impl Round<'_> {
    fn mwctl(&self, arguments: &[&str]) -> Child {
        let mut command = self.place.command(self.place.program());
        command.args(arguments).spawn().unwrap()
    }

    /// Runs a command to its end, and gives what it said where that isn't a good one.
    fn run(&self, arguments: &[&str]) -> Result<(), String> {
        let output = self.mwctl(arguments).wait_with_output().unwrap();
        output.status.success().then_some(()).ok_or_else(|| {
            format!(
                "{arguments:?}: {}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }

    fn must(&self, arguments: &[&str]) {
        self.run(arguments).unwrap();
    }

    /// The process that serves, if there is one.
    fn server(&self) -> Option<i32> {
        let lease = self.place.cluster("embedded").join("lease.json");
        let lease: serde_json::Value = serde_json::from_slice(&std::fs::read(lease).ok()?).ok()?;
        lease["pid"].as_i64().map(|pid| pid as i32)
    }

    fn play(&mut self, before: &Traces) {
        let mut up = self.mwctl(&["up", "--timeout", "60s"]);
        // The moment is what is tested: no condition describes it.
        std::thread::park_timeout(LONGEST.mul_f64(self.chance.next()));
        let served = self.server().unwrap_or_default();
        let family = family(served);
        // The server starts the launcher of the containers' PID namespace, this their first process, that one the containers.
        let mut victims = Vec::new();
        for (victim, level) in [
            (Victim::Program, vec![up.id().cast_signed()]),
            (Victim::Server, pids(family.first())),
            (Victim::First, pids(family.get(2))),
            (Victim::Container, pids(family.get(3))),
        ] {
            victims.extend(self.chance.among(&level).map(|pid| (victim, pid)));
        }
        let (victim, pid) = self.chance.among(&victims).unwrap();
        // It may have ended meanwhile, which is as good a moment as any.
        let _gone = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        let doomed: Vec<Process> = match victim {
            Victim::Program | Victim::Container => Vec::new(),
            // What the server is in the middle of starting is found below.
            Victim::Server => family.concat(),
            Victim::First => family.into_iter().skip(2).flatten().collect(),
        };
        let took = eventually("what was killed goes on", || {
            let alive = processes();
            let left: Vec<_> = doomed
                .iter()
                .filter(|process| alive.contains_key(process))
                .collect();
            nothing(left.is_empty(), &left)
        });
        assert!(!self.many || took < PROMISED, "{victim:?}: {took:?}");
        drop(up.wait());
        if matches!(victim, Victim::Server | Victim::First) {
            // `up` may have started another one in its place, if it was killed before.
            eventually("something is left", || {
                self.must(&["cluster", "list"]);
                let traces = Traces::of(self.place);
                let another = self.server().is_some_and(|it| it != served);
                nothing(
                    traces.has_nothing_new(before) || another,
                    &(&traces, before),
                )
            });
        }
        // Whatever happened, all is well again soon: `up` says so, or that a container was killed lately.
        eventually("it doesn't recover", || {
            self.run(&["up", "--timeout", "60s"])
        });
    }
}

fn pids(level: Option<&Vec<Process>>) -> Vec<i32> {
    level.into_iter().flatten().map(|it| it.pid).collect()
}

#[test]
fn whatever_is_killed_nothing_is_left() {
    let kills = setting("MWCTL_KILLS").map_or(10, |text| text.parse().unwrap());
    let places = Place::for_everybody();
    let mut chance = Chance::new();
    for place in &places {
        place.write("mwctl.yaml", STACK.as_bytes());
        let mut round = Round {
            place,
            chance: &mut chance,
            many: kills >= MANY,
        };
        // What the program keeps is there before anything is counted.
        round.must(&["up", "--timeout", "120s"]);
        round.must(&["cluster", "stop", "embedded"]);
        // Its process has given back what it had, and ends at this moment.
        eventually("the stopped one goes on", || {
            let running = Traces::of(place).processes;
            nothing(running == 0, &running)
        });
        let before = Traces::of(place);
        for _ in 0..kills.div_ceil(places.len() as u32) {
            round.play(&before);
        }
        round.must(&["cluster", "stop", "embedded"]);
        // Another test's processes may end at this moment: whoever comes next takes away what they leave.
        eventually("something is left", || {
            round.must(&["cluster", "list"]);
            let traces = Traces::of(place);
            nothing(traces.has_nothing_new(&before), &(&traces, &before))
        });
        round.must(&["cluster", "delete", "embedded"]);
    }
}
