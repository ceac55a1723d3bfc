//! One rule of a role: what it allows, and which other rules it includes.

use super::{Attributes, Resource, Target};
use serde_json::{Map, Value, json};

const ALL: &str = "*";

/// What a role grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) verbs: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) resources: Vec<String>,
    /// Empty for all.
    pub(super) names: Vec<String>,
    /// Paths that are no resources.
    pub(super) paths: Vec<String>,
}

impl Rule {
    /// Reads a rule of a role.
    pub(super) fn read(value: &Value) -> Self {
        Self {
            verbs: texts(value, "verbs"),
            groups: texts(value, "apiGroups"),
            resources: texts(value, "resources"),
            names: texts(value, "resourceNames"),
            paths: texts(value, "nonResourceURLs"),
        }
    }

    /// The rules of a role.
    pub(super) fn of_role(role: &Value) -> Vec<Self> {
        let rules = role.get("rules").and_then(Value::as_array);
        rules.into_iter().flatten().map(Self::read).collect()
    }

    /// Whether the rule allows what is asked.
    pub(super) fn allows(&self, attributes: &Attributes<'_>) -> bool {
        has(&self.verbs, attributes.verb)
            && match attributes.target {
                Target::Resource(resource) => self.allows_resource(&resource),
                Target::Path(path) => self.allows_path(path),
            }
    }

    fn allows_resource(&self, asked: &Resource<'_>) -> bool {
        has(&self.groups, asked.group)
            && self.has_resource(asked.resource, asked.subresource)
            && (self.names.is_empty() || self.names.iter().any(|name| name == asked.name))
    }

    fn allows_path(&self, path: &str) -> bool {
        self.paths
            .iter()
            .any(|allowed| match allowed.strip_suffix('*') {
                Some(prefix) => path.starts_with(prefix),
                None => allowed == path,
            })
    }

    /// `*` is every resource and subresource, `*/scale` that of every resource.
    fn has_resource(&self, resource: &str, subresource: &str) -> bool {
        self.resources.iter().any(|allowed| {
            allowed == ALL
                || match allowed.split_once('/') {
                    None => subresource.is_empty() && allowed == resource,
                    Some((of, part)) => part == subresource && (of == ALL || of == resource),
                }
        })
    }

    /// Whether the rule grants everything that `part`, a rule with one of each, grants.
    pub(super) fn includes(&self, part: &Self) -> bool {
        let every = |mine: &[String], theirs: &[String]| theirs.iter().all(|one| has(mine, one));
        if !every(&self.verbs, &part.verbs) {
            return false;
        }
        if !part.paths.is_empty() {
            return part.paths.iter().all(|path| self.allows_path(path));
        }
        let resources = part.resources.iter().all(|resource| {
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            self.has_resource(resource, subresource)
        });
        let names = self.names.is_empty()
            || !part.names.is_empty() && part.names.iter().all(|name| self.names.contains(name));
        resources && names && every(&self.groups, &part.groups)
    }

    /// The rule as rules with one of each.
    pub(super) fn parts(&self) -> Vec<Self> {
        let one = |text: &String| vec![text.clone()];
        let mut parts = Vec::new();
        for verb in &self.verbs {
            for path in &self.paths {
                parts.push(Self {
                    verbs: one(verb),
                    paths: one(path),
                    ..Self::default()
                });
            }
            for group in &self.groups {
                for resource in &self.resources {
                    let part = Self {
                        verbs: one(verb),
                        groups: one(group),
                        resources: one(resource),
                        ..Self::default()
                    };
                    if self.names.is_empty() {
                        parts.push(part);
                        continue;
                    }
                    parts.extend(self.names.iter().map(|name| Self {
                        names: one(name),
                        ..part.clone()
                    }));
                }
            }
        }
        parts
    }

    /// The rule in a review of what somebody may do.
    pub(super) fn write(&self) -> Value {
        let fields = [
            ("verbs", &self.verbs),
            ("apiGroups", &self.groups),
            ("resources", &self.resources),
            ("resourceNames", &self.names),
            ("nonResourceURLs", &self.paths),
        ];
        let told = fields.into_iter().filter(|(_, texts)| !texts.is_empty());
        Value::Object(
            told.map(|(name, texts)| (name.to_owned(), json!(texts)))
                .collect::<Map<_, _>>(),
        )
    }

    /// The rule as refusals quote it: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`.
    pub(super) fn quoted(&self) -> String {
        let fields = [
            ("APIGroups", &self.groups),
            ("Resources", &self.resources),
            ("ResourceNames", &self.names),
            ("NonResourceURLs", &self.paths),
            ("Verbs", &self.verbs),
        ];
        let told = fields.into_iter().filter(|(_, texts)| !texts.is_empty());
        let told: Vec<String> = told
            .map(|(name, texts)| format!("{name}:{}", quoted(texts)))
            .collect();
        format!("{{{}}}", told.join(", "))
    }
}

/// Texts as Go quotes a slice: `["get" "list"]`.
pub(super) fn quoted(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", texts.join(" "))
}

fn has(allowed: &[String], asked: &str) -> bool {
    allowed.iter().any(|one| one == ALL || one == asked)
}

fn texts(value: &Value, field: &str) -> Vec<String> {
    let texts = value
        .get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    texts.filter_map(Value::as_str).map(str::to_owned).collect()
}
