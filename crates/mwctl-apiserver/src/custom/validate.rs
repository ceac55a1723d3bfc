//! The rules of a structural schema, with upstream's complaints.

use serde_json::{Map, Number, Value};

use super::format;
use super::structural::{Limits, Node};
use crate::schema::ListKind;
use crate::status::Cause;

/// After so many complaints nobody reads on, and an answer must not outgrow its question.
const MOST: usize = 200;

/// What is wrong with an object of this kind.
pub(super) fn validate(root: &Node, object: &Value, kind: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    if object["kind"] != kind {
        let message = format!("Invalid value: {}: must be {kind}", object["kind"]);
        causes.push(cause("FieldValueInvalid", "kind", message));
    }
    check(root, object, "", &mut causes);
    duplicates(root, object, "", &mut causes);
    causes
}

fn cause(reason: &'static str, path: &str, message: String) -> Cause {
    Cause {
        reason,
        message,
        field: path.to_owned(),
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn check(node: &Node, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if causes.len() >= MOST || value.is_null() && node.nullable {
        return;
    }
    let found = type_name(value);
    if let Some(expected) = mismatch(node, value) {
        let message = format!(
            "Invalid value: {found:?}: {path} in body must be of type {expected}: {found:?}"
        );
        causes.push(cause("FieldValueTypeInvalid", path, message));
        return;
    }
    combined(node, value, path, causes);
    let mut invalid = |shown: Value, detail: &str| {
        let message = format!("Invalid value: {shown}: {path} in body {detail}");
        causes.push(cause("FieldValueInvalid", path, message));
    };
    match value {
        Value::String(text) => {
            let length = text.chars().count() as u64;
            if let Some(least) = node.limits.length.0.filter(|least| length < *least) {
                invalid(
                    value.clone(),
                    &format!("should be at least {least} chars long"),
                );
            }
            if let Some(pattern) = node
                .limits
                .pattern
                .as_ref()
                .filter(|pattern| !pattern.is_match(text))
            {
                invalid(value.clone(), &format!("should match '{pattern}'"));
            }
            if let Some(most) = node.limits.length.1.filter(|most| length > *most) {
                let message = format!("Too long: may not be more than {most} bytes");
                causes.push(cause("FieldValueTooLong", path, message));
            }
            if !format::is(&node.format, text) {
                let message = format!(
                    "Invalid value: {value}: {path} in body must be of type {}: {value}",
                    node.format
                );
                causes.push(cause("FieldValueTypeInvalid", path, message));
            }
        }
        Value::Number(number) => check_number(&node.limits, number, path, causes),
        Value::Array(items) => {
            check_count(node.limits.count, items.len(), "items", path, causes);
            if let Some(inner) = &node.items {
                for (index, item) in items.iter().enumerate() {
                    check(inner, item, &format!("{path}[{index}]"), causes);
                }
            }
        }
        Value::Object(object) => check_object(node, object, path, causes),
        Value::Null | Value::Bool(_) => {}
    }
    if !node.limits.values.is_empty() && !node.limits.values.contains(value) {
        let values: Vec<String> = node.limits.values.iter().map(Value::to_string).collect();
        let message = format!(
            "Unsupported value: {value}: supported values: {}",
            values.join(", ")
        );
        causes.push(cause("FieldValueNotSupported", path, message));
    }
}

fn check_object(node: &Node, object: &Map<String, Value>, path: &str, causes: &mut Vec<Cause>) {
    check_count(node.limits.fields, object.len(), "properties", path, causes);
    let absent = |name: &str| {
        object.get(name).is_none_or(|value| {
            value.is_null()
                && node
                    .properties
                    .get(name)
                    .is_some_and(|field| !field.nullable)
        })
    };
    let implied: &[&str] = if node.embedded {
        &["apiVersion", "kind"]
    } else {
        &[]
    };
    let required = implied
        .iter()
        .copied()
        .chain(node.required.iter().map(String::as_str));
    for name in required.filter(|name| absent(name)) {
        causes.push(cause(
            "FieldValueRequired",
            &below(path, name),
            "Required value".to_owned(),
        ));
    }
    for (name, value) in object {
        if let Some(field) = node.field(name)
            && !(value.is_null() && node.required.contains(name))
        {
            check(field, value, &below(path, name), causes);
        }
    }
}

fn check_count(
    (least, most): (Option<u64>, Option<u64>),
    count: usize,
    of: &str,
    path: &str,
    causes: &mut Vec<Cause>,
) {
    let count = count as u64;
    if let Some(least) = least.filter(|least| count < *least) {
        let message =
            format!("Invalid value: {count}: {path} in body should have at least {least} {of}");
        causes.push(cause("FieldValueInvalid", path, message));
    }
    if let Some(most) = most.filter(|most| count > *most) {
        let message = format!("Too many: {count}: must have at most {most} items");
        causes.push(cause("FieldValueTooMany", path, message));
    }
}

fn check_number(limits: &Limits, number: &Number, path: &str, causes: &mut Vec<Cause>) {
    let value = number.as_f64().unwrap_or_default();
    let float = |limit: &Option<Number>| limit.as_ref().and_then(Number::as_f64);
    let mut invalid = |detail: String| {
        causes.push(cause(
            "FieldValueInvalid",
            path,
            format!("Invalid value: {number}: {detail}"),
        ));
    };
    if let (Some(factor), Some(shown)) = (float(&limits.multiple_of), &limits.multiple_of) {
        let times = value / factor;
        if value == 0.0 {
            // Upstream's own confusion of the factor and the value.
            invalid(format!(
                "factor MultipleOf declared for {path} must be positive: {number}"
            ));
        } else if (times - times.round()).abs() > 1e-9 {
            invalid(format!("{path} in body should be a multiple of {shown}"));
        }
    }
    if let (Some(most), Some(shown)) = (float(&limits.maximum), &limits.maximum) {
        if limits.below_maximum && value >= most {
            invalid(format!("{path} in body should be less than {shown}"));
        } else if value > most {
            invalid(format!(
                "{path} in body should be less than or equal to {shown}"
            ));
        }
    }
    if let (Some(least), Some(shown)) = (float(&limits.minimum), &limits.minimum) {
        if limits.above_minimum && value <= least {
            invalid(format!("{path} in body should be greater than {shown}"));
        } else if value < least {
            invalid(format!(
                "{path} in body should be greater than or equal to {shown}"
            ));
        }
    }
}

/// `allOf`, `anyOf`, `oneOf` and `not`.
fn combined(node: &Node, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let attempt = |schemas: &[Node]| -> Vec<Vec<Cause>> {
        schemas
            .iter()
            .map(|schema| {
                let mut found = Vec::new();
                check(schema, value, path, &mut found);
                found
            })
            .collect()
    };
    let about = |detail: &str| {
        cause(
            "FieldValueInvalid",
            "<nil>",
            format!("Invalid value: \"\": {path:?} {detail}"),
        )
    };
    let any = attempt(&node.any_of);
    if !any.is_empty() && any.iter().all(|found| !found.is_empty()) {
        causes.push(about("must validate at least one schema (anyOf)"));
        causes.extend(closest(any));
    }
    let one = attempt(&node.one_of);
    let valid = one.iter().filter(|found| found.is_empty()).count();
    if !one.is_empty() && valid == 0 {
        causes.push(about(
            "must validate one and only one schema (oneOf). Found none valid",
        ));
        causes.extend(closest(one));
    } else if valid > 1 {
        causes.push(about(&format!(
            "must validate one and only one schema (oneOf). Found {valid} valid alternatives"
        )));
    }
    let all = attempt(&node.all_of);
    let failed = all.iter().filter(|found| !found.is_empty()).count();
    let count = all.len();
    causes.extend(all.into_iter().flatten());
    if failed > 0 {
        let suffix = if failed == count {
            ". None validated"
        } else {
            ""
        };
        causes.push(about(&format!(
            "must validate all the schemas (allOf){suffix}"
        )));
    }
    if let Some(not) = &node.not
        && attempt(std::slice::from_ref(not.as_ref()))
            .iter()
            .all(Vec::is_empty)
    {
        causes.push(about("must not validate the schema (not)"));
    }
}

/// The complaints of the schema that came closest: about a value that was there rather than one that was missing.
fn closest(tried: Vec<Vec<Cause>>) -> Vec<Cause> {
    let missing = |found: &Vec<Cause>| {
        found
            .iter()
            .any(|cause| cause.reason == "FieldValueRequired")
    };
    let best = tried
        .iter()
        .position(|found| !missing(found))
        .unwrap_or_default();
    tried.into_iter().nth(best).unwrap_or_default()
}

/// Items of sets and of keyed lists that are there twice.
fn duplicates(node: &Node, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if causes.len() >= MOST {
        return;
    }
    match value {
        Value::Array(items) => {
            let key = |item: &Value| match &node.list {
                ListKind::Atomic => None,
                ListKind::Set => Some(item.clone()),
                ListKind::Map(keys) => {
                    let known = keys.iter().filter(|key| !item[key.as_str()].is_null());
                    Some(
                        known
                            .map(|key| (key.clone(), item[key.as_str()].clone()))
                            .collect(),
                    )
                }
            };
            let mut seen = std::collections::HashSet::new();
            for (index, item) in items.iter().enumerate() {
                let path = format!("{path}[{index}]");
                if let Some(key) = key(item)
                    && !seen.insert(key.to_string())
                {
                    causes.push(cause(
                        "FieldValueDuplicate",
                        &path,
                        format!("Duplicate value: {key}"),
                    ));
                }
                if let Some(inner) = &node.items {
                    duplicates(inner, item, &path, causes);
                }
            }
        }
        Value::Object(object) => {
            for (name, inner) in object {
                if let Some(field) = node.field(name) {
                    duplicates(field, inner, &below(path, name), causes);
                }
            }
        }
        _ => {}
    }
}

/// The types that would have done, when this one doesn't.
fn mismatch<'a>(node: &'a Node, value: &Value) -> Option<&'a str> {
    let whole = |number: &Number| {
        number.is_i64()
            || number.is_f64()
                && number
                    .as_f64()
                    .is_some_and(|float| float.fract() == 0.0 && float.abs() < 9e18)
    };
    if node.int_or_string {
        let fits = match value {
            Value::String(_) => true,
            Value::Number(number) => whole(number),
            _ => false,
        };
        return (!fits).then_some("integer,string");
    }
    let fits = match node.kind.as_str() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_number().is_some_and(whole),
        _ => true,
    };
    (!fits).then_some(node.kind.as_str())
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
