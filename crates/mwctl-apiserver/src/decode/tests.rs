//! Bodies against the answers that a Kubernetes 1.34 API server gave to them.

use super::*;
use crate::decode::complete::complete;
use crate::kinds;
use proptest::prelude::*;
use serde_json::json;

/// The kind that is created at a path of a vector.
fn kind_at(schema: &Schema, path: &str) -> Gvk {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let (group, version) = if parts[0] == "api" {
        ("", parts[1])
    } else {
        (parts[1], parts[2])
    };
    let plural = parts[parts.len() - 1];
    let mut resources = schema.resources.iter();
    let found = resources.find(|resource| {
        resource.gvk.group == group && resource.gvk.version == version && resource.plural == plural
    });
    found.unwrap().gvk.clone()
}

fn config_map() -> Gvk {
    Gvk {
        group: String::new(),
        version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
    }
}

#[test]
fn refusals_are_those_recorded() {
    let schema = kinds::builtin();
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../tests/vectors/decode.json")).unwrap();
    let mut different = Vec::new();
    for vector in &vectors {
        let body = vector["body"].as_str().unwrap();
        let expected = kind_at(&schema, vector["path"].as_str().unwrap());
        let answer = decode(
            &schema,
            &expected,
            body.as_bytes(),
            Format::Json,
            Strictness::Strict,
        );
        let told = answer.map_or_else(|status| status.message, |_| "no refusal".to_owned());
        let recorded = vector["message"].as_str().unwrap();
        if told != recorded {
            different.push(format!("recorded {recorded}\n     got {told}"));
        }
    }
    assert!(
        different.is_empty(),
        "{} of {}:\n{}",
        different.len(),
        vectors.len(),
        different.join("\n")
    );
}

#[test]
fn new_objects_are_completed_as_recorded() {
    let schema = kinds::builtin();
    let vectors: Map<String, Value> =
        serde_json::from_str(include_str!("../../tests/vectors/defaults.json")).unwrap();
    let mut different = Vec::new();
    for (path, vector) in &vectors {
        let gvk = kind_at(&schema, path);
        let body = vector["body"].to_string();
        let decoded = decode(
            &schema,
            &gvk,
            body.as_bytes(),
            Format::Json,
            Strictness::Strict,
        )
        .unwrap();
        let recorded = vector["response"].as_object().unwrap();
        let mut object = decoded.object;
        // What the store gives: identity, time, addresses.
        let given = object["metadata"].as_object_mut().unwrap();
        for field in ["uid", "creationTimestamp", "namespace", "generation"] {
            if let Some(value) = recorded["metadata"].get(field) {
                given.insert(field.to_owned(), value.clone());
            }
        }
        if gvk.kind == "Job" {
            given.insert(
                "uid".to_owned(),
                recorded["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"]
                    .clone(),
            );
        }
        // The placeholder of the vectors is no time, and would not decode.
        complete(&schema, &gvk, &mut object);
        fresh::prepare(&gvk, &mut object);
        complete(&schema, &gvk, &mut object);
        let mut recorded = Value::Object(recorded.clone());
        for address in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if gvk.kind == "Service" {
                recorded["spec"].as_object_mut().unwrap().remove(address);
            }
        }
        let mut object = Value::Object(object);
        if gvk.kind == "Job" {
            object["metadata"]["uid"] = json!("<uid>");
        }
        if object != recorded {
            different.push(format!("{path}\nrecorded {recorded}\n     got {object}"));
        }
    }
    assert!(
        different.is_empty(),
        "{} of {}:\n{}",
        different.len(),
        vectors.len(),
        different.join("\n")
    );
}

#[test]
fn unknown_fields_are_dropped_and_warned_of() {
    let body = br#"{"metadata":{"name":"c","zip":2},"nope":1}"#;
    let decoded = decode(
        &kinds::builtin(),
        &config_map(),
        body,
        Format::Json,
        Strictness::Warn,
    )
    .unwrap();
    assert_eq!(
        decoded.warnings,
        ["unknown field \"metadata.zip\"", "unknown field \"nope\""]
    );
    assert_eq!(
        Value::Object(decoded.object),
        json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "c"}})
    );
    let ignored = decode(
        &kinds::builtin(),
        &config_map(),
        body,
        Format::Json,
        Strictness::Ignore,
    )
    .unwrap();
    assert!(ignored.warnings.is_empty());
}

#[test]
fn yaml_is_read_too() {
    let body = b"kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: c\ndata:\n  a: \"1\"\n";
    let decoded = decode(
        &kinds::builtin(),
        &config_map(),
        body,
        Format::Yaml,
        Strictness::Strict,
    )
    .unwrap();
    assert_eq!(decoded.object["data"], json!({"a": "1"}));
}

#[test]
fn quantities_and_times_are_written_in_one_form() {
    let schema = kinds::builtin();
    let pod = Gvk {
        kind: "Pod".to_owned(),
        ..config_map()
    };
    let body = br#"{"metadata":{"creationTimestamp":"2026-01-01T01:00:00+01:00"},
        "spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":0.5,"memory":"1024Mi"}}}]}}"#;
    let object = decode(&schema, &pod, body, Format::Json, Strictness::Strict)
        .unwrap()
        .object;
    assert_eq!(
        object["metadata"]["creationTimestamp"],
        "2026-01-01T00:00:00Z"
    );
    let limits = &object["spec"]["containers"][0]["resources"]["limits"];
    assert_eq!(*limits, json!({"cpu": "500m", "memory": "1Gi"}));
}

#[test]
fn many_unknown_fields_cost_little() {
    let fields: Vec<String> = (0..100_000).map(|at| format!("\"f{at}\":0")).collect();
    let body = format!("{{{}}}", fields.join(","));
    let refused = decode(
        &kinds::builtin(),
        &config_map(),
        body.as_bytes(),
        Format::Json,
        Strictness::Strict,
    );
    assert!(refused.unwrap_err().message.len() < 10_000);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..64), yaml: bool) {
        let format = if yaml { Format::Yaml } else { Format::Json };
        if let Err(status) = decode(&kinds::builtin(), &config_map(), &body, format, Strictness::Strict) {
            prop_assert_eq!(status.code, 400);
        }
    }
}
