//! The server as its clients see it: kube-rs in the same process, and over TLS with the kubeconfig that the server writes.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, ResourceExt};
use mwctl_apiserver::server::{Endpoint, Server};
use serde_json::{Value, json};

fn map(name: &str, value: &str) -> ConfigMap {
    serde_json::from_value(
        json!({"metadata": {"name": name, "labels": {"of": name}}, "data": {"k": value}}),
    )
    .unwrap()
}

fn server() -> Server {
    Server::new().unwrap()
}

async fn over_tls(text: &str) -> Client {
    let config = Kubeconfig::from_yaml(text).unwrap();
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default())
        .await
        .unwrap();
    Client::try_from(config).unwrap()
}

/// What every client does with objects.
async fn creates_changes_and_deletes(client: Client) {
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    let post = PostParams::default();
    let created = maps.create(&post, &map("a", "1")).await.unwrap();
    assert!(created.uid().is_some() && created.creation_timestamp().is_some());
    let watch = maps
        .watch(
            &WatchParams::default(),
            &created.resource_version().unwrap(),
        )
        .await
        .unwrap();
    let mut events = watch.boxed();

    let merge = Patch::Merge(json!({"data": {"k": "2"}}));
    let changed = maps
        .patch("a", &PatchParams::default(), &merge)
        .await
        .unwrap();
    assert_eq!(changed.data.unwrap()["k"], "2");
    let stale = maps.replace("a", &post, &created).await.unwrap_err();
    assert!(
        stale.to_string().contains("the object has been modified"),
        "{stale}"
    );
    let apply = Patch::Apply(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}, "data": {"x": "y"}}),
    );
    let applied = maps
        .patch("b", &PatchParams::apply("me"), &apply)
        .await
        .unwrap();
    assert_eq!(applied.managed_fields()[0].manager.as_deref(), Some("me"));
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(maps.get_opt("a").await.unwrap().is_none());

    let mut seen = Vec::new();
    while seen.len() < 3 {
        match events.try_next().await.unwrap().unwrap() {
            WatchEvent::Added(map) => seen.push(format!("added {}", map.name_any())),
            WatchEvent::Modified(map) => seen.push(format!("modified {}", map.name_any())),
            WatchEvent::Deleted(map) => seen.push(format!("deleted {}", map.name_any())),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, ["modified a", "added b", "deleted a"]);
}

#[tokio::test]
async fn kube_rs_works_without_a_socket() {
    creates_changes_and_deletes(server().client()).await;
}

#[tokio::test]
async fn kube_rs_works_over_tls_with_the_kubeconfig() {
    let endpoint = server().listen(0).await.unwrap();
    creates_changes_and_deletes(over_tls(&endpoint.kubeconfig().text("t")).await).await;
}

#[tokio::test]
async fn nobody_gets_in_without_the_token() {
    let endpoint = server().listen(0).await.unwrap();
    let text = endpoint
        .kubeconfig()
        .text("t")
        .replace(&endpoint.kubeconfig().token, "guess");
    let maps: Api<ConfigMap> = Api::default_namespaced(over_tls(&text).await);
    let refused = maps.list(&ListParams::default()).await.unwrap_err();
    assert!(refused.to_string().contains("Unauthorized"), "{refused}");
}

#[tokio::test]
async fn the_kubeconfig_is_its_owners_alone_and_replaces_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let endpoint = server().listen(0).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    endpoint.kubeconfig().write(&path, "t").unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(endpoint.kubeconfig().write(&path, "t").is_err());
}

#[tokio::test]
async fn a_list_is_read_in_pages_of_one_revision() {
    let maps: Api<ConfigMap> = Api::default_namespaced(server().client());
    for name in ["a", "b", "c"] {
        maps.create(&PostParams::default(), &map(name, "1"))
            .await
            .unwrap();
    }
    let first = maps.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(
        (first.items.len(), first.metadata.remaining_item_count),
        (2, Some(1))
    );
    maps.delete("c", &DeleteParams::default()).await.unwrap();
    let rest = ListParams::default()
        .limit(2)
        .continue_token(&first.metadata.continue_.unwrap());
    let rest = maps.list(&rest).await.unwrap();
    assert_eq!(rest.items[0].name_any(), "c");
    assert_eq!(
        rest.metadata.resource_version,
        first.metadata.resource_version
    );
    let labelled = maps
        .list(&ListParams::default().labels("of in (a, c)"))
        .await
        .unwrap();
    assert_eq!(labelled.items.len(), 1);
}

