//! A cluster whose pods run on this machine, as it is typed: made, used as any cluster, removed.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{AttachParams, DynamicObject, LogParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::discovery::pinned_kind;
use kube::runtime::wait::await_condition;
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::folder::Folder;

const IMAGE: &str = "mwctl.local/host";
/// Nothing here takes as long: what does is stuck.
const LONGEST: Duration = Duration::from_mins(2);

async fn client(kubeconfig: &str) -> Client {
    let read = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
    Client::try_from(config.unwrap()).unwrap()
}

async fn apply(client: &Client, object: Value) {
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    let kind = GroupVersionKind::try_from(object.types.as_ref().unwrap()).unwrap();
    let (resource, _) = pinned_kind(client, &kind).await.unwrap();
    let api: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &resource);
    let name = object.metadata.name.clone().unwrap();
    let patch = Patch::Apply(&object);
    api.patch(&name, &PatchParams::apply("test"), &patch)
        .await
        .unwrap();
}

async fn phase(pods: &Api<Pod>, name: &str, wanted: &'static str) {
    let has = move |pod: Option<&Pod>| {
        pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref()) == Some(wanted)
    };
    let met = tokio::time::timeout(LONGEST, await_condition(pods.clone(), name, has)).await;
    let status = pods.get(name).await.map(|pod| pod.status);
    assert!(met.is_ok(), "it stays so: {status:#?}");
}

/// A service of two pods, which a third calls by its name.
async fn talk(client: &Client) {
    let serve = "echo $HOSTNAME > index.html; exec python3 -m http.server 8080";
    let container = json!({"name": "web", "image": IMAGE, "workingDir": "/srv", "command": ["sh", "-c", serve],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}});
    let labels = json!({"app": "web"});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [container]}});
    apply(
        client,
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}}),
    )
    .await;
    apply(
        client,
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}}),
    )
    .await;
    let call = "import urllib.request as r\nseen = set()\nwhile len(seen) < 2:\n  try: seen.add(r.urlopen('http://web', timeout=2).read())\n  except OSError: pass\nprint('both')";
    let container = json!({"name": "call", "image": IMAGE, "command": ["python3", "-c", call]});
    apply(
        client,
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "call"},
        "spec": {"restartPolicy": "Never", "containers": [container]}}),
    )
    .await;
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    phase(&pods, "call", "Succeeded").await;
    assert_eq!(
        pods.logs("call", &LogParams::default()).await.unwrap(),
        "both\n"
    );
    let web = pods
        .list(&kube::api::ListParams::default().labels("app=web"))
        .await
        .unwrap();
    let name = web.items[0].metadata.name.clone().unwrap();
    let command = ["cat", "/srv/index.html"];
    let mut process = pods
        .exec(&name, command, &AttachParams::default())
        .await
        .unwrap();
    let mut out = String::new();
    process
        .stdout()
        .unwrap()
        .read_to_string(&mut out)
        .await
        .unwrap();
    assert_eq!(out.trim(), name);
    let address = web.items[0].status.clone().unwrap().pod_ip.unwrap();
    hook(&pods, client, &name, &address).await;
    through_the_server(client, &name).await;
}

/// The server as a proxy: to a service by its port's number, to a pod by its container's.
async fn through_the_server(client: &Client, pod: &str) {
    let get = async |path: &str| {
        let request = http::Request::get(format!("/api/v1/namespaces/default/{path}"));
        client.request_text(request.body(Vec::new()).unwrap()).await
    };
    let any = get("services/web:80/proxy/index.html").await.unwrap();
    assert!(any.starts_with("web-"), "{any}");
    let own = get(&format!("pods/{pod}:8080/proxy/index.html?q=1")).await;
    assert_eq!(own.unwrap().trim(), pod);
    // What the pod says of a path is its own answer, not the server's.
    let missing = get(&format!("pods/http:{pod}:8080/proxy/missing")).await;
    let missing = missing.unwrap_err().to_string();
    assert!(missing.contains("404"), "{missing}");
    let unknown = get("services/web:none/proxy/").await.unwrap_err();
    assert!(
        unknown.to_string().contains("no port \"none\""),
        "{unknown}"
    );
}

