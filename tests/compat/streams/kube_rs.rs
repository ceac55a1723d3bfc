//! kube-rs, which speaks WebSocket, through memory and over TLS.

use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{AttachParams, AttachedProcess, LogParams, TerminalSize};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use mwctl_apiserver::server::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::server;

fn streams() -> AttachParams {
    AttachParams::default()
        .container("main")
        .stdout(true)
        .stderr(true)
}

async fn all(mut process: AttachedProcess) -> (String, String, String) {
    let (mut out, mut err) = (String::new(), String::new());
    let status = process.take_status().unwrap();
    let stdout = process.stdout();
    let stderr = process.stderr();
    if let Some(mut stdout) = stdout {
        stdout.read_to_string(&mut out).await.unwrap();
    }
    if let Some(mut stderr) = stderr {
        stderr.read_to_string(&mut err).await.unwrap();
    }
    let status = status.await.unwrap();
    process.join().await.unwrap();
    let code = status
        .details
        .and_then(|details| details.causes?.into_iter().next()?.message);
    (out, err, code.unwrap_or_else(|| status.status.unwrap()))
}

async fn over_tls(server: &Server) -> (mwctl_apiserver::server::Endpoint, Client) {
    let endpoint = server.listen(0).await.unwrap();
    let config = Kubeconfig::from_yaml(&endpoint.kubeconfig().text("t")).unwrap();
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default())
        .await
        .unwrap();
    (endpoint, Client::try_from(config).unwrap())
}

#[tokio::test]
async fn a_command_has_its_streams_and_its_code() {
    let (server, _node) = server().await;
    let (_endpoint, tls) = over_tls(&server).await;
    for client in [server.client(), tls] {
        let pods: Api<Pod> = Api::default_namespaced(client);
        let script = ["sh", "-c", "echo out; echo err >&2; exit 3"];
        let told = all(pods.exec("p", script, &streams()).await.unwrap()).await;
        assert_eq!(
            told,
            ("out\n".to_owned(), "err\n".to_owned(), "3".to_owned())
        );
    }
}

#[tokio::test]
async fn much_goes_in_and_out_at_once() {
    let (server, _node) = server().await;
    let pods: Api<Pod> = Api::default_namespaced(server.client());
    let mut process = pods
        .exec("p", ["cat"], &streams().stdin(true))
        .await
        .unwrap();
    let (mut stdin, mut stdout) = (process.stdin().unwrap(), process.stdout().unwrap());
    let sent: Vec<u8> = (0..3 << 20)
        .map(|number: u32| (number % 251) as u8)
        .collect();
    let mut received = Vec::new();
    let sending = async {
        stdin.write_all(&sent).await.unwrap();
        // Version 5 of the protocol tells the process that this was all.
        stdin.shutdown().await.unwrap();
        drop(stdin);
    };
    tokio::join!(sending, async {
        stdout.read_to_end(&mut received).await.unwrap();
    });
    assert!(
        sent == received,
        "{} bytes of {}",
        received.len(),
        sent.len()
    );
}

#[tokio::test]
async fn a_terminal_hears_its_size() {
    let (server, _node) = server().await;
    let pods: Api<Pod> = Api::default_namespaced(server.client());
    let terminal = AttachParams::default()
        .container("main")
        .tty(true)
        .stderr(false);
    let mut process = pods.exec("p", ["sh"], &terminal).await.unwrap();
    let mut sizes = process.terminal_size().unwrap();
    let size = TerminalSize {
        width: 80,
        height: 24,
    };
    futures::SinkExt::send(&mut sizes, size).await.unwrap();
    assert_eq!(all(process).await.0, "80x24\n");
}

#[tokio::test]
async fn a_log_is_read_whole_in_part_and_as_it_goes_on() {
    let (server, _node) = server().await;
    let pods: Api<Pod> = Api::default_namespaced(server.client());
    let options = LogParams {
        container: Some("main".to_owned()),
        ..LogParams::default()
    };
    assert_eq!(pods.logs("p", &options).await.unwrap(), "one\ntwo\nthree\n");
    let tail = LogParams {
        tail_lines: Some(1),
        ..options.clone()
    };
    assert_eq!(pods.logs("p", &tail).await.unwrap(), "three\n");
    let follow = LogParams {
        follow: true,
        ..options
    };
    let mut lines = pods.log_stream("p", &follow).await.unwrap().lines();
    assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("one"));
}

#[tokio::test]
async fn ports_are_forwarded_and_faults_told() {
    let (server, _node) = server().await;
    let pods: Api<Pod> = Api::default_namespaced(server.client());
    let mut forwarder = pods.portforward("p", &[7, 9]).await.unwrap();
    let mut echo = forwarder.take_stream(7).unwrap();
    echo.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    echo.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
    let fault = forwarder.take_error(9).unwrap().await.unwrap();
    assert!(
        fault.starts_with("error forwarding port 9 to pod p, uid "),
        "{fault}"
    );
    assert!(fault.ends_with("connection refused"), "{fault}");
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_is_upgraded() {
    let (server, node) = server().await;
    let pods: Api<Pod> = Api::default_namespaced(server.client());
    let log = async |name: &str, container: &str| {
        let options = LogParams {
            container: Some(container.to_owned()).filter(|name| !name.is_empty()),
            ..LogParams::default()
        };
        pods.logs(name, &options)
            .await
            .map_err(|error| error.to_string())
    };
    for (name, container, why) in [
        (
            "p",
            "",
            "a container name must be specified for pod p, choose one of: [main side]",
        ),
        ("p", "other", "container other is not valid for pod p"),
        (
            "p",
            "side",
            "container \"side\" in pod \"p\" is waiting to start: ContainerCreating",
        ),
        (
            "q",
            "",
            "no container of pod \"q\" runs here: node \"elsewhere\" is not a part of this cluster's server",
        ),
        ("nobody", "", "pods \"nobody\" not found"),
    ] {
        let refused = log(name, container).await.unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
    assert_eq!(
        log("r", "").await.as_deref(),
        Ok(""),
        "a pod without a node has said nothing"
    );
    let exec = async |name: &str| {
        let path = format!(
            "/api/v1/namespaces/default/pods/{name}/exec?command=a&stdout=true&container=main"
        );
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        server
            .client()
            .request_text(request)
            .await
            .unwrap_err()
            .to_string()
    };
    assert!(exec("p").await.contains("Upgrade request required"));
    assert!(
        exec("r")
            .await
            .contains("pod r does not have a host assigned")
    );
    drop(node);
    assert!(
        exec("p")
            .await
            .contains("node \"here\" is not a part of this cluster's server")
    );
}
