//! Pods of a cluster, ours or a real one: how soon they run, how soon they answer, and what their network carries.

use std::collections::HashSet;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod, Service, ServiceAccount};
use kube::api::{AttachParams, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::await_condition;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Config, ResourceExt as _};
use mwctl_tests::performance::Samples;
use mwctl_tests::processes;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use crate::traffic::{self, Traffic};

const NAMESPACE: &str = "bench-node";
/// One after the other, after some that don't count.
const ROUNDS: usize = 20;
const WARM: usize = 2;
/// How long a node rests before it is measured: what a round leaves to be tidied up isn't part of the next one.
const REST: Duration = Duration::from_secs(1);
/// So many at once, so often.
const TWENTY: usize = 20;
const TIMES: usize = 5;

/// What is written through a stream at once, in bytes.
const BULK: u64 = 256 << 20;

/// What was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) running: Samples,
    pub(crate) twenty: Samples,
    pub(crate) exec: Samples,
    pub(crate) stream: Samples,
    /// What a command writes through `exec`, in MB/s, each time.
    pub(crate) bulk: Vec<f64>,
    pub(crate) direct: Traffic,
    pub(crate) service: Traffic,
}

/// A namespace for them.
pub(crate) struct Pods {
    client: Client,
    image: String,
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("an object")
}

impl Pods {
    pub(crate) async fn new(kubeconfig: Kubeconfig, image: &str) -> Self {
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let mut config = config.expect("a configuration");
        NAMESPACE.clone_into(&mut config.default_namespace);
        let client = Client::try_from(config).expect("a client");
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let namespace = read(json!({"metadata": {"name": NAMESPACE}}));
        let made = namespaces.create(&PostParams::default(), &namespace).await;
        made.expect("a namespace");
        // Without it no pod is let in.
        let accounts: Api<ServiceAccount> = Api::default_namespaced(client.clone());
        let there = |account: Option<&ServiceAccount>| account.is_some();
        let found = await_condition(accounts, "default", there).await;
        found.expect("the service account of all pods");
        Self {
            client,
            image: image.to_owned(),
        }
    }

    /// Removes the namespace.
    pub(crate) async fn end(self) {
        let namespaces: Api<Namespace> = Api::all(self.client);
        let deleted = namespaces.delete(NAMESPACE, &DeleteParams::default()).await;
        deleted.expect("a deletion");
    }

    /// Measures everything.
    pub(crate) async fn measure(&self) -> Measured {
        let mut running = Samples::default();
        for round in 0..WARM + ROUNDS {
            let took = self.round(&format!("one-{round}"), 1).await;
            if round >= WARM {
                running.take(took);
            }
        }
        let mut twenty = Samples::default();
        for round in 0..TIMES {
            twenty.take(self.round(&format!("twenty-{round}"), TWENTY).await);
        }
        self.two().await;
        let listed = self.pods().list(&ListParams::default()).await;
        let pods = listed.expect("a list").items;
        let [server, client] = &pods[..] else {
            panic!("{} pods are there", pods.len());
        };
        let name = client.name_any();
        let (exec, stream) = (self.exec(&name).await, self.stream(&name).await);
        let bulk = self.bulk(&name).await;
        let address = |pod: &Pod| pod.status.as_ref()?.pod_ip.clone();
        let address = address(server).expect("an address");
        let service = self.service(server).await;
        let (server, client) = (process(server), process(client));
        let [direct, service] = traffic::between(server, client, [address, service]);
        Measured {
            running,
            twenty,
            exec,
            stream,
            bulk,
            direct,
            service,
        }
    }

    /// Two pods that stay.
    pub(crate) async fn two(&self) {
        let mut events = pin!(self.watch("stays").await);
        self.deploy("stays", 2).await;
        until_running(&mut events, 2).await;
    }

    fn pods(&self) -> Api<Pod> {
        Api::default_namespaced(self.client.clone())
    }

    /// A Deployment created → all its pods run, as a client sees it. They are gone when this is back.
    async fn round(&self, name: &str, count: usize) -> Duration {
        tokio::time::sleep(REST).await;
        let mut events = pin!(self.watch(name).await);
        let start = Instant::now();
        self.deploy(name, count).await;
        let pods = until_running(&mut events, count).await;
        let took = start.elapsed();
        let deployments: Api<Deployment> = Api::default_namespaced(self.client.clone());
        let deleted = deployments.delete(name, &DeleteParams::background()).await;
        deleted.expect("a deletion");
        until_gone(&mut events, pods).await;
        took
    }

