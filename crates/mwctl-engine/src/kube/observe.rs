//! Looks at a stack in the cluster: one round of requests side by side, as one plain value.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Node, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::ListParams;
use mwctl_core::delivery::HOSTING;
use mwctl_core::manifest::{MANAGED_BY, MANAGER, ObjectId, PART_OF, ROLE};
use mwctl_core::observed::{ImageState, Observed, ObservedPod, Warning};
use serde_json::Value;

use super::{Cluster, Request, apply, request};

/// The kinds that a stack's objects can have, in the stack's namespace.
const KINDS: [(&str, &str); 14] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("policy/v1", "PodDisruptionBudget"),
    ("v1", "ServiceAccount"),
    ("v1", "ResourceQuota"),
    ("v1", "LimitRange"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "PersistentVolumeClaim"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
];

/// Observes everything that is labelled as part of `stack`. Images are not the API's to tell: the caller fills them in.
pub async fn stack(cluster: &Cluster, stack: &str) -> Result<Observed, Request> {
    let selector = format!("{MANAGED_BY}={MANAGER},{PART_OF}={stack}");
    let owned = try_join_all(KINDS.iter().map(|(api_version, kind)| {
        let id = ObjectId {
            api_version: (*api_version).to_owned(),
            kind: (*kind).to_owned(),
            namespace: Some(cluster.namespace.clone()),
            name: String::new(),
        };
        // The agent's ConfigMap is large, never changes, and is looked up by name where it is wanted.
        list(cluster, id, format!("{selector},!{ROLE}"))
    }));
    let (owned, mut pods, events) =
        futures::try_join!(owned, pods(cluster, &selector), warnings(cluster))?;
    for pod in &mut pods {
        pod.hear(&events);
    }
    Ok(Observed {
        at: crate::clock::since_epoch().as_millis() as u64,
        objects: owned.into_iter().flatten().collect(),
        images: BTreeMap::<String, ImageState>::new(),
        pods,
        events,
    })
}

/// Adds whatever stands under the names that are `wanted` and isn't known yet, whoever owns it.
pub async fn also(
    cluster: &Cluster,
    wanted: &[ObjectId],
    observed: &mut Observed,
) -> Result<(), Request> {
    let missing = wanted
        .iter()
        .filter(|id| !observed.objects.contains_key(id));
    let found = try_join_all(missing.map(|id| get(cluster, id))).await?;
    observed.objects.extend(found.into_iter().flatten());
    Ok(())
}

/// What the cluster says of a registry that its nodes read, as it is written there. Whoever may not read it is told
/// nothing, as where nothing is said.
pub async fn local_registry(cluster: &Cluster) -> Result<Option<String>, Request> {
    let (namespace, name, key) = HOSTING;
    let api: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), namespace);
    let read = async {
        match api.get_opt(name).await {
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
            found => found,
        }
    };
    let what = || format!("read the ConfigMap `{namespace}/{name}`");
    let found = request(what, read).await?;
    Ok(found
        .and_then(|map| map.data)
        .and_then(|mut data| data.remove(key)))
}

/// What else may stand in a namespace and would be lost with it.
const OTHERS: [(&str, &str); 1] = [("v1", "Pod")];

/// Observes whatever is in the stack's namespace, whoever owns it, and what is `wanted` elsewhere:
/// what has to be known before the namespace itself goes.
pub async fn everything(cluster: &Cluster, wanted: &[ObjectId]) -> Result<Observed, Request> {
    let kinds = KINDS.iter().chain(&OTHERS);
    let found = try_join_all(kinds.map(|(api_version, kind)| {
        let id = ObjectId {
            api_version: (*api_version).to_owned(),
            kind: (*kind).to_owned(),
            namespace: Some(cluster.namespace.clone()),
            name: String::new(),
        };
        list(cluster, id, String::new())
    }));
    let elsewhere = try_join_all(wanted.iter().map(|id| get(cluster, id)));
    let (found, elsewhere) = futures::try_join!(found, elsewhere)?;
    let mut objects: BTreeMap<ObjectId, Value> = found.into_iter().flatten().collect();
    objects.extend(elsewhere.into_iter().flatten());
    Ok(Observed {
        objects,
        ..Observed::default()
    })
}

