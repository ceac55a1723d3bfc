//! Deploying to a cluster of the test's own, whose pods are simulated: what the program does with
//! real objects, and what it says.

use crate::folder::Folder;

/// A store, what fills it, and what waits for that.
const STACK: &str = r#"
apiVersion: mwctl/v1
kind: Stack
name: shop
isolation: strict
services:
  web:
    container: {image: "web:1", ports: [{port: 8080}]}
    helpers: {tls-proxy: {}}
    replicas: 2
    secrets: {STORE_PASSWORD: {from: {service: store, secret: PASSWORD}}}
    needs: [{service: seed, condition: completed}]
  seed:
    convention: job
    container: {image: "seed:1", command: [seed]}
    annotations: {mwctl/simulate: succeed}
    needs: [store]
  store:
    container: {image: "store:1", ports: [{name: store, port: 5432}]}
    workload: {kind: statefulSet}
    secrets: {PASSWORD: {generate: {}}}
"#;

/// Runs a script in a folder with `stack`, on a cluster of its own; `$M` is the program.
fn script(stack: &str, script: &str) -> String {
    let folder = Folder::new().file("mwctl.yaml", stack);
    let program = env!("CARGO_BIN_EXE_mwctl-dup");
    let script = format!("M={program}; PATH=/usr/bin:/bin; export PATH; {script}");
    folder.mwctl([
        "cluster",
        "run",
        "--simulate-pods",
        "--",
        "/usr/bin/timeout",
        "120",
        "/bin/sh",
        "-c",
        &script,
    ])
}

#[test]
fn a_stack_of_several_kinds_comes_up_once_and_goes() {
    let said = script(
        STACK,
        "$M up --quiet && $M up && $M diff --exit-code && echo same; $M status | tail -n 1; \
         $M down --quiet; $M status | grep -c deployed",
    );
    assert!(said.contains("nothing to do"), "{said}");
    // Nothing runs there, so nothing is kept apart.
    assert!(said.contains("known to enforce network policies"), "{said}");
    assert!(
        said.contains("nothing differs\nsame\neverything is ready\n3\n"),
        "{said}"
    );
}

#[test]
fn a_difference_is_shown_line_by_line_and_secrets_never() {
    let said = script(
        STACK,
        "$M up --quiet; sed -i 's/web:1/web:2/; s/generate: {}/value: hunter2/' mwctl.yaml; \
         $M diff --exit-code; echo code $?",
    );
    let line = |sign: &str, text: &str| {
        said.lines()
            .any(|line| line.starts_with(sign) && line.trim_start_matches(sign).trim() == text)
    };
    assert!(
        line("-", "image: web:1") && line("+", "image: web:2"),
        "{said}"
    );
    assert!(line("+", "PASSWORD: … (as it will be)"), "{said}");
    assert!(
        !said.contains("hunter2") && !said.contains("aHVudGVyMg"),
        "{said}"
    );
    assert!(said.contains("code 1\n"), "{said}");
}

#[test]
fn what_can_not_be_changed_in_place_is_replaced_with_a_warning() {
    let said = script(
        STACK,
        "$M up --quiet; sed -i 's/seed:1/seed:2/; s/    workload: {kind: statefulSet}/&\\n    network: {address: headless}/' mwctl.yaml; \
         $M plan; $M up --quiet; echo code $?; $M status | tail -n 1",
    );
    for expected in [
        "delete  service/store-local",
        "delete  job/seed-local",
        "warning: `service/store-local` can't be changed in place",
        "its address changes",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(said.contains("code 0\neverything is ready"), "{said}");
}

#[test]
fn two_at_once_are_told_apart_and_one_that_was_killed_is_in_nobodys_way() {
    // A simulated job that nothing ends keeps the first one waiting.
    let stack = STACK.replace("mwctl/simulate: succeed", "a: b");
    let said = script(
        &stack,
        "$M up --quiet store; $M up >/dev/null 2>&1 & first=$!; \
         until $M status --output json | grep -q '\"started\"'; do :; done; \
         $M up; echo second $?; kill -9 $first; wait $first 2>/dev/null; \
         $M up --no-wait --quiet seed; echo third $?",
    );
    assert!(
        said.contains("the stack `shop` is being deployed by"),
        "{said}"
    );
    assert!(said.contains("second 4\n"), "{said}");
    assert!(said.contains("third 0\n"), "{said}");
}

#[test]
fn a_service_that_fails_goes_back_to_what_ran_before() {
    let stack = "
apiVersion: mwctl/v1
kind: Stack
name: shop
services:
  web:
    container: {image: \"web:1\", ports: [{port: 8080}]}
    settings: {greeting: hello}
    files: {/etc/web/greeting: hello}
";
    let said = script(
        stack,
        "$M up --quiet; sed -i 's/web:1/web:2/; s/hello/bye/; s/settings:/annotations: {mwctl\\/simulate: fail}\\n    settings:/' mwctl.yaml; \
         $M up --rollback --timeout 8s 2>&1; echo code $?; \
         sed -i 's/web:2/web:1/; s/bye/hello/; /simulate/d' mwctl.yaml; $M diff; $M status | tail -n 1",
    );
    assert!(said.contains("is back to what ran before"), "{said}");
    assert!(said.contains("code 1\n"), "{said}");
    assert!(
        said.contains("nothing differs\neverything is ready"),
        "{said}"
    );
}
