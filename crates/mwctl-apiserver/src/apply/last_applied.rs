//! The annotation by which `kubectl apply` remembers what it applied: as long as an object has it, a server-side apply by kubectl keeps it true,
//! so that people can go back, and takes the fields over that still are as they were applied.

use std::collections::BTreeMap;

use super::change::differing;
use super::fields::FieldSet;
use super::owned::owned;
use super::typed::Type;
use serde_json::{Map, Value, json};

/// Whose applies renew it, and take over what it says.
pub(super) const MANAGER: &str = "kubectl";

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Writes what was applied into the annotation of an object that has it.
pub(super) fn renew(object: &mut Value, applied: &Value) {
    let Some(known) = object
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
        .and_then(|annotations| annotations.get_mut(ANNOTATION))
        .filter(|known| known.as_str().is_some_and(|text| !text.is_empty()))
    else {
        return;
    };
    let mut applied = applied.clone();
    let annotations = applied.pointer_mut("/metadata/annotations");
    if let Some(Value::Object(annotations)) = annotations {
        annotations.shift_remove(ANNOTATION);
    }
    *known = json!(format!("{}\n", sorted(applied)));
}

/// The fields that an object still has as `kubectl apply` once wrote them, in this version of the API: whoever owns them by the books,
/// kubectl may change them.
pub(super) fn standing(ty: Type<'_>, live: &Value, api_version: &str) -> FieldSet {
    let applied = live
        .pointer("/metadata/annotations")
        .and_then(|annotations| annotations.get(ANNOTATION)?.as_str())
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
        .filter(|applied| applied["apiVersion"] == api_version);
    let Some(applied) = applied else {
        return FieldSet::default();
    };
    let mut standing = owned(ty, &applied);
    standing.subtract(&differing(ty, &standing, Some(&applied), Some(live)));
    standing
}

/// The value with the fields of every object in the order of their names, as Go writes them.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<String, Value> = fields.into_iter().collect();
            let fields = fields.into_iter().map(|(name, it)| (name, sorted(it)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_annotation_that_is_there_is_renewed() {
        let applied = json!({"kind": "A", "data": {"b": 1, "a": 2}});
        let mut object = json!({"metadata": {"annotations": {ANNOTATION: "{}"}}});
        renew(&mut object, &applied);
        assert_eq!(
            object["metadata"]["annotations"][ANNOTATION],
            "{\"data\":{\"a\":2,\"b\":1},\"kind\":\"A\"}\n"
        );
        let mut without = json!({"metadata": {}});
        renew(&mut without, &applied);
        assert_eq!(without, json!({"metadata": {}}));
    }
}
