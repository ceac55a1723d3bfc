//! What a plan changes in the cluster, line by line, for `mwctl diff`.
//!
//! Of a live object only those fields are compared that the wanted one has: the others are the
//! server's and the controllers'. What a Secret holds is told only to differ.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};
use similar::{ChangeTag, TextDiff};

use super::difference::{key_of, quantity};
use super::{Action, Plan};
use crate::manifest::{APPLIED, HIDDEN, ObjectId};
use crate::observed::Observed;

/// What becomes of one object.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The object.
    pub object: ObjectId,
    /// What is done with it.
    pub kind: ChangeKind,
    /// Why.
    pub reason: String,
    /// Its text, as it is and as it will be; with a few lines around each difference.
    pub lines: Vec<Line>,
}

/// What is done with an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeKind {
    /// It is new.
    Create,
    /// It is changed where it stands.
    Change,
    /// It is deleted and made anew.
    Replace,
    /// It goes.
    Delete,
}

/// A line of an object's text.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "is", content = "text", rename_all = "camelCase")]
pub enum Line {
    /// As it is and stays.
    Same(String),
    /// It will be there.
    Added(String),
    /// It won't be there any more.
    Removed(String),
    /// Lines are left out here.
    Gap,
}

/// How many lines are shown around a difference.
const AROUND: usize = 3;

/// What the plan changes, in the order of its steps.
pub fn changes(plan: &Plan, observed: &Observed) -> Vec<Change> {
    let deleted: BTreeSet<&ObjectId> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Delete { id } => Some(id),
            _ => None,
        })
        .collect();
    let mut changes = Vec::new();
    let mut made = BTreeSet::new();
    for step in &plan.steps {
        if let Action::Apply(object) = &step.action {
            let id = object.id();
            let live = observed.objects.get(&id);
            let kind = match live {
                _ if deleted.contains(&id) => ChangeKind::Replace,
                Some(_) => ChangeKind::Change,
                None => ChangeKind::Create,
            };
            let mut wanted = object.to_value();
            let mut live = live.map_or(Value::Null, |live| shaped("", &wanted, live));
            veil(&mut live, &mut wanted);
            changes.push(Change {
                lines: lines(&text(&live), &text(&wanted)),
                object: id.clone(),
                kind,
                reason: step.reason.clone(),
            });
            made.insert(id);
        }
    }
    for step in &plan.steps {
        if let Action::Delete { id } = &step.action
            && !made.contains(id)
        {
            changes.push(Change {
                object: id.clone(),
                kind: ChangeKind::Delete,
                reason: step.reason.clone(),
                lines: Vec::new(),
            });
        }
    }
    changes
}

/// Of `live` what has the shape of `wanted`; both stand at `path`.
fn shaped(path: &str, wanted: &Value, live: &Value) -> Value {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            let fields = wanted.iter().filter_map(|(key, wanted)| {
                let below = shaped(&format!("{path}.{key}"), wanted, live.get(key)?);
                Some((key.clone(), below))
            });
            Value::Object(fields.collect())
        }
        (Value::Array(wanted), Value::Array(live)) => {
            let Some(key) = wanted.first().and_then(key_of) else {
                return Value::Array(live.clone());
            };
            let items = wanted.iter().filter_map(|wanted| {
                let twin = live.iter().find(|live| live.get(key) == wanted.get(key))?;
                Some(shaped(path, wanted, twin))
            });
            Value::Array(items.collect())
        }
        // `1000m` and `1` are one amount: no difference to show.
        (wanted, live) if quantity::equal(path, wanted, live) => wanted.clone(),
        (_, live) => live.clone(),
    }
}

/// Hides what a Secret holds on both sides, and takes away our own mark.
fn veil(live: &mut Value, wanted: &mut Value) {
    let secret = wanted["kind"] == "Secret";
    let before = live.clone();
    let after = wanted.clone();
    for (object, other, word) in [(live, after, "is"), (wanted, before, "will be")] {
        if let Some(annotations) = object
            .pointer_mut("/metadata/annotations")
            .and_then(Value::as_object_mut)
        {
            annotations.shift_remove(APPLIED);
        }
        let bare = |it: &Value| it.as_object().is_some_and(Map::is_empty);
        if object.pointer("/metadata/annotations").is_some_and(bare)
            && let Some(metadata) = object["metadata"].as_object_mut()
        {
            metadata.shift_remove("annotations");
        }
        for field in ["data", "stringData"] {
            let values = object.get_mut(field).and_then(Value::as_object_mut);
            for (key, value) in values.filter(|_| secret).into_iter().flatten() {
                let same = other[field].get(key) == Some(value);
                *value = Value::String(if same {
                    HIDDEN.to_owned()
                } else {
                    format!("{HIDDEN} (as it {word})")
                });
            }
        }
    }
}

fn text(value: &Value) -> String {
    if value.is_null() {
        return String::new();
    }
    serde_yaml::to_string(value).unwrap_or_else(|_| value.to_string())
}

fn lines(before: &str, after: &str) -> Vec<Line> {
    let diff = TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    for (index, group) in diff.grouped_ops(AROUND).iter().enumerate() {
        if index > 0 {
            lines.push(Line::Gap);
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let text = change.value().trim_end_matches('\n').to_owned();
            lines.push(match change.tag() {
                ChangeTag::Equal => Line::Same(text),
                ChangeTag::Insert => Line::Added(text),
                ChangeTag::Delete => Line::Removed(text),
            });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::Object;
    use crate::plan::Step;

    fn change(live: Value, wanted: Value) -> Change {
        let object = Object::from_value(wanted).unwrap();
        let mut observed = Observed::default();
        observed.objects.insert(object.id(), live);
        let plan = Plan {
            steps: vec![Step {
                id: 0,
                action: Action::Apply(Box::new(object.stamped())),
                service: None,
                reason: "differs".to_owned(),
                after: Vec::new(),
            }],
            ..Plan::default()
        };
        changes(&plan, &observed).remove(0)
    }

    fn shown(change: &Change) -> Vec<String> {
        let lines = change.lines.iter();
        lines
            .filter_map(|line| match line {
                Line::Added(text) => Some(format!("+{}", text.trim())),
                Line::Removed(text) => Some(format!("-{}", text.trim())),
                Line::Same(_) | Line::Gap => None,
            })
            .collect()
    }

    #[test]
    fn only_what_is_wanted_is_compared() {
        let live = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "a", "uid": "1", "annotations": { "mwctl/applied": "old" } },
            "spec": { "paused": false, "replicas": 1, "template": { "spec": { "containers": [
                { "name": "c", "image": "a:1", "resources": { "limits": { "cpu": "1" } } }
            ] } } },
        });
        let wanted = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "a" },
            "spec": { "replicas": 1, "template": { "spec": { "containers": [
                { "name": "c", "image": "a:2", "resources": { "limits": { "cpu": "1000m" } } }
            ] } } },
        });
        let change = change(live, wanted);
        assert_eq!(change.kind, ChangeKind::Change);
        assert_eq!(shown(&change), ["-image: a:1", "+image: a:2"]);
    }

    #[test]
    fn what_a_secret_holds_is_told_only_to_differ() {
        let secret = |one: &str| {
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "a" },
                "data": { "SAME": "c2FtZQ==", "ONE": one },
            })
        };
        let change = change(secret("b2xk"), secret("bmV3"));
        assert_eq!(
            shown(&change),
            ["-ONE: … (as it is)", "+ONE: … (as it will be)"]
        );
        let all = serde_json::to_string(&change).unwrap();
        assert!(!all.contains("bmV3") && !all.contains("b2xk") && !all.contains("c2Ft"));
    }
}