    async fn deploy(&self, name: &str, count: usize) {
        let container = json!({"name": "main", "image": self.image, "imagePullPolicy": "IfNotPresent",
            "command": ["sleep", "100000"]});
        let spec = json!({"containers": [container], "terminationGracePeriodSeconds": 0});
        let labels = json!({"app": name});
        let deployment = json!({"metadata": {"name": name}, "spec": {"replicas": count,
            "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}}});
        let deployments: Api<Deployment> = Api::default_namespaced(self.client.clone());
        let made = deployments
            .create(&PostParams::default(), &read(deployment))
            .await;
        made.expect("a Deployment");
    }

    /// What happens to the pods of a Deployment from now on.
    async fn watch(&self, name: &str) -> impl Stream<Item = Event<Pod>> + use<> {
        let config = watcher::Config::default().labels(&format!("app={name}"));
        let events = watcher(self.pods(), config).map(|event| event.expect("a watch"));
        let mut events = Box::pin(events);
        while !matches!(events.next().await, Some(Event::InitDone)) {}
        events
    }

    /// The address of a service that is this pod.
    async fn service(&self, pod: &Pod) -> String {
        let name = pod.name_any();
        let pods = self.pods();
        let patch = json!({"metadata": {"labels": {"serves": "traffic"}}});
        let patch = Patch::Merge(patch);
        let labelled = pods.patch(&name, &PatchParams::default(), &patch).await;
        labelled.expect("a label");
        let port = |number: u16| json!({"name": format!("p{number}"), "port": number});
        let ports: Vec<Value> = traffic::PORTS.map(port).to_vec();
        let service = json!({"metadata": {"name": "traffic"}, "spec": {"selector": {"serves": "traffic"}, "ports": ports}});
        let services: Api<Service> = Api::default_namespaced(self.client.clone());
        let made = services
            .create(&PostParams::default(), &read(service))
            .await;
        let made: Service = made.expect("a service");
        made.spec
            .and_then(|spec| spec.cluster_ip)
            .expect("an address")
    }

    /// A command in a running container → how it ended.
    async fn exec(&self, pod: &str) -> Samples {
        let mut samples = Samples::default();
        for _ in 0..ROUNDS * 2 {
            let start = Instant::now();
            let params = AttachParams::default().stderr(false);
            let begun = self.pods().exec(pod, ["true"], &params).await;
            let mut begun = begun.expect("a command");
            let status = begun.take_status().expect("a status").await;
            samples.take(start.elapsed());
            let status = status.and_then(|status| status.status);
            assert_eq!(status.as_deref(), Some("Success"));
            begun.abort();
        }
        samples
    }

    /// A line through a command that stays open, there and back.
    async fn stream(&self, pod: &str) -> Samples {
        let params = AttachParams::default().stderr(false).stdin(true);
        let begun = self.pods().exec(pod, ["cat"], &params).await;
        let mut begun = begun.expect("a command");
        let mut stdin = begun.stdin().expect("it is asked for");
        let mut stdout = BufReader::new(begun.stdout().expect("it is asked for"));
        let mut samples = Samples::default();
        for round in 0..ROUNDS * 10 {
            let start = Instant::now();
            let line = format!("{round}\n");
            stdin.write_all(line.as_bytes()).await.expect("a stream");
            stdin.flush().await.expect("a stream");
            let mut back = String::new();
            stdout.read_line(&mut back).await.expect("a stream");
            samples.take(start.elapsed());
            assert_eq!(back, line);
        }
        drop(stdin);
        // The end of what it reads is told only to those who end with it.
        begun.abort();
        samples
    }

    /// Much that a command writes, from its first byte to its last one.
    async fn bulk(&self, pod: &str) -> Vec<f64> {
        let mut rates = Vec::new();
        for _ in 0..TIMES {
            // The client's own buffer has a kilobyte where nobody says anything.
            let params = AttachParams::default().stderr(false);
            let params = params.max_stdout_buf_size(1 << 20);
            let count = BULK.to_string();
            let command = ["head", "--bytes", &count, "/dev/zero"];
            let begun = self.pods().exec(pod, command, &params).await;
            let mut begun = begun.expect("a command");
            let mut stdout = begun.stdout().expect("it is asked for");
            let mut read = vec![0; 1 << 16];
            let first = stdout.read(&mut read).await.expect("a stream");
            let start = Instant::now();
            let rest = tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await;
            let rest = rest.expect("a stream");
            assert_eq!(first as u64 + rest, BULK);
            rates.push(rest as f64 / start.elapsed().as_secs_f64() / 1e6);
        }
        rates.sort_by(f64::total_cmp);
        rates
    }
}

fn runs(pod: &Pod) -> bool {
    let statuses = pod
        .status
        .as_ref()
        .and_then(|it| it.container_statuses.as_ref());
    let mut states = statuses.into_iter().flatten().map(|it| it.state.as_ref());
    states.any(|state| state.is_some_and(|state| state.running.is_some()))
}

/// Waits until so many run, and gives their names.
async fn until_running(
    events: &mut (impl Stream<Item = Event<Pod>> + Unpin),
    count: usize,
) -> HashSet<String> {
    let mut running = HashSet::new();
    while running.len() < count {
        if let Event::Apply(pod) = events.next().await.expect("it goes on")
            && runs(&pod)
        {
            running.insert(pod.name_any());
        }
    }
    running
}

async fn until_gone(
    events: &mut (impl Stream<Item = Event<Pod>> + Unpin),
    mut pods: HashSet<String>,
) {
    while !pods.is_empty() {
        if let Event::Delete(pod) = events.next().await.expect("it goes on") {
            pods.remove(&pod.name_any());
        }
    }
}

/// The first process of a pod's container.
fn process(pod: &Pod) -> u32 {
    let statuses = pod
        .status
        .as_ref()
        .and_then(|it| it.container_statuses.as_ref());
    let id = statuses.and_then(|all| all.first()?.container_id.clone());
    let id = id.expect("a container");
    let id = id.rsplit('/').next().unwrap_or_default();
    processes::of_container(id).expect("its processes are on this machine")
}
