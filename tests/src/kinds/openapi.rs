//! Types out of `OpenAPI` documents: what each field is, without the descriptions.

use std::collections::{BTreeMap, BTreeSet};

use mwctl_apiserver::kinds::facts::{FieldFacts, TypeFacts};
use mwctl_apiserver::schema::Gvk;
use serde_json::Value;

/// Types that JSON shows as one value.
const LEAVES: [(&str, &str); 12] = [
    ("io.k8s.apimachinery.pkg.api.resource.Quantity", "quantity"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", "any"),
    (
        "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
        "micro-time",
    ),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Patch", "any"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", "time"),
    ("io.k8s.apimachinery.pkg.runtime.RawExtension", "any"),
    (
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        "int-or-string",
    ),
    (
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceSubresourceStatus",
        "any",
    ),
    (
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
        "any",
    ),
    (
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray",
        "any",
    ),
    (
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool",
        "any",
    ),
    (
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray",
        "any",
    ),
];

/// How the names of Kubernetes' own types begin. Others are a cluster's custom resources.
const OWN: [&str; 3] = [
    "io.k8s.api.",
    "io.k8s.apimachinery.",
    "io.k8s.apiextensions-apiserver.",
];

const REFERENCE: &str = "#/components/schemas/";

/// Every type of these documents that has fields.
pub fn types(documents: &[Value]) -> BTreeMap<String, TypeFacts> {
    let mut types = BTreeMap::new();
    for document in documents {
        let Some(schemas) = document["components"]["schemas"].as_object() else {
            continue;
        };
        for (name, schema) in schemas {
            let own = OWN.iter().any(|prefix| name.starts_with(prefix));
            if own && leaf(name).is_none() {
                types
                    .entry(name.clone())
                    .or_insert_with(|| structure(schema));
            }
        }
    }
    types
}

/// Drops what is no kind and is in no kind.
pub fn keep_reachable(types: &mut BTreeMap<String, TypeFacts>) {
    let mut kept = BTreeSet::new();
    let mut next: Vec<String> = types
        .iter()
        .filter(|(_, facts)| !facts.kinds.is_empty())
        .map(|(name, _)| name.clone())
        .collect();
    while let Some(name) = next.pop() {
        if let Some(facts) = types.get(&name)
            && kept.insert(name)
        {
            next.extend(
                facts
                    .fields
                    .values()
                    .filter_map(|field| referred(&field.shape)),
            );
        }
    }
    types.retain(|name, _| kept.contains(name));
}

/// The type that a shape is made of.
pub fn referred(shape: &str) -> Option<String> {
    let (_, name) = shape.split_once('+')?;
    Some(name.split([']', '}']).next().unwrap_or_default().to_owned())
}

fn leaf(name: &str) -> Option<&'static str> {
    LEAVES
        .iter()
        .find(|(leaf, _)| *leaf == name)
        .map(|(_, shape)| *shape)
}

fn structure(schema: &Value) -> TypeFacts {
    let required: BTreeSet<&str> = strings(&schema["required"]).collect();
    let fields = schema["properties"].as_object().into_iter().flatten();
    let mut kinds: Vec<Gvk> = schema["x-kubernetes-group-version-kind"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|gvk| Gvk {
            group: text(&gvk["group"]),
            version: text(&gvk["version"]),
            kind: text(&gvk["kind"]),
        })
        .collect();
    kinds.sort();
    TypeFacts {
        kinds,
        atomic: schema["x-kubernetes-map-type"] == "atomic",
        fields: fields
            .map(|(name, schema)| {
                (
                    name.clone(),
                    field(schema, required.contains(name.as_str())),
                )
            })
            .collect(),
    }
}

