//! The same of a real kube-apiserver, on the test bed.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use crate::report::Report;
use crate::{LIST, calls};

const NAMESPACE: &str = "bench-api";

/// Measures what a client of both would see.
pub(crate) async fn measure(kubeconfig: Kubeconfig, report: &mut Report) {
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .expect("a configuration");
    NAMESPACE.clone_into(&mut config.default_namespace);
    let client = Client::try_from(config).expect("a client");
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(NAMESPACE.to_owned());
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .expect("a namespace");

    calls::creates(&client, 100).await;
    report.reference("create, over TLS", calls::creates(&client, 500).await);
    report.reference(
        "create → watch event, over TLS",
        calls::create_to_event(&client, 300).await,
    );
    report.reference("get, over TLS", calls::gets(&client, 1000).await);
    let watchers = calls::watchers(&client, 100).await;
    report.reference(
        "one event → the last of 100 watchers has it, over TLS",
        watchers,
    );
    calls::fill(&client, LIST).await;
    report.reference(
        "list of 10,000 as bytes, over TLS",
        calls::lists(&client).await,
    );
    namespaces
        .delete(NAMESPACE, &DeleteParams::default())
        .await
        .expect("a deletion");
}
