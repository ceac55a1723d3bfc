//! What the embedded API costs, beside a real kube-apiserver with its etcd in the same run.
//!
//! `tests/bench/run api` starts a bed and this, which prints what it found and writes it to its section of
//! `docs/reference/performance.md`. It judges nothing: the gate is a reader.

#[path = "api/calls.rs"]
mod calls;
#[path = "api/memory.rs"]
mod memory;
#[path = "api/real.rs"]
mod real;
#[path = "api/report.rs"]
mod report;

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use mwctl_apiserver::access::User;
use mwctl_apiserver::server::{Endpoint, Server};
use mwctl_tests::performance::{self, Samples};
use tokio::runtime::Builder;

use report::Report;

/// How many objects the long list has.
const LIST: usize = 10_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // The part of this program whose memory is measured.
    if let Some(at) = arguments.iter().position(|word| word == "--writes") {
        memory::write(arguments[at + 1].parse().expect("a number"));
        return;
    }
    // Quick, for whoever works on it: without the real one, and nothing is written.
    let alone = arguments.iter().any(|word| word == "--alone");
    let real = (!alone).then(performance::real::kubeconfig);
    let report = measure(real);
    if alone {
        report.show();
    } else {
        report.write();
    }
}

/// Clients have one thread, like a `#[tokio::test]` and most programs that ask; servers behind a socket have
/// threads of their own, like the process of `mwctl cluster`.
fn measure(real: Option<Kubeconfig>) -> Report {
    let mut builder = Builder::new_current_thread();
    let client = builder.enable_all().build().expect("a runtime");
    let mut builder = Builder::new_multi_thread();
    let servers = builder.enable_all().build().expect("a runtime");
    let mut report = Report::default();
    client.block_on(in_process(&mut report));
    let serve = async {
        let server = Server::new().expect("a server");
        let endpoint = server.listen(0).await.expect("a socket");
        (server, endpoint)
    };
    let (server, endpoint) = servers.block_on(serve);
    client.block_on(over_tls(&server, &endpoint, &mut report));
    if let Some(kubeconfig) = real {
        client.block_on(real::measure(kubeconfig, &mut report));
    }
    memory::measure(&mut report);
    report
}

async fn in_process(report: &mut Report) {
    report.add("cluster created → its API answers", created().await, 10.0);
    let server = Server::new().expect("a server");
    let near = server.client();
    calls::creates(&near, 200).await;
    report.add("create, in process", calls::creates(&near, 2000).await, 0.1);
    let event = calls::create_to_event(&near, 1000).await;
    report.add("create → watch event, in process", event, 0.1);
    report.add("get, in process", calls::gets(&near, 2000).await, f64::NAN);
    let watchers = calls::watchers(&near, 100).await;
    report.add(
        "one event → the last of 100 watchers has it, in process",
        watchers,
        1.0,
    );
    calls::fill(&near, LIST).await;
    report.add(
        "list of 10,000, at the server",
        list_at_server(&server).await,
        5.0,
    );
}

async fn over_tls(server: &Server, endpoint: &Endpoint, report: &mut Report) {
    let far = connected(&endpoint.kubeconfig().text("bench")).await;
    calls::creates(&far, 200).await;
    report.add("create, over TLS", calls::creates(&far, 2000).await, 0.15);
    let event = calls::create_to_event(&far, 1000).await;
    report.add("create → watch event, over TLS", event, f64::NAN);
    report.add("get, over TLS", calls::gets(&far, 2000).await, f64::NAN);
    let watchers = calls::watchers(&far, 100).await;
    report.add(
        "one event → the last of 100 watchers has it, over TLS",
        watchers,
        f64::NAN,
    );
    calls::fill(&server.client(), LIST).await;
    report.add(
        "list of 10,000 as bytes, over TLS",
        calls::lists(&far).await,
        f64::NAN,
    );
}

/// A new server, up to its first answer. The first one of the process reads the table of kinds, and is told apart.
async fn created() -> Samples {
    let mut samples = Samples::default();
    for _ in 0..50 {
        let start = Instant::now();
        let server = Server::new().expect("a server");
        let client = server.client();
        client.apiserver_version().await.expect("an answer");
        samples.take(start.elapsed());
    }
    samples
}

/// The answer without any client: from the request until all bytes of the answer are there.
async fn list_at_server(server: &Server) -> Samples {
    let mut samples = Samples::default();
    for _ in 0..50 {
        let request = http::Request::get("/api/v1/namespaces/default/configmaps");
        let mut request = request.body(Full::<Bytes>::default()).expect("a request");
        request.extensions_mut().insert(User::admin());
        let start = Instant::now();
        let answer = server.api().answer(request).await;
        let bytes = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        samples.take(start.elapsed());
        assert!(bytes.len() > LIST * 100, "{} bytes", bytes.len());
    }
    samples
}

async fn connected(kubeconfig: &str) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).expect("a kubeconfig");
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("a configuration");
    config.read_timeout = Some(Duration::from_mins(1));
    Client::try_from(config).expect("a client")
}
