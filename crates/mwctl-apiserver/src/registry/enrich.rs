//! What a new object gets from its classes and from its namespace, and what they refuse: finds those others for [`crate::admission`].

use super::{Registry, Target};
use crate::admission::{classes, limits};
use crate::decode::fresh;
use crate::status::Status;
use crate::storage::{GroupResource, Object, Query};
use serde_json::{Value, json};
use std::sync::Arc;

impl Registry {
    /// Completes a new object, or refuses it.
    pub(super) fn enrich(&self, target: &Target, object: &mut Value) -> Result<(), Status> {
        if !target.subresource.is_empty() || !target.resource.gvk.group.is_empty() {
            return Ok(());
        }
        let kind = target.resource.gvk.kind.as_str();
        let refused = |why: String| target.forbidden(&target.name, &why);
        match kind {
            "Pod" => {
                let priorities = self.all("scheduling.k8s.io", "priorityclasses", "");
                let priorities = priorities.iter().map(|class| class.value());
                classes::give_priority(object, priorities).map_err(refused)?;
            }
            "PersistentVolumeClaim" => {
                let storage = self.all("storage.k8s.io", "storageclasses", "");
                classes::give_storage(object, storage.iter().map(|class| class.value()));
            }
            _ => return Ok(()),
        }
        let ranges = self.all("", "limitranges", &target.namespace);
        let ranges: Vec<&Value> = ranges.iter().map(|range| range.value()).collect();
        if ranges.is_empty() {
            return Ok(());
        }
        if kind == "Pod" {
            limits::complete(object, &ranges);
            let quality = object.as_object().map(fresh::quality);
            object["status"]["qosClass"] = json!(quality);
        }
        match limits::complaints(kind, object, &ranges).as_slice() {
            [] => Ok(()),
            [one] => Err(refused(one.clone())),
            many => Err(refused(format!("[{}]", many.join(", ")))),
        }
    }

    /// Every object of a collection, or of a namespace of it.
    pub(super) fn all(&self, group: &str, plural: &str, namespace: &str) -> Vec<Arc<Object>> {
        let query = Query {
            namespace: (!namespace.is_empty()).then_some(namespace),
            ..Query::all()
        };
        let page = self.store.list(&GroupResource::new(group, plural), &query);
        page.map(|page| page.objects).unwrap_or_default()
    }
}