#[tokio::test]
async fn a_watcher_may_ask_for_what_is_there_first() {
    let maps: Api<ConfigMap> = Api::default_namespaced(server().client());
    maps.create(&PostParams::default(), &map("a", "1"))
        .await
        .unwrap();
    let mut events = maps
        .watch(&WatchParams::default().initial_events(), "0")
        .await
        .unwrap()
        .boxed();
    assert!(matches!(
        events.try_next().await.unwrap(),
        Some(WatchEvent::Added(_))
    ));
    let Some(WatchEvent::Bookmark(end)) = events.try_next().await.unwrap() else {
        panic!("the end of what is there is told")
    };
    assert_eq!(
        end.metadata.annotations["k8s.io/initial-events-end"],
        "true"
    );
}

#[tokio::test]
async fn metadata_alone_can_be_had() {
    let client = server().client();
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    maps.create(&PostParams::default(), &map("a", "1"))
        .await
        .unwrap();
    let metadata = maps.get_metadata("a").await.unwrap();
    assert_eq!(
        (
            metadata.name_any().as_str(),
            metadata.types.unwrap().kind.as_str()
        ),
        ("a", "PartialObjectMetadata")
    );
    assert_eq!(
        maps.list_metadata(&ListParams::default())
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}

#[tokio::test]
async fn who_asks_for_tables_gets_rows() {
    let client = server().client();
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    maps.create(&PostParams::default(), &map("a", "1"))
        .await
        .unwrap();
    let ask = async |rest: &str| -> String {
        let request = http::Request::get(format!("/api/v1/namespaces/default/configmaps{rest}"))
            .header(
                "accept",
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
            );
        client
            .request_text(request.body(Vec::new()).unwrap())
            .await
            .unwrap()
    };
    let list: Value = serde_json::from_str(&ask("").await).unwrap();
    assert_eq!(list["kind"], "Table");
    assert_eq!(list["columnDefinitions"][1]["name"], "Data");
    assert_eq!(list["rows"][0]["cells"][0], "a");
    assert_eq!(list["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let one: Value = serde_json::from_str(&ask("/a?includeObject=Object").await).unwrap();
    assert_eq!(one["rows"][0]["object"]["data"]["k"], "1");
    let events = ask("?watch=true&timeoutSeconds=1").await;
    let event: Value = serde_json::from_str(events.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["kind"]),
        (&json!("ADDED"), &json!("Table"))
    );
    assert_eq!(event["object"]["rows"][0]["cells"][1], 1);
}

#[tokio::test]
async fn discovery_finds_every_kind() {
    let client = server().client();
    let discovery = kube::discovery::Discovery::new(client.clone())
        .run()
        .await
        .unwrap();
    assert!(discovery.groups().any(|group| group.name() == "apps"));
    let aggregated = kube::discovery::Discovery::new(client)
        .run_aggregated()
        .await
        .unwrap();
    assert_eq!(aggregated.groups().count(), discovery.groups().count());
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let maps: Api<ConfigMap> = Api::default_namespaced(server().client());
    let refused = maps
        .create(&PostParams::default(), &map("a", &"x".repeat(4 << 20)))
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("Request entity too large: limit is 3145728"),
        "{refused}"
    );
}

#[tokio::test]
async fn unknown_fields_are_refused_warned_of_or_dropped_as_wished() {
    let client = server().client();
    let ask = async |validation: &str| -> Result<Value, kube::Error> {
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "a-"}, "nope": 1}).to_string();
        let uri = format!("/api/v1/namespaces/default/configmaps?fieldValidation={validation}");
        client
            .request(http::Request::post(uri).body(body.into_bytes()).unwrap())
            .await
    };
    let refused = ask("Strict").await.unwrap_err().to_string();
    assert!(
        refused.contains("strict decoding error: unknown field \"nope\""),
        "{refused}"
    );
    assert!(ask("Ignore").await.unwrap().get("nope").is_none());
}

#[tokio::test]
async fn a_scale_is_a_view_of_a_deployment() {
    let deployments: Api<Deployment> = Api::default_namespaced(server().client());
    let deployment = serde_json::from_value(json!({"metadata": {"name": "d"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}));
    deployments
        .create(&PostParams::default(), &deployment.unwrap())
        .await
        .unwrap();
    let patch = Patch::Merge(json!({"spec": {"replicas": 3}}));
    let scale = deployments
        .patch_scale("d", &PatchParams::default(), &patch)
        .await
        .unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(3));
    assert_eq!(
        deployments.get("d").await.unwrap().metadata.generation,
        Some(2)
    );
}

