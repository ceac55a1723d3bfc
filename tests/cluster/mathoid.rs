//! A real service: Wikimedia's mathoid from npm with a redis beside it.

use mwctl_tests::cluster::post;

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
}
