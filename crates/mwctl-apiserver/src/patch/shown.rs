//! How a refusal quotes what a patch made: the patched object as the library wrote it that upstream patches with, or the patch as Go prints it.
//!
//! That library sorts the fields of the objects that it has opened, and leaves all others as they were. A strategic merge patch is quoted
//! as merging leaves it, which takes out its directives, and the lists whose order they tell.

use super::{PatchKind, go};
use serde_json::{Map, Value};

/// What the directive with the order of a list begins with.
const ORDER: &str = "$setElementOrder/";

/// The text for a refusal. A custom resource comes sorted to that library.
pub(crate) fn shown(kind: PatchKind, patched: &Value, body: &Value, is_custom: bool) -> String {
    let mut patched = patched.clone();
    match kind {
        _ if is_custom => sort_all(&mut patched),
        PatchKind::StrategicMerge => {
            let mut left = body.clone();
            consume(&mut left);
            return go::text(&left);
        }
        PatchKind::Merge => sort_merged(&mut patched, body),
        PatchKind::Json => {
            sort(&mut patched);
            for operation in body.as_array().into_iter().flatten() {
                for place in ["path", "from"] {
                    sort_along(&mut patched, operation[place].as_str().unwrap_or_default());
                }
            }
        }
    }
    patched.to_string()
}

/// Takes out of a strategic merge patch what merging it takes out.
fn consume(patch: &mut Value) {
    let Value::Object(fields) = patch else {
        return;
    };
    let ordered = fields.keys().filter_map(|field| field.strip_prefix(ORDER));
    let ordered: Vec<String> = ordered.map(str::to_owned).collect();
    fields.retain(|field, _| !field.starts_with('$') && !ordered.contains(field));
    fields.values_mut().for_each(consume);
}

fn sort(value: &mut Value) {
    if let Value::Object(fields) = value {
        let mut sorted: Vec<(String, Value)> = std::mem::take(fields).into_iter().collect();
        sorted.sort_by(|one, other| one.0.cmp(&other.0));
        *fields = sorted.into_iter().collect::<Map<_, _>>();
    }
}

fn sort_all(value: &mut Value) {
    sort(value);
    match value {
        Value::Object(fields) => fields.values_mut().for_each(sort_all),
        Value::Array(items) => items.iter_mut().for_each(sort_all),
        _ => {}
    }
}

/// Sorts the objects that a merge patch has opened: those that stand in it, too.
fn sort_merged(value: &mut Value, patch: &Value) {
    let (Value::Object(_), Value::Object(parts)) = (&*value, patch) else {
        return;
    };
    sort(value);
    for (field, part) in parts {
        if let Some(inner) = value.get_mut(field) {
            sort_merged(inner, part);
        }
    }
}

/// Sorts the objects on the way to where an operation's path leads.
fn sort_along(value: &mut Value, path: &str) {
    let mut place = value;
    let Some((way, _)) = path.rsplit_once('/') else {
        return;
    };
    for step in way.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let next = match place {
            Value::Object(fields) => fields.get_mut(&step),
            Value::Array(items) => step.parse().ok().and_then(|at: usize| items.get_mut(at)),
            _ => None,
        };
        let Some(next) = next else { return };
        sort(next);
        place = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_a_patch_has_opened_is_sorted() {
        let patched: Value =
            serde_json::from_str(r#"{"b":{"d":1,"c":{"y":1,"x":2}},"a":{"z":1,"w":2}}"#).unwrap();
        let body = json!({"b": {"d": 1}});
        let merge = shown(PatchKind::Merge, &patched, &body, false);
        assert_eq!(
            merge,
            r#"{"a":{"z":1,"w":2},"b":{"c":{"y":1,"x":2},"d":1}}"#
        );
        let custom = shown(PatchKind::Merge, &patched, &json!({}), true);
        assert_eq!(
            custom,
            r#"{"a":{"w":2,"z":1},"b":{"c":{"x":2,"y":1},"d":1}}"#
        );
        let operations = json!([{"op": "add", "path": "/b/c/x", "value": 2}]);
        let json = shown(PatchKind::Json, &patched, &operations, false);
        assert_eq!(json, r#"{"a":{"z":1,"w":2},"b":{"c":{"x":2,"y":1},"d":1}}"#);
    }

    #[test]
    fn a_strategic_patch_is_quoted_itself() {
        let text = |body: &Value| shown(PatchKind::StrategicMerge, &json!({}), body, false);
        let body = json!({"spec": {"nope": 1}});
        assert_eq!(text(&body), "map[spec:map[nope:1]]");
        let body = json!({"spec": {"$setElementOrder/containers": [], "containers": [{"name": "c"}], "replicas": "one"}});
        assert_eq!(text(&body), "map[spec:map[replicas:one]]");
    }
}