#[tokio::test]
async fn an_eviction_and_a_binding_are_done_to_a_pod() {
    let client = server().client();
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let pod = serde_json::from_value(
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}),
    );
    pods.create(&PostParams::default(), &pod.unwrap())
        .await
        .unwrap();
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"name": "n"}}).to_string();
    let request = http::Request::post("/api/v1/namespaces/default/pods/p/binding")
        .body(binding.into_bytes())
        .unwrap();
    client.request::<Value>(request).await.unwrap();
    assert_eq!(
        pods.get("p")
            .await
            .unwrap()
            .spec
            .unwrap()
            .node_name
            .as_deref(),
        Some("n")
    );
    pods.evict("p", &kube::api::EvictParams::default())
        .await
        .unwrap();
    assert!(
        pods.get("p")
            .await
            .unwrap()
            .metadata
            .deletion_timestamp
            .is_some()
    );
}

#[tokio::test]
async fn a_cluster_begins_with_its_namespaces() {
    let namespaces: Api<Namespace> = Api::all(server().client());
    let names: Vec<String> = namespaces
        .list(&ListParams::default())
        .await
        .unwrap()
        .iter()
        .map(ResourceExt::name_any)
        .collect();
    assert_eq!(
        names,
        ["default", "kube-node-lease", "kube-public", "kube-system"]
    );
}

/// A service account with a role that lets it read ConfigMaps of `default`, and a client with its token.
async fn reader(server: &Server, endpoint: &Endpoint) -> (Client, String) {
    let admin = server.client();
    let ask = async |path: &str, body: Value| -> Value {
        admin
            .request(
                http::Request::post(path)
                    .body(body.to_string().into_bytes())
                    .unwrap(),
            )
            .await
            .unwrap()
    };
    let of = |kind: &str, rest: Value| {
        let mut body = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": "reader"}});
        body.as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        body
    };
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    ask(
        accounts,
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}}),
    )
    .await;
    let group = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let rules = json!({"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]});
    ask(&format!("{group}/roles"), of("Role", rules)).await;
    let binding = json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}]});
    ask(&format!("{group}/rolebindings"), of("RoleBinding", binding)).await;
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}});
    let answer = ask(&format!("{accounts}/reader/token"), request).await;
    let token = answer["status"]["token"].as_str().unwrap().to_owned();
    let text = endpoint
        .kubeconfig()
        .text("t")
        .replace(&endpoint.kubeconfig().token, &token);
    (over_tls(&text).await, token)
}

#[tokio::test]
async fn a_service_account_may_do_what_it_is_granted_and_nothing_else() {
    let server = server();
    let endpoint = server.listen(0).await.unwrap();
    let (client, token) = reader(&server, &endpoint).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    assert!(
        maps.list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let refused = maps
        .create(&PostParams::default(), &map("a", "1"))
        .await
        .unwrap_err()
        .to_string();
    let expected = "configmaps is forbidden: User \"system:serviceaccount:default:reader\" cannot create resource \"configmaps\" in API group \"\" in the namespace \"default\"";
    assert!(refused.contains(expected), "{refused}");
    let pods: Api<Pod> = Api::all(client.clone());
    assert!(pods.list(&ListParams::default()).await.is_err());

    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}).to_string();
    let request = http::Request::post("/apis/authentication.k8s.io/v1/tokenreviews")
        .body(review.into_bytes())
        .unwrap();
    let answer: Value = server.client().request(request).await.unwrap();
    assert_eq!(
        answer["status"]["user"]["username"],
        "system:serviceaccount:default:reader"
    );
    let may = async |verb: &str| -> Value {
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"namespace": "default", "verb": verb, "resource": "configmaps"}}});
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer: Value = client
            .request(
                http::Request::post(path)
                    .body(review.to_string().into_bytes())
                    .unwrap(),
            )
            .await
            .unwrap();
        answer["status"]["allowed"].clone()
    };
    assert_eq!(
        (may("get").await, may("delete").await),
        (json!(true), json!(false))
    );
}

#[tokio::test]
async fn a_namespace_refuses_pods_that_its_labels_forbid() {
    let client = server().client();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let labels = json!({"metadata": {"name": "n", "labels": {"pod-security.kubernetes.io/enforce": "baseline"}}});
    namespaces
        .create(
            &PostParams::default(),
            &serde_json::from_value(labels).unwrap(),
        )
        .await
        .unwrap();
    let pods: Api<Pod> = Api::namespaced(client, "n");
    let pod = json!({"metadata": {"name": "p"}, "spec": {"hostNetwork": true, "containers": [{"name": "c", "image": "i"}]}});
    let refused = pods
        .create(
            &PostParams::default(),
            &serde_json::from_value(pod).unwrap(),
        )
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains(
            "violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)"
        ),
        "{refused}"
    );
}
