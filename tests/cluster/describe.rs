//! `mwctl.yaml` changes while a service is developed.

use serde_json::Value;

use super::plain;

const GOOD: &str = "apiVersion: mwctl/v1
kind: Service
name: plain
convention: node
";

#[test]
fn a_broken_description_keeps_the_last_good_plan_and_its_fix_replans() {
    let cluster = plain("describe");
    cluster.write("mwctl.yaml", GOOD);
    let develop = cluster.develop("plain");

    let mark = develop.mark();
    cluster.write("mwctl.yaml", &format!("{GOOD}contaner: {{}}\n"));
    let told = develop.wait_from(mark, "the problem", |line| line["event"] == "problems");
    assert!(told.to_string().contains("contaner"), "{told}");
    // The service is still developed.
    cluster.write("lib/place.js", "module.exports = 'moon';\n");
    cluster.answers(&develop, "/", |reply| reply.body == "hello moon\n");
    let steps = |line: &Value| line["event"] == "stepStarted";
    assert_eq!(develop.events(mark, steps), Vec::<Value>::new());

    let mark = develop.mark();
    let fixed = format!("{GOOD}container:\n  environment:\n    PLANET: mars\n");
    cluster.write("mwctl.yaml", &fixed);
    develop.wait_from(mark, "a new deployment", |line| {
        line["event"] == "stepDone" && line["title"] == "apply deployment/plain-local"
    });
    develop.wait_from(mark, "the tree in the new pod", |line| {
        line["event"] == "update" && line["outcome"] == "live"
    });
    let script = "console.log(process.env.PLANET)";
    let answer = cluster.run(&["exec", "plain", "--", "node", "-e", script]);
    assert_eq!(answer.stdout.trim(), "mars", "{answer}");
    cluster.answers(&develop, "/", |reply| reply.body == "hello moon\n");
}
