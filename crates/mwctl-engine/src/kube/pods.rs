//! Follows a service's pods and says which container is the one to work with.

use std::collections::BTreeMap;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};

use mwctl_core::manifest::{FORM, Form, NAME, PART_OF};
use mwctl_core::model::{Service, Stack};

use super::{Cluster, Request, request};

/// A container that runs at this moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// The pod.
    pub pod: String,
    /// The runtime's id of the container: another one means another start.
    pub container_id: String,
    /// The node that the pod is on.
    pub node: Option<String>,
}

/// The label selector of a service's pods, without those that run its tests.
pub fn selector(stack: &Stack, service: &Service) -> String {
    select(stack, service, "!=", Form::Test)
}

/// The label selector of a service's pods that have an agent.
pub fn develop_selector(stack: &Stack, service: &Service) -> String {
    select(stack, service, "=", Form::Develop)
}

/// The label selector of the pods that run a service's tests.
pub fn test_selector(stack: &Stack, service: &Service) -> String {
    select(stack, service, "=", Form::Test)
}

fn select(stack: &Stack, service: &Service, relation: &str, form: Form) -> String {
    let (stack, service, form) = (&stack.name, &service.name, form.as_str());
    format!("{PART_OF}={stack},{NAME}={service},{FORM}{relation}{form}")
}

/// Follows the pods that `selector` finds; each item is all of them as they are now.
///
/// The stream reconnects by itself with growing pauses, and never ends.
pub fn follow(
    cluster: &Cluster,
    selector: &str,
) -> impl Stream<Item = Result<BTreeMap<String, Pod>, watcher::Error>> + Send + use<> {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let config = watcher::Config::default().labels(selector);
    let stream = watcher::watcher(api, config).default_backoff();
    let start = (BTreeMap::new(), BTreeMap::new());
    stream
        .scan(
            start,
            |(pods, fresh): &mut (BTreeMap<String, Pod>, BTreeMap<String, Pod>), event| {
                let answer = match event {
                    Ok(event) => take(pods, fresh, event).then(|| Ok(pods.clone())),
                    Err(error) => Some(Err(error)),
                };
                futures::future::ready(Some(answer))
            },
        )
        .filter_map(futures::future::ready)
}

/// Takes an event in; says whether there is something new to see.
fn take(
    pods: &mut BTreeMap<String, Pod>,
    fresh: &mut BTreeMap<String, Pod>,
    event: Event<Pod>,
) -> bool {
    let name = |pod: &Pod| pod.metadata.name.clone().unwrap_or_default();
    match event {
        Event::Init => {
            fresh.clear();
            false
        }
        Event::InitApply(pod) => {
            fresh.insert(name(&pod), pod);
            false
        }
        Event::InitDone => {
            *pods = std::mem::take(fresh);
            true
        }
        Event::Apply(pod) => {
            pods.insert(name(&pod), pod);
            true
        }
        Event::Delete(pod) => {
            pods.remove(&name(&pod));
            true
        }
    }
}

/// Looks once: the newest pod that `selector` finds and whose `container` runs.
pub async fn running(
    cluster: &Cluster,
    selector: &str,
    container: &str,
) -> Result<Option<Target>, Request> {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let parameters = ListParams::default().labels(selector);
    let found = request(|| "list pods".to_owned(), api.list(&parameters)).await?;
    let pods: BTreeMap<String, Pod> = found
        .items
        .into_iter()
        .filter_map(|pod| Some((pod.metadata.name.clone()?, pod)))
        .collect();
    Ok(target(&pods, container))
}

/// The newest pod that isn't being deleted and whose `container` runs.
pub fn target(pods: &BTreeMap<String, Pod>, container: &str) -> Option<Target> {
    pods.values()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .filter_map(|pod| Some((created(pod), running_in(pod, container)?)))
        .max_by(|(left, _), (right, _)| left.cmp(right))
        .map(|(_, target)| target)
}

fn created(pod: &Pod) -> String {
    // RFC 3339 in UTC sorts as text; the name makes the order total.
    let time = pod
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|time| time.0.to_string());
    format!(
        "{} {}",
        time.unwrap_or_default(),
        pod.metadata.name.as_deref().unwrap_or_default()
    )
}

fn running_in(pod: &Pod, container: &str) -> Option<Target> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let status = statuses.iter().find(|status| status.name == container)?;
    status.state.as_ref()?.running.as_ref()?;
    Some(Target {
        pod: pod.metadata.name.clone()?,
        container_id: status.container_id.clone()?,
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{
        ContainerState, ContainerStateRunning, ContainerStatus, PodStatus,
    };
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

    use super::*;

    fn pod(name: &str, created: &str, running: bool, deleted: bool) -> (String, Pod) {
        let time = |text: &str| Time(text.parse().expect("a time"));
        let state = ContainerState {
            running: running.then(ContainerStateRunning::default),
            ..ContainerState::default()
        };
        let status = ContainerStatus {
            name: "main".into(),
            container_id: Some(format!("containerd://{name}")),
            state: Some(state),
            ..ContainerStatus::default()
        };
        let pod = Pod {
            metadata: ObjectMeta {
                name: Some(name.into()),
                creation_timestamp: Some(time(created)),
                deletion_timestamp: deleted.then(|| time(created)),
                ..ObjectMeta::default()
            },
            status: Some(PodStatus {
                container_statuses: Some(vec![status]),
                ..PodStatus::default()
            }),
            ..Pod::default()
        };
        (name.into(), pod)
    }

    #[test]
    fn the_newest_running_pod_that_stays_is_the_target() {
        let pods = BTreeMap::from([
            pod("old", "2026-01-01T00:00:00Z", true, false),
            pod("new", "2026-01-01T00:00:05Z", true, false),
            pod("leaving", "2026-01-01T00:00:09Z", true, true),
            pod("starting", "2026-01-01T00:00:09Z", false, false),
        ]);
        assert_eq!(
            target(&pods, "main").map(|target| target.pod).as_deref(),
            Some("new")
        );
        assert_eq!(target(&pods, "other"), None);
    }
}
