//! Policies: what an organisation demands of the variants that it deploys.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Blubber;
use crate::plan::Problem;

/// A policy file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    enforcements: Vec<Enforcement>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
struct Enforcement {
    path: String,
    rule: String,
}

/// A rule that a file breaks.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{path}` breaks the policy: {why}")]
pub struct Violation {
    /// Where.
    pub path: String,
    /// What is demanded.
    pub why: String,
}

/// The rules that are known: each says whether a value keeps it.
fn keeps(rule: &str, value: &Value) -> Option<bool> {
    let text = value.as_str();
    let shown = text.map_or_else(|| value.to_string(), str::to_owned);
    let (name, parameter) = rule.split_once('=').unwrap_or((rule, ""));
    Some(match name {
        "isfalse" => value.as_bool() == Some(false),
        "istrue" => value.as_bool() == Some(true),
        "isset" | "required" => !matches!(value, Value::Null) && text != Some(""),
        "notset" => matches!(value, Value::Null) || text == Some(""),
        "eq" => shown == parameter,
        "ne" => shown != parameter,
        "oneof" => parameter.split_whitespace().any(|one| text == Some(one)),
        _ => return None,
    })
}

impl Policy {
    /// Reads a policy file.
    pub fn read(text: &str) -> Result<Self, Problem> {
        let policy: Self = serde_yaml::from_str(text).map_err(|error| {
            let line = error.location().map_or(1, |place| place.line());
            let message = error.without_snippet().to_string();
            Problem::new(usize::try_from(line).unwrap_or(1), message)
        })?;
        // A rule that nobody checks is worse than none.
        for enforcement in &policy.enforcements {
            for rule in enforcement.rule.split(',') {
                if keeps(rule, &Value::Null).is_none() {
                    let line = text.lines().position(|line| line.contains(rule));
                    let message = format!("unknown rule `{rule}`");
                    return Err(Problem::new(line.unwrap_or(0) + 1, message));
                }
            }
        }
        Ok(policy)
    }

    /// All rules that a file breaks. A path that leads to nothing is skipped.
    pub fn violations(&self, blubber: &Blubber) -> Vec<Violation> {
        let mut expanded = blubber.document.clone();
        let variants: Map<String, Value> = blubber
            .variants()
            .into_iter()
            .filter_map(|name| {
                let variant = blubber.variant(name).ok()?;
                Some((name.to_owned(), Value::Object(variant)))
            })
            .collect();
        expanded.insert("variants".to_owned(), Value::Object(variants));
        let document = Value::Object(expanded);
        let mut violations = Vec::new();
        for Enforcement { path, rule } in &self.enforcements {
            let pointer = format!("/{}", path.replace('.', "/"));
            let Some(value) = document.pointer(&pointer) else {
                continue;
            };
            for rule in rule.split(',') {
                if keeps(rule, value) == Some(false) {
                    violations.push(Violation {
                        path: path.clone(),
                        why: format!("it must be `{rule}`, and is {value}"),
                    });
                }
            }
        }
        violations
    }
}
