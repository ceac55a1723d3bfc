//! Own objects that are no longer wanted.

use std::collections::BTreeSet;

use serde_json::Value;

use super::judge::is_going;
use super::owner::Owner;
use super::step::Steps;
use super::{Action, Desired, Hold, HoldKind, Plan, PlanOptions};
use crate::manifest::{Form, NAME, ObjectId, ROLE};
use crate::name::ServiceName;
use crate::observed::{Observed, label};

/// Plans the deletion of what is ours and no longer wanted. With some services asked for, only of
/// what belongs to these.
pub(super) fn prune(
    desired: &Desired<'_>,
    observed: &Observed,
    owner: &Owner,
    options: &PlanOptions,
    order: &[ServiceName],
    steps: &mut Steps,
    plan: &mut Plan,
) {
    let wanted: BTreeSet<ObjectId> = desired
        .objects
        .iter()
        .map(crate::manifest::Object::id)
        .collect();
    for (id, live) in observed.objects.iter().rev() {
        let service = service_of(live);
        let asked = options.services.is_empty()
            || service.as_ref().is_some_and(|name| order.contains(name));
        if !asked || wanted.contains(id) || !is_own(owner, live) || is_going(live) {
            continue;
        }
        match id.kind.as_str() {
            // A test's pod is taken down by the test.
            "Pod" => continue,
            "ConfigMap" if label(live, ROLE).is_some() && is_used(observed, id) => continue,
            "Namespace" => {
                plan.holds.push(Hold {
                    kind: HoldKind::Namespace,
                    service: None,
                    object: Some(id.clone()),
                    reason: format!("`{id}` is no longer used, but may hold what isn't ours"),
                    hint: Some(format!("kubectl delete namespace {}", id.name)),
                });
                continue;
            }
            "PersistentVolumeClaim" if !options.volumes => {
                plan.holds.push(Hold::data(
                    service,
                    id,
                    format!("`{id}` is no longer wanted, but holds data"),
                    format!(
                        "kubectl --namespace {} delete pvc {}",
                        id.namespace.as_deref().unwrap_or_default(),
                        id.name
                    ),
                ));
                continue;
            }
            _ => {}
        }
        // What replaces it comes first, so that nothing refers to what is gone.
        let after = steps.of(service.as_ref());
        steps.push(
            Action::Delete { id: id.clone() },
            service.as_ref(),
            "is no longer wanted".to_owned(),
            &after,
        );
    }
}

/// The service that an object's label names.
pub(super) fn service_of(live: &Value) -> Option<ServiceName> {
    ServiceName::new(label(live, NAME)?).ok()
}

/// Whether an object is ours, and not what a controller made from something of ours.
pub(super) fn is_own(owner: &Owner, live: &Value) -> bool {
    let made = live
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array)
        .is_some_and(|owners| !owners.is_empty());
    owner.owns(live) && !made
}

/// Whether a workload or a pod has the ConfigMap `id` among its volumes.
fn is_used(observed: &Observed, id: &ObjectId) -> bool {
    let mounts = |live: &Value, pointer: &str| {
        let volumes = live.pointer(pointer).and_then(Value::as_array);
        volumes.into_iter().flatten().any(|volume| {
            volume.pointer("/configMap/name").and_then(Value::as_str) == Some(&id.name)
        })
    };
    let by_object = observed
        .objects
        .values()
        .any(|live| mounts(live, "/spec/template/spec/volumes") || mounts(live, "/spec/volumes"));
    // A test's pod may have been seen only as a pod, without its volumes.
    by_object || observed.pods.iter().any(|pod| pod.form == Form::Test)
}
