//! The history of a template: a `ControllerRevision` for each state it was in, shared by StatefulSets and DaemonSets.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::action::{Action, Target};
use crate::hash;
use crate::observed::{Observed, Watched, owner_reference};

/// How many states that no pod is in are kept, unless the owner says otherwise.
const HISTORY: usize = 10;

/// The states of an owner's template.
pub(crate) struct Revisions {
    /// All of them, the oldest first.
    pub(crate) all: Vec<Arc<ControllerRevision>>,
    /// The present one.
    pub(crate) update: Arc<ControllerRevision>,
}

/// What is kept of a template: a patch that puts it back as a whole. Others compare its bytes, so that the order of fields is Go's.
fn data(template: &PodTemplateSpec) -> Value {
    let mut template = json!(template);
    template["$patch"] = json!("replace");
    sorted(json!({"spec": {"template": template}}))
}

/// The value with the fields of every object in the order of their names.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<String, Value> = fields.into_iter().collect();
            let fields = fields.into_iter().map(|(name, it)| (name, sorted(it)));
            Value::Object(fields.collect())
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

/// The template that a revision keeps.
pub(crate) fn template(revision: &ControllerRevision) -> Option<PodTemplateSpec> {
    let mut template = revision
        .data
        .as_ref()?
        .0
        .get("spec")?
        .get("template")?
        .clone();
    template.as_object_mut()?.remove("$patch");
    serde_json::from_value(template).ok()
}

/// The revisions of an owner. If there is none of the present template yet, what is to be done about that comes instead.
pub(crate) fn revisions<T: Watched>(
    observed: &Observed,
    owner: &T,
    present: &PodTemplateSpec,
    label: &str,
    collisions: Option<i32>,
) -> Result<Revisions, Box<Action>> {
    let uid = owner.uid().unwrap_or_default();
    let mut all: Vec<Arc<ControllerRevision>> = observed
        .controller_revisions
        .owned_by(&uid)
        .cloned()
        .collect();
    all.sort_by_key(|revision| (revision.revision, revision.name_any()));
    let latest = all.last().map_or(0, |revision| revision.revision);
    let same = (all.iter().rev()).find(|it| template(it).as_ref() == Some(present));
    match same {
        Some(update) if update.revision == latest => Ok(Revisions {
            update: Arc::clone(update),
            all,
        }),
        // A former state is the present one again.
        Some(former) => Err(Box::new(Action::Patch {
            target: Target::of(former.as_ref()),
            subresource: None,
            patch: json!({"revision": latest + 1}),
            announcement: None,
        })),
        None => {
            let revision = make(owner, present, label, collisions, latest + 1);
            Err(Box::new(Action::Create(revision.into(), None)))
        }
    }
}

fn make<T: Watched>(
    owner: &T,
    present: &PodTemplateSpec,
    label: &str,
    collisions: Option<i32>,
    number: i64,
) -> ControllerRevision {
    let hash = hash::name_of(present, collisions.filter(|number| *number > 0));
    let meta = present.metadata.clone().unwrap_or_default();
    let mut labels = meta.labels.unwrap_or_default();
    labels.insert(label.to_owned(), hash.clone());
    ControllerRevision {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", owner.name_any())),
            namespace: owner.namespace(),
            labels: Some(labels),
            owner_references: Some(vec![owner_reference(owner)]),
            ..ObjectMeta::default()
        },
        revision: number,
        data: Some(RawExtension(data(present))),
    }
}

/// Deletes the oldest states that no pod is in, beyond those that are to be kept.
pub(crate) fn tidy(
    revisions: &Revisions,
    limit: Option<i32>,
    is_in_use: impl Fn(&ControllerRevision) -> bool,
) -> Vec<Action> {
    let kept = limit.map_or(HISTORY, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    let update = revisions.update.name_any();
    let unused: Vec<&Arc<ControllerRevision>> = (revisions.all.iter())
        .filter(|revision| revision.name_any() != update && !is_in_use(revision))
        .collect();
    let surplus = unused.len().saturating_sub(kept);
    (unused.into_iter().take(surplus))
        .map(|revision| Action::Delete {
            target: Target::of(revision.as_ref()),
            propagation: None,
            grace: None,
            announcement: None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_revision_are_those_that_go_writes() {
        let template = serde_json::from_value(json!({
            "metadata": {"labels": {"b": "1", "a": "2"}},
            "spec": {"containers": [{"name": "c", "image": "i", "resources": {}}], "dnsPolicy": "Default"},
        }));
        assert_eq!(
            data(&template.unwrap()).to_string(),
            r#"{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"a":"2","b":"1"}},"spec":{"containers":[{"image":"i","name":"c","resources":{}}],"dnsPolicy":"Default"}}}}"#
        );
    }
}
