//! Own objects that are no longer wanted.

use std::collections::BTreeSet;

use serde_json::Value;

use super::judge::is_going;
use super::owner::Owner;
use super::step::Steps;
use super::{Action, Desired, Hold, HoldKind, Plan, PlanOptions};
use crate::manifest::{Form, Object, ObjectId, ROLE, service_of};
use crate::name::ServiceName;
use crate::observed::{Observed, label};

/// Looks for own objects that are no longer wanted.
pub(super) struct Prune<'a> {
    pub(super) desired: &'a Desired<'a>,
    pub(super) observed: &'a Observed,
    pub(super) owner: &'a Owner,
    pub(super) options: &'a PlanOptions,
    /// The services that the plan goes into.
    pub(super) selected: &'a [ServiceName],
}

impl Prune<'_> {
    /// Adds a deletion, or a hold, for each of them.
    pub(super) fn run(&self, steps: &mut Steps, plan: &mut Plan) {
        let wanted: BTreeSet<ObjectId> = self.desired.objects.iter().map(Object::id).collect();
        let touched = steps.touched();
        for (id, live) in self.observed.objects.iter().rev() {
            let service = service_of(live);
            if wanted.contains(id)
                || Self::is_made_by_wanted(id, &wanted)
                || !self.is_asked(service.as_ref())
                || !is_own(self.owner, live)
                || is_going(live)
                || self.is_in_use(id, live, &touched)
            {
                continue;
            }
            if let Some(hold) = self.keep(id, service.as_ref()) {
                plan.holds.push(hold);
                continue;
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

    /// With some services asked for, only what belongs to these is looked at.
    fn is_asked(&self, service: Option<&ServiceName>) -> bool {
        self.options.services.is_empty() || service.is_some_and(|name| self.selected.contains(name))
    }

    /// Whether it is a claim that a wanted StatefulSet made for one of its pods: it is called
    /// `<volume>-<set>-<number>`.
    fn is_made_by_wanted(id: &ObjectId, wanted: &BTreeSet<ObjectId>) -> bool {
        let Some((rest, number)) = id.name.rsplit_once('-') else {
            return false;
        };
        id.kind == "PersistentVolumeClaim"
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && wanted.iter().any(|set| {
                set.kind == "StatefulSet"
                    && set.namespace == id.namespace
                    && rest.ends_with(&format!("-{}", set.name))
            })
    }

    /// Whether it serves a develop form or a test that goes on. A test's pod is taken down by the test.
    fn is_in_use(&self, id: &ObjectId, live: &Value, touched: &BTreeSet<ObjectId>) -> bool {
        id.kind == "Pod" || (label(live, ROLE).is_some() && self.is_mounted(id, touched))
    }

    /// Whether a workload that stays as it is, or a pod, has the ConfigMap `id` among its volumes.
    fn is_mounted(&self, id: &ObjectId, touched: &BTreeSet<ObjectId>) -> bool {
        let mounts = |live: &Value, pointer: &str| {
            let volumes = live.pointer(pointer).and_then(Value::as_array);
            volumes.into_iter().flatten().any(|volume| {
                volume.pointer("/configMap/name").and_then(Value::as_str) == Some(&id.name)
            })
        };
        let mut staying = self
            .observed
            .objects
            .iter()
            .filter(|(id, _)| !touched.contains(id));
        staying.any(|(_, live)| {
            mounts(live, "/spec/template/spec/volumes") || mounts(live, "/spec/volumes")
        })
        // A test's pod may have been seen only as a pod, without its volumes.
        || self.observed.pods.iter().any(|pod| pod.form == Form::Test)
    }

    /// Why it is kept although it isn't wanted.
    fn keep(&self, id: &ObjectId, service: Option<&ServiceName>) -> Option<Hold> {
        match id.kind.as_str() {
            "Namespace" => Some(Hold {
                kind: HoldKind::Namespace,
                service: None,
                object: Some(id.clone()),
                reason: format!("`{id}` is no longer used, but may hold what isn't ours"),
                hint: Some(format!("kubectl delete namespace {}", id.name)),
            }),
            "PersistentVolumeClaim" if !self.options.volumes => Some(Hold::data(
                service.cloned(),
                id,
                format!("`{id}` is no longer wanted, but holds data"),
                format!(
                    "kubectl --namespace {} delete pvc {}",
                    id.namespace.as_deref().unwrap_or_default(),
                    id.name
                ),
            )),
            _ => None,
        }
    }
}

/// Whether an object is ours, and not what a controller made from something of ours.
pub(super) fn is_own(owner: &Owner, live: &Value) -> bool {
    let made = live
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array)
        .is_some_and(|owners| !owners.is_empty());
    owner.owns(live) && !made
}
