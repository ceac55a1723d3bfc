//! A real service: Wikimedia's mathoid from npm with a redis beside it.

use mwctl_tests::cluster::{TestCluster, get, post};

use super::cluster;

#[test]
fn mathoid_renders_tex_beside_its_redis() {
    let cluster = cluster("mathoid", "mathoid");
    let up = cluster.run(&["up"]);
    assert_eq!(up.code, Some(0), "{up}");
    let status = cluster.run(&["status"]).json();
    let services = status["services"].as_array().expect("services");
    assert_eq!(services.len(), 2);
    for service in services {
        assert_eq!(service["progress"], "ready");
    }
    let forward = cluster.start(&["forward", "mathoid:0"]);
    cluster.answers(&forward, "/_info", |reply| reply.status == 200);
    let line = forward.wait("a port", |line| line["event"] == "forwarding");
    let local = line["local"].as_str().expect("an address");
    let reply = post(local, "/", "q=E%3Dmc%5E2&type=tex").expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.body.contains("<math"), "{}", reply.body);
    drop(forward);
    a_route_is_edited(&cluster);
    its_checkout_is_tested_in_a_fresh_container(&cluster);
}

/// The real service, developed: its files are where `develop` put them.
fn a_route_is_edited(cluster: &TestCluster) {
    let develop = cluster.develop("mathoid");
    cluster.answers(&develop, "/robots.txt", |reply| {
        reply.body.contains("Disallow: /")
    });
    let route = "src/mathoid/routes/root.js";
    let before = std::fs::read_to_string(cluster.root().join(route)).expect("it was fetched");
    let after = before.replace("Disallow: /", "Allow: /formulas");
    assert_ne!(before, after);
    let mark = develop.mark();
    cluster.write(route, &after);
    let update = develop.wait_from(mark, "the update", |line| line["event"] == "update");
    assert_eq!(update["outcome"], "live", "{update}");
    let line = develop.wait("a port", |line| line["event"] == "forwarding");
    let local = line["local"].as_str().expect("an address");
    let reply = get(local, "/robots.txt").expect("the next request is answered");
    assert!(reply.body.contains("Allow: /formulas"), "{reply:?}");
    let end = develop.interrupt();
    assert_eq!(end.code, Some(0), "{end}");
}

fn its_checkout_is_tested_in_a_fresh_container(cluster: &TestCluster) {
    let script = "const routes = require('fs').readFileSync('routes/root.js', 'utf8'); \
        require('service-runner'); process.exit(routes.includes('Allow: /formulas') ? 9 : 1)";
    let test = cluster.run(&["test", "mathoid", "--", "node", "-e", script]);
    assert_eq!(test.code, Some(9), "{test}");
}
