//! What a client asks of a server, one thing after the other.

use std::time::Instant;

use futures::stream::FuturesUnordered;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, PostParams, WatchEvent, WatchParams};
use kube::core::ObjectList;
use kube::{Api, Client};
use mwctl_tests::performance::Samples;
use serde_json::json;

/// Requests at once, when it is only the outcome that matters.
const AT_ONCE: usize = 32;

fn map(name: &str) -> ConfigMap {
    let map = json!({"metadata": {"name": name, "labels": {"app": "bench"}}, "data": {"key": "value", "other": "x".repeat(100)}});
    serde_json::from_value(map).expect("a ConfigMap")
}

fn maps(client: &Client) -> Api<ConfigMap> {
    Api::default_namespaced(client.clone())
}

/// Deletes all that the others have made.
async fn clear(client: &Client) {
    let all = maps(client);
    all.delete_collection(&DeleteParams::default(), &labelled())
        .await
        .expect("a deletion");
}

fn labelled() -> kube::api::ListParams {
    kube::api::ListParams::default().labels("app=bench")
}

/// Creates objects, typed and answered.
pub(crate) async fn creates(client: &Client, count: usize) -> Samples {
    let (all, mut samples) = (maps(client), Samples::default());
    for number in 0..count {
        let map = map(&format!("create-{number}"));
        let start = Instant::now();
        all.create(&PostParams::default(), &map)
            .await
            .expect("a creation");
        samples.take(start.elapsed());
    }
    clear(client).await;
    samples
}

/// Creates an object and waits until a watch shows it, from before the one to after the other.
pub(crate) async fn create_to_event(client: &Client, count: usize) -> Samples {
    let (all, post, mut samples) = (maps(client), PostParams::default(), Samples::default());
    let list: ObjectList<ConfigMap> = all.list(&labelled()).await.expect("a list");
    let version = list.metadata.resource_version.expect("a version");
    let parameters = WatchParams::default().labels("app=bench");
    let mut events = all
        .watch(&parameters, &version)
        .await
        .expect("a watch")
        .boxed();
    for number in 0..count {
        let name = format!("event-{number}");
        let map = map(&name);
        let start = Instant::now();
        let created = all.create(&post, &map);
        let seen = async {
            while let Some(event) = events.try_next().await.expect("an event") {
                if matches!(event, WatchEvent::Added(map) if map.metadata.name.as_ref() == Some(&name))
                {
                    break;
                }
            }
            start.elapsed()
        };
        let (created, seen) = tokio::join!(created, seen);
        created.expect("a creation");
        samples.take(seen);
    }
    clear(client).await;
    samples
}

/// Reads one object again and again.
pub(crate) async fn gets(client: &Client, count: usize) -> Samples {
    let (all, mut samples) = (maps(client), Samples::default());
    all.create(&PostParams::default(), &map("get"))
        .await
        .expect("a creation");
    for _ in 0..count {
        let start = Instant::now();
        all.get("get").await.expect("an object");
        samples.take(start.elapsed());
    }
    clear(client).await;
    samples
}

/// Watches often, and tells how long after the beginning of a creation the last watcher has heard of it.
pub(crate) async fn watchers(client: &Client, count: usize) -> Samples {
    let (all, post, mut samples) = (maps(client), PostParams::default(), Samples::default());
    let list: ObjectList<ConfigMap> = all.list(&labelled()).await.expect("a list");
    let version = list.metadata.resource_version.expect("a version");
    let parameters = WatchParams::default().labels("app=bench");
    let mut watches = Vec::new();
    for _ in 0..count {
        watches.push(
            all.watch(&parameters, &version)
                .await
                .expect("a watch")
                .boxed(),
        );
    }
    for number in 0..30 {
        let map = map(&format!("watched-{number}"));
        let start = Instant::now();
        let created = all.create(&post, &map);
        let seen = async {
            let all: FuturesUnordered<_> =
                watches.iter_mut().map(|watch| watch.try_next()).collect();
            let seen: Vec<_> = all.collect().await;
            assert!(
                seen.iter()
                    .all(|event| matches!(event, Ok(Some(WatchEvent::Added(_)))))
            );
            start.elapsed()
        };
        let (created, seen) = tokio::join!(created, seen);
        created.expect("a creation");
        samples.take(seen);
    }
    drop(watches);
    clear(client).await;
    samples
}

/// Creates many objects, many at once.
pub(crate) async fn fill(client: &Client, count: usize) {
    let all = &maps(client);
    let create = async |number: usize| {
        let created = all
            .create(&PostParams::default(), &map(&format!("list-{number:05}")))
            .await;
        created.expect("a creation");
    };
    futures::stream::iter(0..count)
        .map(create)
        .buffer_unordered(AT_ONCE)
        .collect::<()>()
        .await;
}

/// Reads the list of all, which no client makes objects of.
pub(crate) async fn lists(client: &Client) -> Samples {
    let mut samples = Samples::default();
    for _ in 0..30 {
        let path = format!(
            "/api/v1/namespaces/{}/configmaps",
            client.default_namespace()
        );
        let request = http::Request::get(path)
            .body(Vec::new())
            .expect("a request");
        let start = Instant::now();
        let text = client.request_text(request).await.expect("a list");
        samples.take(start.elapsed());
        assert!(text.len() > super::LIST * 100, "{} bytes", text.len());
    }
    samples
}
