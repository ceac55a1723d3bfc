//! What was applied to an object before, read from who owns its fields; and the way back to it.
//!
//! The API server keeps for each manager which fields it applied (KEP-555, `fieldsV1`): with the live
//! values they give exactly what was applied last.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::step::Steps;
use super::{Action, Hold, HoldKind, Plan};
use crate::manifest::{MANAGER, Object, ObjectId, workload_id};
use crate::model::{Condition, Stack, Workload};
use crate::name::ServiceName;
use crate::observed::Observed;

/// The object as `mwctl` applied it last; `None` where it didn't.
pub fn applied(live: &Value) -> Option<Object> {
    let managers = live.pointer("/metadata/managedFields")?.as_array()?;
    let ours = managers.iter().find(|entry| {
        entry["manager"] == MANAGER
            && entry["operation"] == "Apply"
            && entry.get("subresource").is_none_or(|it| it == "")
    })?;
    let mut value = owned(live, ours.get("fieldsV1")?);
    for pointer in ["apiVersion", "kind"] {
        value[pointer] = live[pointer].clone();
    }
    for field in ["name", "namespace"] {
        if let Some(own) = live["metadata"].get(field) {
            value["metadata"][field] = own.clone();
        }
    }
    Object::from_value(value)
}

/// Of `live` what `fields` names.
fn owned(live: &Value, fields: &Value) -> Value {
    let Some(fields) = fields.as_object() else {
        return live.clone();
    };
    let parts = |sign: &'static str| {
        let parts = fields.iter();
        parts.filter_map(move |(key, below)| Some((key.strip_prefix(sign)?, below)))
    };
    if parts("f:").next().is_some() {
        let named = parts("f:")
            .filter_map(|(key, below)| Some((key.to_owned(), owned(live.get(key)?, below))));
        return Value::Object(named.collect::<Map<_, _>>());
    }
    let items = || live.as_array().into_iter().flatten();
    if parts("k:").next().is_some() {
        let keys: Vec<(Map<String, Value>, &Value)> = parts("k:")
            .filter_map(|(key, below)| Some((serde_json::from_str(key).ok()?, below)))
            .collect();
        let mut found = Vec::new();
        for item in items() {
            let fits = |key: &Map<String, Value>| {
                key.iter()
                    .all(|(field, value)| item.get(field) == Some(value))
            };
            if let Some((key, below)) = keys.iter().find(|(key, _)| fits(key)) {
                let mut own = owned(item, below);
                if let Value::Object(own) = &mut own {
                    own.extend(key.clone());
                }
                found.push(own);
            }
        }
        return Value::Array(found);
    }
    if parts("v:").next().is_some() {
        let values: Vec<Value> = parts("v:")
            .filter_map(|(value, _)| serde_json::from_str(value).ok())
            .collect();
        let found = items().filter(|item| values.contains(item));
        return Value::Array(found.cloned().collect());
    }
    live.clone()
}

/// The way back for services whose deployment failed: what `plan` applied for them is applied as it
/// was in `before`, and waited for.
pub fn rollback(
    stack: &Stack,
    plan: &Plan,
    before: &Observed,
    failed: &BTreeSet<ServiceName>,
) -> Plan {
    let mut back = Plan::default();
    let mut steps = Steps::default();
    for name in failed {
        let Some(service) = stack.services.get(name) else {
            continue;
        };
        let workload = workload_id(stack, service);
        let of_service = || {
            plan.steps
                .iter()
                .filter(|it| it.service.as_ref() == Some(name))
        };
        let deleted: BTreeSet<ObjectId> = of_service()
            .filter_map(|step| match &step.action {
                Action::Delete { id } => Some(id.clone()),
                _ => None,
            })
            .collect();
        let earlier = |id: &ObjectId| before.objects.get(id).and_then(applied);
        let why = if deleted.contains(&workload) {
            Some("it had to be replaced".to_owned())
        } else if earlier(&workload).is_none() {
            Some("it is new".to_owned())
        } else {
            None
        };
        if let Some(why) = why {
            back.holds.push(Hold {
                kind: HoldKind::Waiting,
                service: Some(name.clone()),
                object: Some(workload),
                reason: format!("`{name}` has nothing to go back to: {why}"),
                hint: Some(format!("mwctl logs {name}")),
            });
            continue;
        }
        let mut done = Vec::new();
        for step in of_service() {
            if let Action::Apply(object) = &step.action
                && !deleted.contains(&object.id())
                && let Some(earlier) = earlier(&object.id())
            {
                let action = Action::Apply(Box::new(earlier));
                let reason = "goes back to what was there before".to_owned();
                done.push(steps.push(action, Some(name), reason, &done));
            }
        }
        let action = Action::Await {
            service: name.clone(),
            condition: match service.workload {
                Workload::Job(_) => Condition::Completed,
                _ => Condition::Ready,
            },
        };
        steps.push(action, Some(name), "goes back".to_owned(), &done);
    }
    back.steps = steps.into_vec();
    back
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_applied_is_what_we_own_with_the_values_that_are_there() {
        let live = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "a", "namespace": "n", "uid": "1", "labels": { "x": "1", "y": "2" },
                "managedFields": [
                    { "manager": "kube", "operation": "Update", "fieldsV1": { "f:status": {} } },
                    { "manager": "mwctl", "operation": "Apply", "fieldsV1": {
                        "f:metadata": { "f:labels": { "f:x": {} } },
                        "f:spec": {
                            "f:selector": {},
                            "f:template": { "f:spec": { "f:containers": {
                                "k:{\"name\":\"c\"}": { ".": {}, "f:image": {}, "f:name": {},
                                    "f:ports": { "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:containerPort": {} } } }
                            } } },
                            "f:finalizers": { "v:\"one\"": {} }
                        } } }
                ] },
            "spec": {
                "replicas": 1, "selector": { "matchLabels": { "app": "a" } },
                "finalizers": ["one", "two"],
                "template": { "spec": { "restartPolicy": "Always", "containers": [
                    { "name": "other", "image": "o" },
                    { "name": "c", "image": "i", "tty": false, "ports": [{ "containerPort": 80, "protocol": "TCP" }] }
                ] } }
            },
            "status": { "replicas": 1 }
        });
        assert_eq!(
            applied(&live).unwrap().to_value(),
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": { "labels": { "x": "1" }, "name": "a", "namespace": "n" },
                "spec": {
                    "selector": { "matchLabels": { "app": "a" } },
                    "finalizers": ["one"],
                    "template": { "spec": { "containers": [
                        { "name": "c", "image": "i", "ports": [{ "containerPort": 80, "protocol": "TCP" }] }
                    ] } }
                }
            })
        );
        assert!(applied(&json!({ "metadata": {} })).is_none());
    }
}
