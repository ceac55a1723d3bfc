//! A service whose image its own Dockerfile says: from `up` to the running container and back to an edit.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::archive;
use crate::program::Home;

const SERVICE: &str = "apiVersion: mwctl/v1
kind: Service
name: teller
container:
  build: {file: Dockerfile, variant: runs, directory: /srv, user: 1000}
  command: [/bin/sh, -c, 'trap exit TERM; sleep 1000 & wait']
test: {variant: tests, command: [cat, /for-tests]}
";

const DOCKERFILE: &str = "FROM system:1 AS makes
COPY said /said
RUN cat /said /said > /twice
FROM system:1 AS runs
WORKDIR /srv
COPY --from=makes /twice ./
FROM runs AS tests
RUN cat /srv/twice /srv/twice > /for-tests
FROM scratch AS another
";

/// Takes the cluster down also where a test fails.
struct Gone<'a>(&'a Home);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.output(["cluster", "delete", "embedded"]);
    }
}

/// Whether a plan has a step of this kind; none at all where it is `None`.
fn has(plan: &Value, kind: Option<&str>) -> bool {
    let steps = plan["steps"].as_array().unwrap();
    match kind {
        Some(kind) => steps.iter().any(|step| step["action"].get(kind).is_some()),
        None => steps.is_empty(),
    }
}

#[test]
fn a_services_own_dockerfile_is_built_deployed_and_built_again_after_an_edit() {
    let home = Home::new();
    archive::write_system(&home.path("system.tar"));
    home.answer(["image", "import", "--name", "system:1", "system.tar"]);
    home.write("teller/mwctl.yaml", SERVICE);
    home.write("teller/Dockerfile", DOCKERFILE);
    home.write("teller/said", "one\n");
    let _gone = Gone(&home);
    let up = ["--directory", "teller", "up", "--timeout", "60s"];
    home.output(up);
    let told = [
        "--directory",
        "teller",
        "exec",
        "teller",
        "--",
        "cat",
        "/srv/twice",
    ];
    assert_eq!(home.output(told), "one\none\n");

    // What is built is known, and stays while nothing of the folder changes.
    let plan = home.answer(["--directory", "teller", "plan"]);
    assert!(has(&plan, None), "{plan}");
    home.write("teller/said", "two\n");
    let plan = home.answer(["--directory", "teller", "plan"]);
    assert!(has(&plan, Some("build")), "{plan}");
    home.output(up);
    assert_eq!(home.output(told), "two\ntwo\n");

    // All that it needs is in the image: applying an edit makes that anew.
    home.write("teller/said", "three\n");
    home.output(["--directory", "teller", "apply", "teller"]);
    assert_eq!(home.output(told), "three\nthree\n");

    // A cluster that begins again without the image gets it once more, and waits for what it had.
    home.output(["cluster", "stop", "embedded"]);
    let images = home.answer(["image", "list"]);
    let references = images["items"].as_array().unwrap().iter();
    let references = references.filter_map(|image| image["reference"].as_str());
    for image in references.filter(|it| it.starts_with("mwctl.local/teller:")) {
        home.answer(["image", "remove", image]);
    }
    home.output(up);
    assert_eq!(home.output(told), "three\nthree\n");

    // Tests run in the stage that is theirs.
    let tested = ["--directory", "teller", "test", "teller"];
    assert_eq!(home.output(tested), "three\n".repeat(4));
}

/// A service whose tests want something of its base.
const RECORDED: &str = "apiVersion: mwctl/v1
kind: Service
name: teller
container:
  build: {file: Dockerfile, directory: /srv, user: 1000}
  command: [/bin/sh, -c, 'trap exit TERM; sleep 1000 & wait']
test: {command: [cat, /generation]}
";

