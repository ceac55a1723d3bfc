//! Reading the recordings, and comparing what we computed with what was answered.

use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

/// Requests that build upon each other.
#[derive(Deserialize)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
}

/// One request and its answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Step {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) content_type: Option<String>,
    #[serde(default)]
    pub(crate) body: Value,
    pub(crate) status: u16,
    pub(crate) response: Value,
}

#[derive(Deserialize)]
struct Recording {
    vectors: Vec<Scenario>,
}

/// Reads a recording.
pub(crate) fn read(json: &str) -> Vec<Scenario> {
    let recording: Recording = serde_json::from_str(json).unwrap();
    recording.vectors
}

impl Step {
    /// Whether the answer is the object itself.
    pub(crate) fn answers_object(&self) -> bool {
        self.status < 300 && !matches!(self.response["kind"].as_str(), Some("Status" | "Scale"))
    }

    /// A parameter of the query.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.path.split_once('?')?;
        let parameters: HashMap<&str, &str> = query
            .split('&')
            .filter_map(|one| one.split_once('='))
            .collect();
        parameters.get(name).copied()
    }

    /// The subresource that is written.
    pub(crate) fn subresource(&self) -> &str {
        let path = self.path.split('?').next().unwrap_or_default();
        ["status", "scale"]
            .into_iter()
            .find(|name| path.ends_with(&format!("/{name}")))
            .unwrap_or("")
    }

    /// Whether the body is of this media type.
    pub(crate) fn is(&self, media_type: &str) -> bool {
        self.content_type.as_deref() == Some(media_type)
    }
}

/// What `answered` lacks of `computed`, or has although it was removed from `live`; the path of the first such place.
pub(crate) fn disagreement(live: &Value, computed: &Value, answered: &Value) -> Option<String> {
    match (computed, answered) {
        (Value::Object(computed), Value::Object(answered)) => {
            let lacking = computed.iter().find_map(|(name, value)| {
                let found = answered.get(name).unwrap_or(&Value::Null);
                let below = disagreement(live.get(name).unwrap_or(&Value::Null), value, found)?;
                Some(format!(".{name}{below}"))
            });
            // A default may have come instead of what was removed.
            let kept = answered.iter().find(|(name, value)| {
                !computed.contains_key(*name) && live.get(*name) == Some(*value)
            });
            lacking.or_else(|| kept.map(|(name, _)| format!(".{name} was to be removed")))
        }
        (Value::Array(computed), Value::Array(answered)) if computed.len() == answered.len() => {
            let mut pairs = computed.iter().zip(answered).enumerate();
            // Where an item came from is not known here, so that of its fields only the computed ones are judged.
            pairs.find_map(|(at, (computed, answered))| {
                let below = disagreement(&Value::Null, computed, answered)?;
                Some(format!("[{at}]{below}"))
            })
        }
        // What is empty is not stored, and null is the empty string where it is the value of a map.
        (Value::Object(computed), Value::Null) if computed.is_empty() => None,
        (Value::Array(computed), Value::Null) if computed.is_empty() => None,
        (Value::Null, Value::String(text)) if text.is_empty() => None,
        (computed, answered) if computed == answered => None,
        (computed, answered) => Some(format!(": computed {computed}, answered {answered}")),
    }
}
