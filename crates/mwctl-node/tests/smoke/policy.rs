//! Who may speak to whom.

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;

use crate::space::{Space, machine, shell};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_lets_in_whom_it_names_and_nobody_else() {
    let space = Space::new("policy").await;
    let serve = "mkdir /srv && echo open > /srv/index.html && exec httpd -f -p 8080 -h /srv";
    let probe = json!({"tcpSocket": {"port": 8080}, "periodSeconds": 1});
    space
        .pod("server", shell(serve, json!({"readinessProbe": probe})))
        .await;
    let spec = json!({"selector": {"name": "server"}, "ports": [{"port": 80, "targetPort": 8080}]});
    space
        .create::<Service>("server", json!({"spec": spec}))
        .await;
    for name in ["friend", "stranger"] {
        space.pod(name, machine("exec sleep 1000")).await;
        space.runs(name).await;
    }
    let ready = |pod: Option<&Pod>| {
        let statuses = pod.and_then(|pod| pod.status.as_ref()?.container_statuses.as_ref());
        statuses.is_some_and(|all| all.iter().all(|status| status.ready))
    };
    let server = space.becomes("server", ready).await.unwrap();
    let address = server.status.unwrap().pod_ip.unwrap();

    // Asked until it is as it should be, since a change is effective soon, not at once; what stays wrong never ends.
    let reaches = async |who: &str, expected: &str| {
        let ask = format!("curl --silent --max-time 2 http://{address}:8080/ || echo closed");
        loop {
            let told = space.exec(who, &["sh", "-c", &ask]).await;
            if told.trim() == expected {
                break;
            }
        }
    };
    let all = async |expected: [&str; 2]| {
        let asking = futures::future::join(
            reaches("friend", expected[0]),
            reaches("stranger", expected[1]),
        );
        let limit = std::time::Duration::from_mins(2);
        let asked = tokio::time::timeout(limit, asking).await;
        assert!(asked.is_ok(), "it never came to {expected:?}");
    };
    all(["open", "open"]).await;
    let from = json!([{"podSelector": {"matchLabels": {"name": "friend"}}}]);
    let spec =
        json!({"podSelector": {"matchLabels": {"name": "server"}}, "ingress": [{"from": from}]});
    space
        .create::<NetworkPolicy>("friends", json!({"spec": spec}))
        .await;
    all(["open", "closed"]).await;
    let spec =
        json!({"podSelector": {"matchLabels": {"name": "friend"}}, "policyTypes": ["Egress"]});
    space
        .create::<NetworkPolicy>("silence", json!({"spec": spec}))
        .await;
    all(["closed", "closed"]).await;
    let policies: Api<NetworkPolicy> = space.api();
    for name in ["friends", "silence"] {
        let deleted = policies.delete(name, &DeleteParams::default()).await;
        deleted.unwrap();
    }
    all(["open", "open"]).await;
    space.end().await;
}
