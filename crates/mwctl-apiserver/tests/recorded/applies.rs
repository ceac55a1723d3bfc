//! Server-side apply, and the ownership that every other write leaves behind.

use super::vectors::{self, Step, disagreement};
use mwctl_apiserver::apply::{self, Kind, Writer};
use mwctl_apiserver::kinds;
use mwctl_apiserver::schema::{Field, Gvk, ListKind, Schema, Shape, Struct, StructId};
use serde_json::{Value, json};
use std::sync::Arc;

/// The custom resource of the recordings (`tests/vectors/README.md`), with as much metadata as they use.
fn custom_schema() -> Schema {
    let of = |shape: Shape| Field {
        shape,
        ..Field::default()
    };
    let list = |item: Shape, kind: ListKind| {
        of(Shape::List {
            item: Box::new(item),
            kind,
        })
    };
    let structure = |fields: Vec<(&str, Field)>| Struct {
        fields: fields
            .into_iter()
            .map(|(name, field)| (name.to_owned(), field))
            .collect(),
        ..Struct::default()
    };
    let root = structure(vec![
        ("apiVersion", of(Shape::String)),
        ("kind", of(Shape::String)),
        ("metadata", of(Shape::Struct(StructId(1)))),
        ("spec", of(Shape::Struct(StructId(2)))),
    ]);
    let metadata = structure(vec![("name", of(Shape::String))]);
    let port = Field {
        default: Some(json!(80)),
        ..of(Shape::Int64)
    };
    let keys = ["host", "port"].map(str::to_owned).to_vec();
    let spec = structure(vec![
        ("mode", of(Shape::String)),
        ("tags", list(Shape::String, ListKind::Set)),
        ("plain", list(Shape::String, ListKind::Atomic)),
        (
            "rules",
            list(Shape::Struct(StructId(3)), ListKind::Map(keys)),
        ),
        ("at", of(Shape::Struct(StructId(4)))),
        ("free", of(Shape::Any)),
    ]);
    let rule = structure(vec![
        ("host", of(Shape::String)),
        ("port", port),
        ("w", of(Shape::Int64)),
    ]);
    let at = Struct {
        atomic: true,
        ..structure(vec![("a", of(Shape::String)), ("b", of(Shape::String))])
    };
    Schema {
        structs: vec![root, metadata, spec, rule, at],
        ..Schema::default()
    }
}