#[test]
fn a_newer_base_is_taken_when_its_tests_pass_and_rolled_out() {
    let home = Home::new();
    let import = |more: &[(&str, &str)]| {
        archive::write_system_with(&home.path("system.tar"), more);
        home.answer(["image", "import", "--name", "system:1", "system.tar"]);
    };
    let within = |arguments: &[&'static str]| {
        ["--directory", "teller"]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect::<Vec<_>>()
    };
    let lock = || std::fs::read_to_string(home.path("teller/mwctl.lock")).unwrap();
    home.write("teller/mwctl.yaml", RECORDED);
    home.write(
        "teller/Dockerfile",
        "FROM system:1\nWORKDIR /srv\nCOPY said ./\n",
    );
    home.write("teller/said", "one\n");
    import(&[]);
    let _gone = Gone(&home);
    // Its tests miss something of this base.
    let first = ["images", "update", "--offline", "--no-test"];
    assert_eq!(home.answer(within(&first))["written"], true);
    let recorded = lock();
    home.output(within(&["up", "--timeout", "60s"]));

    // Whatever the name means now, what is recorded is built and runs.
    import(&[("/etc/other", "other")]);
    let plan = home.answer(within(&["plan"]));
    assert!(has(&plan, None), "{plan}");
    home.write("teller/said", "two\n");
    home.output(within(&["up", "--timeout", "60s"]));
    home.failure(within(&["exec", "teller", "--", "cat", "/etc/other"]));
    let newer = home.answer(within(&["images", "update", "--offline", "--dry-run"]));
    assert_eq!(newer["changes"][0]["services"][0], "teller");

    // The tests miss a file of the base, and so nothing has happened.
    let update = ["images", "update", "--offline"];
    let failed = home.failure(within(&update));
    assert!(
        failed.contains("the tests of `teller` fail upon the new base"),
        "{failed}"
    );
    assert_eq!(lock(), recorded);
    let plan = home.answer(within(&["plan"]));
    assert!(has(&plan, None), "{plan}");

    import(&[("/generation", "2\n")]);
    home.output(within(&update));
    assert_ne!(lock(), recorded);
    let told = within(&["exec", "teller", "--", "cat", "/generation"]);
    assert_eq!(home.output(told), "2\n");

    // Back to the old base by the old file.
    std::fs::write(home.path("teller/mwctl.lock"), recorded).unwrap();
    let plan = home.answer(within(&["plan"]));
    assert!(!has(&plan, None) && !has(&plan, Some("build")), "{plan}");
}

/// A service that can be developed: its image is built before that.
const DEVELOPED: &str = "apiVersion: mwctl/v1
kind: Service
name: teller
container:
  build: {file: Dockerfile, directory: /srv, user: 1000}
  command: [/bin/sh, -c, 'trap exit TERM; sleep 1000 & wait']
develop: {command: [/bin/sh, -c, 'trap exit TERM; sleep 1000 & wait']}
";

/// A run whose events are read one after the other.
struct Told(Child, Lines<BufReader<ChildStdout>>);

impl Told {
    fn start<'a>(home: &Home, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let mut child = home.spawn(arguments.into_iter().chain(["--output", "json"]));
        let stdout = child.stdout.take().unwrap();
        Self(child, BufReader::new(stdout).lines())
    }

    /// Waits for an event about a step whose title begins so.
    fn step(&mut self, event: &str, title: &str) {
        let mut heard = Vec::new();
        for line in self.1.by_ref() {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let told = line["title"].as_str().unwrap_or_default();
            if line["event"] == event && told.starts_with(title) {
                return;
            }
            heard.push(line);
        }
        panic!("it ended without {event} of {title}: {heard:#?}");
    }

    /// Ctrl-C, and the exit code.
    fn interrupt(mut self) -> Option<i32> {
        let pid = Pid::from_child(&self.0);
        kill_process(pid, Signal::INT).unwrap();
        self.1.by_ref().for_each(drop);
        self.0.wait().unwrap().code()
    }
}

#[test]
fn an_image_that_is_no_longer_wanted_is_given_up() {
    let home = Home::new();
    archive::write_system(&home.path("system.tar"));
    home.answer(["image", "import", "--name", "system:1", "system.tar"]);
    home.write("teller/mwctl.yaml", DEVELOPED);
    let dockerfile = |step: &str| {
        let text = format!("FROM system:1\nWORKDIR /srv\nRUN {step}\n");
        home.write("teller/Dockerfile", &text);
    };
    let _gone = Gone(&home);
    // Longer than any test has patience for.
    dockerfile("sleep 600");
    let mut up = Told::start(&home, ["--directory", "teller", "up"]);
    up.step("stepStarted", "build");
    assert_eq!(up.interrupt(), Some(130));

    dockerfile("true");
    let mut develop = Told::start(&home, ["--directory", "teller", "develop", "teller"]);
    develop.step("stepDone", "apply deployment");
    dockerfile("sleep 600");
    develop.step("stepStarted", "build");
    dockerfile("echo newer > /srv/newer");
    develop.step("stepStopped", "build");
    develop.step("stepDone", "build");
    develop.step("stepDone", "apply deployment");
    assert_eq!(develop.interrupt(), Some(0));
}