async fn list(
    cluster: &Cluster,
    kind: ObjectId,
    selector: String,
) -> Result<Vec<(ObjectId, Value)>, Request> {
    let api = apply::api(cluster, &kind);
    let parameters = ListParams::default().labels(&selector);
    let found = request(
        || format!("list objects of kind {}", kind.kind),
        api.list(&parameters),
    )
    .await?;
    let mut objects = Vec::with_capacity(found.items.len());
    for object in found.items {
        let mut value = serde_json::to_value(object).unwrap_or(Value::Null);
        // The items of a list don't say what they are.
        value["apiVersion"] = kind.api_version.clone().into();
        value["kind"] = kind.kind.clone().into();
        if let Some(id) = ObjectId::of(&value) {
            objects.push((id, value));
        }
    }
    Ok(objects)
}

async fn get(cluster: &Cluster, id: &ObjectId) -> Result<Option<(ObjectId, Value)>, Request> {
    let api = apply::api(cluster, id);
    let found = request(|| format!("look up {id}"), api.get_opt(&id.name)).await?;
    Ok(found.map(|object| {
        let mut value = serde_json::to_value(object).unwrap_or(Value::Null);
        value["apiVersion"] = id.api_version.clone().into();
        value["kind"] = id.kind.clone().into();
        (id.clone(), value)
    }))
}

/// The pods that a label selector finds.
pub async fn pods(cluster: &Cluster, selector: &str) -> Result<Vec<ObservedPod>, Request> {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let parameters = ListParams::default().labels(selector);
    let found = request(|| "list pods".to_owned(), api.list(&parameters)).await?;
    let now = Timestamp::now();
    let pods = found.items.iter().map(|pod| ObservedPod::at(pod, now));
    Ok(pods.collect())
}

/// The warnings that the cluster has reported in the namespace, the last one last.
pub async fn warnings(cluster: &Cluster) -> Result<Vec<Warning>, Request> {
    let api: Api<Event> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let parameters = ListParams::default().fields("type=Warning");
    let mut found = request(|| "list events".to_owned(), api.list(&parameters)).await?;
    found.items.sort_by_key(last_time);
    Ok(found.items.iter().filter_map(Warning::of).collect())
}

/// When what an event tells happened last.
fn last_time(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref();
    let series = series.and_then(|series| Some(series.last_observed_time.as_ref()?.0));
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    series
        .max(last)
        .or_else(|| event.event_time.as_ref().map(|time| time.0))
}

/// An object as it is; `None` where there is none.
pub async fn object(cluster: &Cluster, id: &ObjectId) -> Result<Option<Value>, Request> {
    Ok(get(cluster, id).await?.map(|(_, value)| value))
}

/// Whether an object is there.
pub async fn exists(cluster: &Cluster, id: &ObjectId) -> Result<bool, Request> {
    let api = apply::api(cluster, id);
    let found = request(|| format!("look up {id}"), api.get_metadata_opt(&id.name)).await?;
    Ok(found.is_some())
}

/// The architecture of the cluster's nodes, as in `amd64`.
///
/// A cluster of several architectures answers with its first node's: images are made for one. Where no node says it,
/// as where they are simulated, it is this machine's.
pub async fn architecture(cluster: &Cluster) -> Result<String, Request> {
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let found = request(
        || "list the cluster's nodes".to_owned(),
        nodes.list(&ListParams::default()),
    )
    .await?;
    let mut said = found
        .items
        .into_iter()
        .filter_map(|node| Some(node.status?.node_info?.architecture));
    let said = said.find(|architecture| !architecture.is_empty());
    Ok(said.unwrap_or_else(|| mwctl_image::oci::architecture().to_owned()))
}

/// Whether something in the cluster is known to enforce network policies.
pub async fn enforces_policies(cluster: &Cluster) -> Result<bool, Request> {
    let sets: Api<DaemonSet> = Api::all(cluster.client.clone());
    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let parameters = ListParams::default();
    let (sets, nodes) = futures::try_join!(
        request(|| "list daemonsets".to_owned(), sets.list(&parameters)),
        request(
            || "list the cluster's nodes".to_owned(),
            nodes.list(&parameters)
        ),
    )?;
    let names = sets
        .items
        .iter()
        .filter_map(|set| set.metadata.name.as_deref());
    let info = |node: &Node| {
        Some(
            node.status
                .as_ref()?
                .node_info
                .as_ref()?
                .kubelet_version
                .clone(),
        )
    };
    let versions: Vec<String> = nodes.items.iter().filter_map(info).collect();
    Ok(mwctl_core::observed::enforces_policies(
        names,
        versions.iter().map(String::as_str),
    ))
}
