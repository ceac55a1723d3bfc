//! Commands in containers, their own streams, and their ports.

use mwctl_node::streams::Wanted;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::stage::{Stage, ready, shell};

const OUTPUT: Wanted = Wanted {
    stdin: false,
    stdout: true,
    stderr: true,
    terminal: false,
};

fn command(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

#[tokio::test]
async fn a_command_runs_in_the_container_with_its_variables() {
    let stage = Stage::new().await;
    let mut container = shell("main", "exec sleep 1000");
    container["env"] = json!([{"name": "WORD", "value": "known"}]);
    stage.create("p", json!({"containers": [container]})).await;
    let pod = stage.phase("p", "Running").await;
    let place = stage.place(&pod, "main");
    let streams = stage.node.streams();
    let wanted = Wanted {
        stdin: true,
        ..OUTPUT
    };
    let mut session = streams
        .exec(
            &place,
            &command("echo $WORD; cat; echo bad >&2; exit 5"),
            wanted,
        )
        .await
        .unwrap();
    let mut stdin = session.stdin.take().unwrap();
    stdin.write_all(b"typed\n").await.unwrap();
    drop(stdin);
    let (mut out, mut err) = (String::new(), String::new());
    session
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .await
        .unwrap();
    session
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .await
        .unwrap();
    assert_eq!(
        (&*out, &*err, session.exit.await),
        ("known\ntyped\n", "bad\n", 5)
    );
    let missing = streams
        .exec(&place, &["nosuch".to_owned()], OUTPUT)
        .await
        .unwrap_err();
    assert!(missing.to_string().contains("nosuch"), "{missing}");
    let other = mwctl_node::streams::Place {
        container: "other".to_owned(),
        ..place
    };
    streams
        .exec(&other, &command("true"), OUTPUT)
        .await
        .unwrap_err();
}

#[tokio::test]
async fn a_terminal_has_the_size_it_is_told() {
    let stage = Stage::new().await;
    stage
        .create(
            "p",
            json!({"containers": [shell("main", "exec sleep 1000")]}),
        )
        .await;
    let pod = stage.phase("p", "Running").await;
    let wanted = Wanted {
        stdin: true,
        terminal: true,
        ..OUTPUT
    };
    let script = "until stty size | grep -q '50 132'; do sleep 0.01; done; stty size; tty";
    let mut session = stage
        .node
        .streams()
        .exec(&stage.place(&pod, "main"), &command(script), wanted)
        .await
        .unwrap();
    session.resize.as_ref().unwrap()(50, 132);
    let mut out = String::new();
    session
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .await
        .unwrap();
    assert_eq!(out, "50 132\r\n/dev/pts/0\r\n");
}

#[tokio::test]
async fn a_command_whose_client_goes_ends() {
    let stage = Stage::new().await;
    stage
        .create(
            "p",
            json!({"containers": [shell("main", "exec sleep 1000")]}),
        )
        .await;
    let pod = stage.phase("p", "Running").await;
    let place = stage.place(&pod, "main");
    let streams = stage.node.streams();
    drop(
        streams
            .exec(&place, &command("exec sleep 54321"), OUTPUT)
            .await
            .unwrap(),
    );
    let script = "while grep -qs 54321 /proc/[0-9]*/cmdline; do sleep 0.01; done";
    // The pattern must not find the command that looks for it.
    let script = script.replace("54321", "5432[1]");
    let session = streams
        .exec(&place, &command(&script), OUTPUT)
        .await
        .unwrap();
    assert_eq!(session.exit.await, 0);
}

#[tokio::test]
async fn whoever_attaches_sees_and_writes_to_the_process() {
    let stage = Stage::new().await;
    let mut container = shell("main", "while read line; do echo heard $line; done");
    container["stdin"] = json!(true);
    stage.create("p", json!({"containers": [container]})).await;
    let pod = stage.phase("p", "Running").await;
    let wanted = Wanted {
        stdin: true,
        ..OUTPUT
    };
    for word in ["one", "two"] {
        let mut session = stage
            .node
            .streams()
            .attach(&stage.place(&pod, "main"), wanted)
            .unwrap();
        session
            .stdin
            .as_mut()
            .unwrap()
            .write_all(format!("{word}\n").as_bytes())
            .await
            .unwrap();
        let mut heard = vec![0; format!("heard {word}\n").len()];
        session
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut heard)
            .await
            .unwrap();
        assert_eq!(String::from_utf8(heard).unwrap(), format!("heard {word}\n"));
    }
}

#[tokio::test]
async fn ports_of_a_pod_are_reached_and_probed() {
    let stage = Stage::new().await;
    let mut container = shell("main", "cd /usr/share; exec python3 -m http.server 8080");
    container["ports"] = json!([{"name": "web", "containerPort": 8080}]);
    container["readinessProbe"] =
        json!({"httpGet": {"path": "/", "port": "web"}, "periodSeconds": 1});
    stage
        .create("web", json!({"containers": [container]}))
        .await;
    let pod = stage.wait("web", |pod: Option<&_>| ready(pod)).await;
    let uid = pod.metadata.uid.unwrap();
    let mut stream = stage.node.streams().connect(&uid, 8080).await.unwrap();
    stream.write_all(b"HEAD / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    stage.node.streams().connect(&uid, 9).await.unwrap_err();
}
