//! The quotas of namespaces: an object that doesn't fit is refused, and each change of what is used is in the quota's status at once.
//!
//! Kubernetes counts in a controller and corrects in between; here all objects are at hand, and are counted whenever there is a quota.

use super::{Registry, Target, WriteOptions};
use crate::access::User;
use crate::admission::amounts::Amounts;
use crate::admission::quota::{self, Counted};
use crate::status::Status;
use crate::storage::Object;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Those who write into a namespace with quotas do so one after the other. A clone is the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Turn(Arc<Mutex<()>>);

impl Registry {
    /// Refuses what exceeds a quota. Nobody else is counted until the guard is dropped, which is when the object is stored.
    pub(super) fn charge(
        &self,
        target: &Target,
        old: Option<&Value>,
        object: &Value,
    ) -> Result<Option<MutexGuard<'_, ()>>, Status> {
        if target.namespace.is_empty() || !target.subresource.is_empty() {
            return Ok(None);
        }
        let quotas = self.all("", "resourcequotas", &target.namespace);
        if quotas.is_empty() {
            return Ok(None);
        }
        let turn = self.turn.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = |value| Counted {
            group: &target.resource.gvk.group,
            plural: &target.resource.plural,
            value,
        };
        for quota in quotas {
            let used = self.used(quota.value(), &target.namespace, Some(target));
            let complaint = quota::complaint(quota.value(), own(object), old.map(own), &used);
            if let Some(why) = complaint {
                return Err(target.forbidden(&target.name, &why));
            }
        }
        Ok(Some(turn))
    }

    /// Writes what is used into the quotas of a namespace in which somebody has changed something. What somebody else writes into a status
    /// doesn't last; what the server itself has written there is not counted again.
    pub(super) fn recount(&self, target: &Target, by: Option<&User>) {
        let own = target.resource.gvk.kind == "ResourceQuota" && target.subresource == "status";
        if target.namespace.is_empty() || (own && by.is_none()) {
            return;
        }
        for quota in self.all("", "resourcequotas", &target.namespace) {
            let used = self.used(quota.value(), &target.namespace, None);
            if quota.value()["status"] == quota::status(quota.value(), &used) {
                continue;
            }
            if let Err(refusal) = self.tell(&quota, target) {
                tracing::debug!(%refusal, "a quota's status is not written");
            }
        }
    }

    fn tell(&self, quota: &Object, target: &Target) -> Result<(), Status> {
        let place = Target {
            subresource: "status".to_owned(),
            ..self.core("resourcequotas", quota.namespace(), quota.name())?
        };
        let options = WriteOptions {
            manager: "mwctl".to_owned(),
            ..WriteOptions::default()
        };
        self.edit(&place, &options, |quota| {
            // Counted anew: somebody else may have changed something meanwhile.
            let used = self.used(quota, &target.namespace, None);
            quota["status"] = quota::status(quota, &used);
            Ok(())
        })?;
        Ok(())
    }

    /// What is used of a quota, by all but one.
    fn used(&self, quota: &Value, namespace: &str, but: Option<&Target>) -> Amounts {
        let hard = quota["spec"]["hard"].as_object().into_iter().flatten();
        let collections: BTreeSet<(&str, &str)> =
            hard.map(|(name, _)| collection_of(name)).collect();
        let lists: Vec<_> = collections
            .iter()
            .map(|(group, plural)| (*group, *plural, self.all(group, plural, namespace)))
            .collect();
        let objects = lists.iter().flat_map(|(group, plural, objects)| {
            let others = objects.iter().filter(move |object| {
                but.is_none_or(|but| {
                    (&*but.resource.gvk.group, &*but.resource.plural) != (*group, *plural)
                        || but.name != object.name()
                })
            });
            others.map(move |object| Counted {
                group,
                plural,
                value: object.value(),
            })
        });
        quota::used(quota, objects)
    }
}

/// The objects that a resource is used by.
fn collection_of(resource: &str) -> (&str, &str) {
    if let Some(counted) = resource.strip_prefix("count/") {
        let (plural, group) = counted.split_once('.').unwrap_or((counted, ""));
        return (group, plural);
    }
    let plain = [
        "services",
        "configmaps",
        "secrets",
        "replicationcontrollers",
        "resourcequotas",
    ];
    let first = resource.split('.').next().unwrap_or_default();
    match plain.into_iter().find(|plain| *plain == first) {
        Some(plain) => ("", plain),
        None if resource.ends_with("requests.storage")
            || resource.ends_with("persistentvolumeclaims") =>
        {
            ("", "persistentvolumeclaims")
        }
        None => ("", "pods"),
    }
}