fn field(schema: &Value, required: bool) -> FieldFacts {
    let shape = shape(schema);
    FieldFacts {
        granular: shape.starts_with('+') && schema["x-kubernetes-map-type"] == "granular",
        shape,
        required,
        default: schema.get("default").cloned(),
        values: strings(&schema["enum"]).map(str::to_owned).collect(),
        patch: text(&schema["x-kubernetes-patch-strategy"])
            .split(',')
            .filter(|strategy| !strategy.is_empty())
            .map(str::to_owned)
            .collect(),
        merge_key: schema["x-kubernetes-patch-merge-key"]
            .as_str()
            .map(str::to_owned),
        ..FieldFacts::default()
    }
}

/// A schema in the notation of the table.
fn shape(schema: &Value) -> String {
    let reference = schema["$ref"]
        .as_str()
        .or_else(|| schema["allOf"][0]["$ref"].as_str());
    if let Some(name) = reference.and_then(|reference| reference.strip_prefix(REFERENCE)) {
        return leaf(name).map_or_else(|| format!("+{name}"), str::to_owned);
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("byte")) => "bytes".to_owned(),
        (Some("string"), _) => "string".to_owned(),
        (Some("boolean"), _) => "bool".to_owned(),
        (Some("integer"), Some("int32")) => "int32".to_owned(),
        (Some("integer"), _) => "int64".to_owned(),
        (Some("number"), _) => "float".to_owned(),
        (Some("array"), _) => format!("[{}]{}", shape(&schema["items"]), keys(schema)),
        (Some("object"), _) if schema["additionalProperties"].is_object() => {
            let atomic = if schema["x-kubernetes-map-type"] == "atomic" {
                "!"
            } else {
                ""
            };
            format!("{{{}}}{atomic}", shape(&schema["additionalProperties"]))
        }
        _ => "any".to_owned(),
    }
}

fn keys(list: &Value) -> String {
    match list["x-kubernetes-list-type"].as_str() {
        Some("set") => "=".to_owned(),
        Some("map") => {
            let keys: Vec<&str> = strings(&list["x-kubernetes-list-map-keys"]).collect();
            format!("={}", keys.join(","))
        }
        _ => String::new(),
    }
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_keyed_list_of_a_type_keeps_its_keys_and_its_patch_strategy() {
        let schema = json!({"type": "array", "description": "long",
            "items": {"default": {}, "allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.ServicePort"}]},
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
            "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "port"});
        let field = field(&schema, false);
        assert_eq!(
            field.shape,
            "[+io.k8s.api.core.v1.ServicePort]=port,protocol"
        );
        assert_eq!(field.patch, ["merge"]);
        assert_eq!(field.merge_key.as_deref(), Some("port"));
        assert_eq!(
            referred(&field.shape).as_deref(),
            Some("io.k8s.api.core.v1.ServicePort")
        );
    }

    #[test]
    fn a_quantity_is_no_type_with_fields() {
        let name = "io.k8s.apimachinery.pkg.api.resource.Quantity";
        let map = json!({"type": "object", "additionalProperties": {"$ref": format!("#/components/schemas/{name}")}});
        assert_eq!(shape(&map), "{quantity}");
        let document = json!({"components": {"schemas": {name: {"oneOf": [{"type": "string"}]}}}});
        assert!(types(&[document]).is_empty());
    }

    #[test]
    fn what_no_kind_contains_goes() {
        let reference = |name: &str| json!({"$ref": format!("{REFERENCE}{name}")});
        let document = json!({"components": {"schemas": {
            "io.k8s.api.A": {"properties": {"b": {"type": "array", "items": reference("io.k8s.api.B")}},
                "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "A"}]},
            "io.k8s.api.B": {"properties": {"again": reference("io.k8s.api.B")}},
            "io.k8s.api.C": {"properties": {"a": reference("io.k8s.api.A")}},
            "com.example.D": {"x-kubernetes-group-version-kind": [{"group": "example.com", "version": "v1", "kind": "D"}]},
        }}});
        let mut types = types(&[document]);
        keep_reachable(&mut types);
        assert_eq!(
            types.keys().collect::<Vec<_>>(),
            ["io.k8s.api.A", "io.k8s.api.B"]
        );
    }
}
