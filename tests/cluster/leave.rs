//! The ends of `develop`: asked for, and not.

use mwctl_tests::cluster::{TestCluster, eventually};

use super::plain;

fn form(cluster: &TestCluster) -> String {
    let status = cluster.run(&["status"]).json();
    let form = &status["services"][0]["form"];
    form.as_str().unwrap_or_default().to_owned()
}

#[test]
fn ctrl_c_brings_the_planned_form_back() {
    let cluster = plain("leave");
    let up = cluster.run(&["up"]);
    assert_eq!(up.code, Some(0), "{up}");
    let planned = form(&cluster);
    let develop = cluster.develop("plain");
    assert_ne!(form(&cluster), planned);
    cluster.write("lib/place.js", "module.exports = 'moon';\n");
    cluster.answers(&develop, "/", |reply| reply.body == "hello moon\n");

    let end = develop.interrupt();
    assert_eq!(end.code, Some(0), "{end}");
    assert_eq!(form(&cluster), planned);
    let forward = cluster.start(&["forward", "plain:0"]);
    // The image's own files again.
    cluster.answers(&forward, "/", |reply| reply.body == "hello world\n");
}

#[test]
fn after_a_kill_the_service_runs_on_and_the_next_develop_converges() {
    let cluster = plain("kill");
    let develop = cluster.develop("plain");
    // In the middle of an update: it may have arrived or not.
    cluster.write("lib/place.js", "module.exports = 'moon';\n");
    drop(develop.kill());
    let forward = cluster.start(&["forward", "plain:0"]);
    let reply = cluster.answers(&forward, "/", |reply| reply.status == 200);
    assert!(
        ["hello world\n", "hello moon\n"].contains(&reply.body.as_str()),
        "{reply:?}"
    );

    for (round, moment) in ["forwarding", "connected", "update"]
        .into_iter()
        .enumerate()
    {
        cluster.write(
            "lib/place.js",
            &format!("module.exports = 'moon {round}';\n"),
        );
        let develop = cluster.start(&["develop", "plain"]);
        develop.wait(moment, |line| line["event"] == moment);
        drop(develop.kill());
        cluster.answers(&forward, "/", |reply| reply.status == 200);
    }
    cluster.write("lib/greeting.js", "module.exports = 'good night';\n");
    let _develop = cluster.develop("plain");
    cluster.answers(&forward, "/", |reply| reply.body == "good night moon 2\n");
    cluster.converges("plain");
    eventually("one pod remains", || {
        (cluster.pods().len() == 1).then_some(())
    });
}

#[test]
fn developing_again_goes_on_in_the_same_container() {
    let cluster = plain("again");
    let develop = cluster.run(&["develop", "plain", "--detach"]);
    assert_eq!(develop.code, Some(0), "{develop}");
    let before = cluster.pods();
    cluster.write("lib/place.js", "module.exports = 'moon';\n");
    let develop = cluster.run(&["develop", "plain", "--detach"]);
    assert_eq!(develop.code, Some(0), "{develop}");
    assert_eq!(cluster.pods(), before, "an edit alone needs no other pod");
    cluster.converges("plain");

    let develop = cluster.start(&["develop", "plain"]);
    develop.wait("nothing to do", |line| line["text"] == "is up to date");
    cluster.write("lib/place.js", "module.exports = 'stars';\n");
    cluster.answers(&develop, "/", |reply| reply.body == "hello stars\n");
    // Somebody else's turn changes nothing before it is theirs.
    let second = cluster.run(&["develop", "plain"]);
    assert_eq!(second.code, Some(1), "{second}");
    assert!(second.stdout.contains("--take-over"), "{second}");
    assert_eq!(cluster.pods(), before);
    cluster.answers(&develop, "/", |reply| reply.body == "hello stars\n");
}
