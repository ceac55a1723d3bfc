//! Strategic merge, JSON and merge patches, and the bodies that `kubectl apply` really sends.

use super::vectors::{self, disagreement};
use mwctl_apiserver::kinds;
use mwctl_apiserver::patch::{self, PatchKind};
use mwctl_apiserver::schema::{Gvk, StructId};
use serde_json::{Value, json};

fn deployment() -> StructId {
    let gvk = Gvk {
        group: "apps".to_owned(),
        version: "v1".to_owned(),
        kind: "Deployment".to_owned(),
    };
    kinds::builtin().kind(&gvk).unwrap()
}

#[test]
fn every_recorded_patch_has_the_recorded_result() {
    let schema = kinds::builtin();
    let mut judged = 0;
    for scenario in vectors::read(include_str!("../vectors/smp.json")) {
        let mut live = Value::Null;
        for step in &scenario.steps {
            let kind = match step.content_type.as_deref() {
                Some("application/strategic-merge-patch+json") => Some(PatchKind::StrategicMerge),
                Some("application/merge-patch+json") => Some(PatchKind::Merge),
                Some("application/json-patch+json") => Some(PatchKind::Json),
                _ => None,
            };
            if let Some(kind) = kind {
                let structure = (live["kind"] == "Deployment").then(deployment);
                let ours = patch::apply(kind, &schema, structure, &live, &step.body);
                let name = format!("{}: {}", scenario.name, step.body);
                // A field that is unknown is refused or told about after the patch, by the decoder.
                let decoders = step.response["message"]
                    .as_str()
                    .is_some_and(|text| text.contains("strict decoding"));
                match ours {
                    Ok(mut ours) if !decoders => {
                        assert_eq!(step.status, 200, "{name}");
                        let mut answered = step.response.clone();
                        for object in [&mut ours, &mut answered] {
                            for name in ["managedFields", "resourceVersion", "generation"] {
                                object["metadata"]
                                    .as_object_mut()
                                    .unwrap()
                                    .shift_remove(name);
                            }
                            for unknown in ["nope", "$foo"] {
                                object["spec"]
                                    .as_object_mut()
                                    .unwrap()
                                    .shift_remove(unknown);
                            }
                        }
                        assert_eq!(disagreement(&live, &ours, &answered), None, "{name}");
                    }
                    Ok(_) => {}
                    Err(refusal) => assert_eq!(refusal.to_value(), step.response, "{name}"),
                }
                judged += 1;
            }
            if step.answers_object() {
                live = step.response.clone();
            }
        }
    }
    assert_eq!(judged, 23);
}

#[test]
fn the_bodies_of_kubectl_apply_lead_from_one_manifest_to_the_next() {
    let recording: Value =
        serde_json::from_str(include_str!("../vectors/kubectl-apply-bodies.json")).unwrap();
    let schema = kinds::builtin();
    let manifest = |name: &str| recording["manifests"][name].clone();
    let mut live = manifest("d1");
    for step in recording["patches"].as_array().unwrap() {
        let kind = PatchKind::StrategicMerge;
        live = patch::apply(kind, &schema, Some(deployment()), &live, &step["patch"]).unwrap();
        assert_eq!(live["metadata"]["annotations"], json!({}));
        let mut stored = live.clone();
        stored["metadata"]
            .as_object_mut()
            .unwrap()
            .shift_remove("annotations");
        assert_eq!(stored, manifest(step["to"].as_str().unwrap()));
    }
}
