//! Objects and the rows that a Kubernetes 1.34 API server made of them.

use super::*;
use crate::kinds;

#[test]
fn cells_are_those_recorded() {
    let schema = kinds::builtin();
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../tests/vectors/tables.json")).unwrap();
    let mut different = Vec::new();
    for vector in &vectors {
        let mut resources = schema.resources.iter();
        let resource = resources
            .find(|resource| {
                resource.plural == vector["resource"]
                    && resource.gvk.group == vector["group"]
                    && resource.gvk.version == vector["version"]
            })
            .unwrap();
        let now = text(&vector["now"]).parse().unwrap();
        for recorded in items(&vector["rows"]) {
            let made = row(resource, &recorded["object"], Include::Object, now);
            // The clock of the recorder may be a second off.
            let close = row(
                resource,
                &recorded["object"],
                Include::Object,
                now - std::time::Duration::from_secs(1),
            );
            if made["cells"] != recorded["cells"] && close["cells"] != recorded["cells"]
                || made["conditions"] != recorded["conditions"]
            {
                different.push(format!(
                    "{} recorded {} got {}",
                    resource.plural, recorded["cells"], made["cells"]
                ));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn a_table_has_its_columns_and_as_much_of_the_objects_as_was_asked() {
    let schema = kinds::builtin();
    let resource = schema
        .resources
        .iter()
        .find(|resource| resource.plural == "configmaps")
        .unwrap();
    let object = json!({"metadata": {"name": "c"}, "data": {"a": "b"}});
    let now = Timestamp::UNIX_EPOCH;
    let table = table(
        resource,
        [&object],
        &json!({"resourceVersion": "1"}),
        "v1",
        Include::Metadata,
        now,
    );
    assert_eq!(table["columnDefinitions"][0]["format"], "name");
    assert_eq!(table["rows"][0]["cells"], json!(["c", 1, "<unknown>"]));
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert!(
        row(resource, &object, Include::None, now)
            .get("object")
            .is_none()
    );
    assert_eq!(Include::parse("Everything"), None);
}

#[test]
fn every_kind_has_a_row_whatever_it_looks_like() {
    let schema = kinds::builtin();
    for resource in &schema.resources {
        for object in [json!({}), json!({"metadata": 1, "spec": [], "status": "x"})] {
            let made = row(resource, &object, Include::None, Timestamp::UNIX_EPOCH);
            assert_eq!(
                made["cells"].as_array().unwrap().len(),
                resource.columns.len()
            );
        }
    }
}
