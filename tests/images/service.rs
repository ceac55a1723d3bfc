//! A service whose image its own Dockerfile says: from `up` to the running container and back to an edit.

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

    // Tests run in the stage that is theirs.
    let tested = ["--directory", "teller", "test", "teller"];
    assert_eq!(home.output(tested), "two\n".repeat(4));
}
