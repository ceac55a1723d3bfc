//! The parameters of a request (`?limit=5&labelSelector=a`), and the options that they make.

use crate::decode::Strictness;
use crate::registry::{ListOptions, WriteOptions};
use crate::schema::Gvk;
use crate::selector::Selector;
use crate::status::{Cause, Status};
use serde_json::{Value, json};

/// All parameters, decoded, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads the part of an address behind the question mark.
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// The first value of a parameter; empty without one.
    pub(crate) fn get(&self, name: &str) -> &str {
        let value = self.0.iter().find(|(key, _)| key == name);
        value.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// Every value of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = move |(key, _): &&(String, String)| key == name;
        self.0.iter().filter(named).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter says yes; upstream takes any value but `false` and `0` for one.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.optional_flag(name) == Some(true)
    }

    fn optional_flag(&self, name: &str) -> Option<bool> {
        let value = self.all(name).next()?;
        Some(!matches!(value.to_lowercase().as_str(), "false" | "0"))
    }

    /// A number, if there is one.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Status> {
        match self.get(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Status::bad_request(format!(
                    "strconv.ParseInt: parsing \"{text}\": invalid syntax"
                ))
            }),
        }
    }

    /// The options of a list or a watch of this kind.
    pub(crate) fn list_options(&self, kind: &Gvk) -> Result<ListOptions, Status> {
        let limit = self.number("limit")?.unwrap_or_default();
        Ok(ListOptions {
            selector: Selector::parse(self.get("labelSelector"), self.get("fieldSelector"), kind)?,
            limit: usize::try_from(limit).unwrap_or_default(),
            continue_token: self.get("continue").to_owned(),
            resource_version: self.get("resourceVersion").to_owned(),
            resource_version_match: self.get("resourceVersionMatch").to_owned(),
            send_initial_events: self.optional_flag("sendInitialEvents"),
        })
    }

    /// After how many seconds a watch ends, if the client says so.
    pub(crate) fn timeout(&self) -> Result<Option<u64>, Status> {
        let seconds = self.number("timeoutSeconds")?;
        Ok(seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .filter(|seconds| *seconds > 0))
    }

    /// The options of a write; `options` is their kind, such as `CreateOptions`. A client that doesn't say who it is goes by its program.
    pub(crate) fn write_options(&self, options: &str, agent: &str) -> Result<WriteOptions, Status> {
        let refused = |field: &str, value: &str, known: &str| {
            let cause = Cause {
                reason: "FieldValueNotSupported",
                message: format!("Unsupported value: \"{value}\": supported values: {known}"),
                field: field.to_owned(),
            };
            Status::invalid("meta.k8s.io", options, "", vec![cause])
        };
        if let Some(other) = self.all("dryRun").find(|value| *value != "All") {
            return Err(refused("dryRun", other, "\"All\""));
        }
        let strictness = match self.get("fieldValidation") {
            "" | "Warn" => Strictness::Warn,
            "Ignore" => Strictness::Ignore,
            "Strict" => Strictness::Strict,
            other => {
                return Err(refused(
                    "fieldValidation",
                    other,
                    "\"\", \"Ignore\", \"Strict\", \"Warn\"",
                ));
            }
        };
        let manager = match self.get("fieldManager") {
            "" => agent.split('/').next().unwrap_or_default(),
            named => named,
        };
        Ok(WriteOptions {
            manager: manager.to_owned(),
            dry_run: self.all("dryRun").next().is_some(),
            strictness,
            user: None,
        })
    }

    /// Writes the parameters of a deletion into the body that says the rest.
    pub(crate) fn complete_delete_options(&self, body: &mut Value) -> Result<(), Status> {
        if let Some(seconds) = self.number("gracePeriodSeconds")? {
            body["gracePeriodSeconds"] = json!(seconds);
        }
        if !self.get("propagationPolicy").is_empty() {
            body["propagationPolicy"] = json!(self.get("propagationPolicy"));
        }
        if let Some(orphan) = self.optional_flag("orphanDependents") {
            body["orphanDependents"] = json!(orphan);
        }
        let dry: Vec<&str> = self.all("dryRun").collect();
        if !dry.is_empty() {
            body["dryRun"] = json!(dry);
        }
        Ok(())
    }
}
