//! A Deployment that is reached by its service's name, looked into, and taken away.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use crate::space::{Space, machine, shell};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_answers_by_its_name_and_its_pods_can_be_entered() {
    let space = Space::new("serving").await;
    let serve = "mkdir /srv && hostname > /srv/index.html && exec httpd -f -p 8080 -h /srv";
    let probe = json!({"httpGet": {"port": 8080, "path": "/"}, "periodSeconds": 1});
    let labels = json!({"app": "web"});
    let template = json!({"metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [shell(serve, json!({"readinessProbe": probe}))]}});
    let spec = json!({"replicas": 2, "selector": {"matchLabels": labels}, "template": template});
    space
        .create::<Deployment>("web", json!({"spec": spec}))
        .await;
    let spec = json!({"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]});
    space.create::<Service>("web", json!({"spec": spec})).await;
    let available = |deployment: Option<&Deployment>| {
        deployment.and_then(|it| it.status.as_ref()?.available_replicas) == Some(2)
    };
    space.becomes("web", available).await;

    // The machine's own curl, so that the image of its programs is tried, too. Each of both pods answers in turn.
    let ask = "for name in web web.serving web.serving.svc.cluster.local web; do \
        curl --silent --show-error --fail --retry 60 --retry-all-errors --retry-delay 1 --max-time 5 http://$name/; done";
    space.pod("asks", machine(ask)).await;
    let answers = space.output("asks").await;
    let answered: BTreeSet<&str> = answers.lines().collect();

    let pods: Api<Pod> = space.api();
    let web = pods.list(&ListParams::default().labels("app=web")).await;
    let web = web.unwrap().items.into_iter();
    let names: BTreeSet<String> = web.map(|pod| pod.metadata.name.unwrap()).collect();
    assert_eq!(answered, names.iter().map(String::as_str).collect());
    for name in &names {
        let told = space.exec(name, &["cat", "/srv/index.html"]).await;
        assert_eq!(told.trim(), name);
    }
    space.end().await;
}
