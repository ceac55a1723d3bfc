//! Paths below an object that are more than another view of it: the scale, the finalizers of a namespace, the binding of a pod to a node.

use super::{Answer, Change, Registry, Served, Target, WriteOptions, stamp, text};
use crate::access::User;
use crate::custom::{Definition, Scale};
use crate::patch;
use crate::status::Status;
use crate::storage::Object;
use serde_json::{Value, json};
use std::sync::Arc;

impl Registry {
    /// The scale of an object (`autoscaling/v1 Scale`).
    pub fn scale(&self, target: &Target) -> Result<Arc<Object>, Status> {
        let object = self.get(target)?;
        Ok(Arc::new(Object::unstored(scale_of(
            &target.resource,
            object.value(),
        ))))
    }

    /// Changes how many there are to be, by a whole scale or a patch of one.
    pub fn change_scale(
        &self,
        target: &Target,
        change: &Change,
        options: &WriteOptions,
    ) -> Result<Answer, Status> {
        let object = self.edit(target, options, |object| {
            let before = scale_of(&target.resource, object);
            let after = match change {
                Change::Replace(scale) | Change::Apply { body: scale, .. } => scale.clone(),
                Change::Patch(kind, body) => {
                    let schema = target.resource.schema();
                    let structure = target
                        .resource
                        .subresources
                        .iter()
                        .find(|known| known.name == "scale");
                    let structure = structure.and_then(|scale| schema.kind(&scale.gvk));
                    patch::apply(*kind, schema, structure, &before, body)?
                }
            };
            let replicas = after
                .pointer("/spec/replicas")
                .and_then(Value::as_i64)
                .unwrap_or_default();
            if replicas < 0 {
                let cause = crate::status::Cause {
                    reason: "FieldValueInvalid",
                    message: format!(
                        "Invalid value: {replicas}: must be greater than or equal to 0"
                    ),
                    field: "spec.replicas".to_owned(),
                };
                return Err(Status::invalid(
                    "autoscaling",
                    "Scale",
                    &target.name,
                    vec![cause],
                ));
            }
            for field in ["resourceVersion", "uid"] {
                let wanted = after["metadata"][field].clone();
                if !wanted.is_null() {
                    object["metadata"][field] = wanted;
                }
            }
            set(object, &paths(&target.resource).0, replicas);
            Ok(())
        })?;
        Ok(Answer {
            object: Arc::new(Object::unstored(scale_of(&target.resource, object.value()))),
            created: false,
            warnings: Vec::new(),
        })
    }

    /// Replaces the finalizers of a namespace, which ends when there are none.
    pub fn finalize(
        &self,
        target: &Target,
        body: &Value,
        options: &WriteOptions,
    ) -> Result<Answer, Status> {
        let object = self.edit(target, options, |object| {
            object["spec"]["finalizers"] = body["spec"]["finalizers"].clone();
            Ok(())
        })?;
        Ok(Answer {
            object,
            created: false,
            warnings: Vec::new(),
        })
    }

    /// Refuses a token that `user` may not have; `bound` is the object that it is to be bound to.
    pub(crate) fn admit_token(
        &self,
        target: &Target,
        user: &User,
        request: &Value,
        bound: Option<&Value>,
    ) -> Result<(), Status> {
        self.admit(target, Some(user), "create", Some(request), bound)?;
        Ok(())
    }

    /// Puts a pod on a node.
    pub fn bind(
        &self,
        target: &Target,
        binding: &Value,
        options: &WriteOptions,
    ) -> Result<(), Status> {
        let node = text(binding, "/target/name");
        if node.is_empty() {
            return Err(Status::bad_request("target.name: Required value"));
        }
        self.edit(target, options, |pod| {
            let assigned = text(pod, "/spec/nodeName");
            if !assigned.is_empty() {
                let why = format!("pod {} is already assigned to node \"{assigned}\"", target.name);
                return Err(target.conflict(&why));
            }
            pod["spec"]["nodeName"] = json!(node);
            let scheduled = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": stamp::now()});
            match pod["status"]["conditions"].as_array_mut() {
                Some(conditions) => {
                    conditions.retain(|condition| condition["type"] != "PodScheduled");
                    conditions.push(scheduled);
                }
                None => pod["status"]["conditions"] = json!([scheduled]),
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// Where objects say how many are wanted, and how many there are.
fn paths(resource: &Served) -> (String, String) {
    match resource.definition().and_then(Definition::scale) {
        Some(scale) => (scale.wanted(), scale.present()),
        None => ("/spec/replicas".to_owned(), "/status/replicas".to_owned()),
    }
}

/// Writes a number at a pointer, and makes the objects on the way there.
fn set(object: &mut Value, pointer: &str, number: i64) {
    let mut place = object;
    for name in pointer.split('/').filter(|name| !name.is_empty()) {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[name];
    }
    *place = json!(number);
}

fn scale_of(resource: &Served, object: &Value) -> Value {
    let (wanted, present) = paths(resource);
    let number = |pointer: &str| {
        let number = object.pointer(pointer).and_then(Value::as_i64);
        number.unwrap_or_default()
    };
    let metadata = &object["metadata"];
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {"replicas": number(&wanted)},
        "status": {"replicas": number(&present)},
    });
    let selector = match (resource.definition(), resource.gvk.kind.as_str()) {
        (Some(definition), _) => {
            let path = definition.scale().map(Scale::selector).unwrap_or_default();
            text(object, &path).to_owned()
        }
        (None, "ReplicationController") => labels(&object["spec"]["selector"]),
        (None, _) => selector(&object["spec"]["selector"]),
    };
    if !selector.is_empty() {
        scale["status"]["selector"] = json!(selector);
    }
    scale
}

/// A label selector as its text.
pub(super) fn selector(selector: &Value) -> String {
    let mut terms = vec![labels(&selector["matchLabels"])];
    for term in selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let key = text(term, "/key");
        let mut values: Vec<_> = term["values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        values.sort_unstable();
        let values = values.join(",");
        terms.push(match text(term, "/operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    terms.retain(|term| !term.is_empty());
    terms.join(",")
}

fn labels(labels: &Value) -> String {
    let mut terms: Vec<String> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    terms.sort_unstable();
    terms.join(",")
}