/// A pod whose hook asks another pod, by its address.
async fn hook(pods: &Api<Pod>, client: &Client, asked: &str, address: &str) {
    let ask = json!({"httpGet": {"host": address, "port": 8080, "path": "/from-a-hook"}});
    let container = json!({"name": "main", "image": IMAGE, "command": ["sleep", "1"], "lifecycle": {"postStart": ask}});
    apply(
        client,
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hooked"},
        "spec": {"restartPolicy": "Never", "containers": [container]}}),
    )
    .await;
    // What it asks for isn't there, so that it fails, and the container with it.
    phase(pods, "hooked", "Failed").await;
    let log = pods.logs(asked, &LogParams::default()).await.unwrap();
    assert!(log.contains("GET /from-a-hook"), "{log}");
}

/// Makes a cluster with a node, has something done with a client of it, and removes it. It ends by itself also when this test is killed.
fn within(folder: &Folder, name: &str, more: &[&str], work: impl AsyncFnOnce(Client)) {
    let create = ["cluster", "create", name, "--grade", "node", "--ttl", "5m"];
    let created = folder.mwctl(create.into_iter().chain(more.iter().copied()));
    assert!(created.ends_with("[exit status: 0]\n"), "{created}");
    let known = folder.mwctl(["cluster", "kubeconfig", name]);
    let kubeconfig = known
        .lines()
        .next()
        .unwrap()
        .replace("HOME", &folder.home());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { work(client(&kubeconfig).await).await });
    let deleted = folder.mwctl(["cluster", "delete", name]);
    assert!(deleted.ends_with("[exit status: 0]\n"), "{deleted}");
    assert!(folder.clusters().is_empty());
}

#[test]
fn pods_run_on_this_machine_and_find_each_other() {
    within(&Folder::new(), "demo", &[], async |client| {
        talk(&client).await;
    });
}

#[test]
fn pods_have_of_this_machine_what_is_allowed_and_no_more() {
    let folder = Folder::new().file("shared/note", "from the machine\n");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // It answers whoever comes; the process ends with the tests.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::io::Write::write_all(&mut stream, b"from a port").ok();
        }
    });
    let allowed = format!("answers={port}");
    let more = ["--host-port", &allowed, "--host-folder", "shared"];
    let shared = folder.work().join("shared");
    within(&folder, "allowed", &more, async |client| {
        let reads = format!(
            "import socket\nprint(socket.create_connection(('host.mwctl.internal', {port})).recv(99).decode())\nprint(open('/m/note').read())"
        );
        let reads = json!({"name": "reads", "image": IMAGE, "command": ["python3", "-c", reads],
            "volumeMounts": [{"name": "m", "mountPath": "/m"}]});
        let pod = |name: &str, spec: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec});
        let volumes = json!([{"name": "m", "hostPath": {"path": shared}}]);
        let spec = json!({"restartPolicy": "Never", "containers": [reads], "volumes": volumes});
        apply(&client, pod("reads", spec)).await;
        let pods: Api<Pod> = Api::default_namespaced(client.clone());
        phase(&pods, "reads", "Succeeded").await;
        let log = pods.logs("reads", &LogParams::default()).await.unwrap();
        assert_eq!(log, "from a port\nfrom the machine\n\n");

        // What would be part of the machine is refused before anybody tries to run it again and again.
        let container =
            json!({"name": "c", "image": IMAGE, "securityContext": {"privileged": true}});
        let spec = json!({"hostNetwork": true, "containers": [container]});
        let whole: Pod = serde_json::from_value(pod("whole", spec)).unwrap();
        let refused = pods.create(&PostParams::default(), &whole).await;
        let refused = refused.unwrap_err().to_string();
        for part in [
            "is forbidden",
            "spec.hostNetwork",
            "container c: securityContext.privileged",
        ] {
            assert!(refused.contains(part), "{refused}");
        }
    });
}