/// The schema and the type of a kind.
fn described(api_version: &str, kind: &str) -> Option<(Arc<Schema>, StructId)> {
    if kind == "Foo" {
        return Some((Arc::new(custom_schema()), StructId(0)));
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let schema = kinds::builtin();
    let id = schema.kind(&Gvk {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
    })?;
    Some((schema, id))
}

/// The object without some of its metadata.
fn without(metadata: &[&str], object: &Value) -> Value {
    let mut object = object.clone();
    for name in metadata {
        object["metadata"]
            .as_object_mut()
            .unwrap()
            .shift_remove(*name);
    }
    object
}

/// Who owns what: entries without their times, in an order of their own.
fn ownership(object: &Value) -> Vec<Value> {
    let mut entries = object["metadata"]["managedFields"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for entry in &mut entries {
        entry.as_object_mut().unwrap().shift_remove("time");
    }
    entries.sort_by_key(|entry| {
        ["operation", "manager", "subresource"].map(|name| entry[name].to_string())
    });
    entries
}

/// Replays one recording; the number of steps judged, and what disagrees.
fn replay(recording: &str) -> (usize, Vec<String>) {
    let mut judged = 0;
    let mut disagreements = Vec::new();
    for scenario in vectors::read(recording) {
        let mut live: Option<Value> = None;
        for (at, step) in scenario.steps.iter().enumerate() {
            let verdict = judge(step, live.as_ref());
            judged += usize::from(verdict != Verdict::NotJudged);
            if let Verdict::Disagrees(why) = verdict {
                disagreements.push(format!("{} step {at}: {why}", scenario.name));
            }
            if step.answers_object() {
                live = Some(step.response.clone());
            }
        }
    }
    (judged, disagreements)
}

/// What there is to say about a step.
#[derive(PartialEq, Eq)]
enum Verdict {
    Agrees,
    Disagrees(String),
    /// It is about other parts of a server.
    NotJudged,
}

impl From<Option<String>> for Verdict {
    fn from(disagreement: Option<String>) -> Self {
        disagreement.map_or(Self::Agrees, Self::Disagrees)
    }
}

fn judge(step: &Step, live: Option<&Value>) -> Verdict {
    let applies = step.is("application/apply-patch+yaml");
    let object = if applies { &step.body } else { &step.response };
    let text = |name: &str| object[name].as_str().unwrap_or_default();
    let manager = step.query("fieldManager");
    let writer = Writer {
        manager: manager.unwrap_or(if applies { "" } else { "Python-urllib" }),
        subresource: step.subresource(),
        now: "<time>",
    };
    let described = described(text("apiVersion"), text("kind"));
    let (schema, structure) = match &described {
        Some((schema, structure)) => (Arc::clone(schema), Some(*structure)),
        None if applies => (kinds::builtin(), None),
        None => return Verdict::NotJudged,
    };
    let kind = Kind {
        schema: &schema,
        structure,
        status_apart: text("kind") == "Deployment",
    };
    if applies {
        return judge_apply(step, kind, writer, live);
    }
    if !step.answers_object() || !["POST", "PUT", "PATCH"].contains(&step.method.as_str()) {
        return Verdict::NotJudged;
    }
    let mut new = without(&["managedFields"], &step.response);
    if let Some(wanted) = step.body["metadata"].get("managedFields") {
        new["metadata"]["managedFields"] = wanted.clone();
    }
    let tracked = apply::track_update(kind, writer, live, new);
    compare_ownership(&tracked, &step.response).into()
}

fn judge_apply(step: &Step, kind: Kind<'_>, writer: Writer<'_>, live: Option<&Value>) -> Verdict {
    let force = step.query("force") == Some("true");
    match apply::apply(kind, writer, live, &step.body, force) {
        Err(refusal) => {
            let told = refusal.to_value();
            (told != step.response)
                .then(|| format!("refused with {told}"))
                .into()
        }
        Ok(applied) if step.answers_object() => {
            // Revision and generation are counted by whoever stores the object.
            let counted = ["managedFields", "resourceVersion", "generation"];
            let before = live.map_or_else(|| json!({}), |live| without(&counted, live));
            let values = disagreement(
                &before,
                &without(&counted, &applied),
                &without(&counted, &step.response),
            );
            values
                .or_else(|| compare_ownership(&applied, &step.response))
                .into()
        }
        // Names, uids and revisions are compared by whoever stores the object.
        Ok(applied) => {
            let stored = |name: &str| live.map(|live| &live["metadata"][name]);
            let renamed = applied["metadata"]["name"] == "other";
            let stale = stored("resourceVersion")
                .is_some_and(|known| *known != applied["metadata"]["resourceVersion"]);
            let foreign = stored("uid").is_some_and(|known| *known != applied["metadata"]["uid"]);
            if renamed || stale || foreign {
                Verdict::NotJudged
            } else {
                Verdict::Disagrees("was not refused".to_owned())
            }
        }
    }
}

fn compare_ownership(ours: &Value, answered: &Value) -> Option<String> {
    let (ours, answered) = (ownership(ours), ownership(answered));
    (ours != answered).then(|| format!("owned {}, not {}", json!(ours), json!(answered)))
}

#[test]
fn every_recorded_apply_agrees_with_the_real_server() {
    let (judged, disagreements) = replay(include_str!("../vectors/ssa.json"));
    assert_eq!(disagreements, Vec::<String>::new());
    assert_eq!(judged, 78);
}

#[test]
fn every_recorded_write_leaves_the_recorded_ownership() {
    let (judged, disagreements) = replay(include_str!("../vectors/smp.json"));
    assert_eq!(disagreements, Vec::<String>::new());
    assert_eq!(judged, 32);
}
