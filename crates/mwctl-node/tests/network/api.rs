//! The network beside a real API server and real controllers: what is created there is what packets feel.

use std::future::Future;
use std::pin::Pin;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use mwctl_node::network::{Config, Network, watch};
use mwctl_testing::TestCluster;
use serde_json::json;

use crate::world::{LONG, Runner, SHORT, read, v4};

/// Creates a pod, puts it on the network, and tells the cluster what a kubelet would.
async fn pod(network: &Network, pods: &Api<Pod>, name: &str) -> Runner {
    let pod: Pod = read(json!({"metadata": {"name": name, "labels": {"app": name}},
        "spec": {"nodeName": "here", "containers": [{"name": "main", "image": "x", "ports": [{"name": "http", "containerPort": 8080}]}]}}));
    let pod = pods.create(&PostParams::default(), &pod).await.unwrap();
    let place = network.add(&pod, None).await.unwrap();
    let address = place.address;
    let status = json!({"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
        "conditions": [{"type": "Ready", "status": "True"}]}});
    let patch = PatchParams::default();
    pods.patch_status(name, &patch, &Patch::Merge(status))
        .await
        .unwrap();
    Runner {
        name: name.to_owned(),
        place,
    }
}

/// Asks until it is answered so, as the cluster needs its time.
async fn until(mut holds: impl FnMut() -> bool) {
    let holding = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, holding).await.unwrap();
}

pub(crate) fn tells_what_packets_feel() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let cluster = TestCluster::start().await.unwrap();
        let client = cluster.client();
        let kubeconfig = cluster.kubeconfig().await.unwrap();
        let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        let mut within = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .unwrap();
        let port = within.cluster_url.port_u16().unwrap();
        let config = Config {
            api_server: Some((v4("10.96.0.1:443"), v4(&format!("127.0.0.1:{port}")))),
            ..Config::default()
        };
        let network = Network::start(config, watch::cluster(&client))
            .await
            .unwrap();
        let namespace = cluster.namespace().await.unwrap();
        let pods = Api::namespaced(client.clone(), &namespace);
        let (web, asker) = (
            pod(&network, &pods, "web").await,
            pod(&network, &pods, "asker").await,
        );
        web.serve(8080);
        let services: Api<Service> = Api::namespaced(client.clone(), &namespace);
        let service = read(json!({"metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}}));
        let service = services
            .create(&PostParams::default(), &service)
            .await
            .unwrap();
        let address = service.spec.unwrap().cluster_ip.unwrap();
        let at = v4(&format!("{address}:80"));
        until(|| asker.ask(at, SHORT).is_ok_and(|asked| asked.who == "web")).await;
        let policies: Api<NetworkPolicy> = Api::namespaced(client.clone(), &namespace);
        let policy = read(
            json!({"metadata": {"name": "closed"}, "spec": {"podSelector": {"matchLabels": {"app": "web"}}}}),
        );
        policies
            .create(&PostParams::default(), &policy)
            .await
            .unwrap();
        until(|| asker.ask(at, SHORT).is_err()).await;
        policies
            .delete("closed", &DeleteParams::default())
            .await
            .unwrap();
        until(|| asker.ask(at, SHORT).is_ok()).await;

        // A pod finds the API server where its environment says, under a name that its certificate has.
        within.cluster_url = "https://10.96.0.1:443".parse().unwrap();
        let names = asker.run(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let maps: Api<ConfigMap> =
                    Api::namespaced(Client::try_from(within).unwrap(), "default");
                maps.list(&ListParams::default())
                    .await
                    .map(|list| list.items.len())
            })
        });
        let answered = tokio::task::spawn_blocking(|| names.join().unwrap())
            .await
            .unwrap();
        answered.unwrap();
    })
}
