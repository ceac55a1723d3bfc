//! Custom resources: a `CustomResourceDefinition` read into the same [`Schema`] that built-in kinds have, and what their own schema asks of
//! objects: fields that are dropped, defaults, and rules.
//!
//! One version is served. Rules in CEL (`x-kubernetes-validations`) are not evaluated, which whoever defines them is warned of.

mod defaults;
mod format;
mod lifecycle;
mod prune;
mod refuse;
mod scale;
mod structural;
mod translate;
mod validate;

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::decode::{self, Checked, Decoded, Format, Strictness};
use crate::schema::{Gvk, Resource, Schema};
use crate::status::{Cause, Status};
use structural::Node;

pub use lifecycle::{CLEANUP, conclude, end, is_established};
pub use refuse::refuse;
pub use scale::Scale;

/// A kind that somebody defined.
#[derive(Debug)]
pub struct Definition {
    schema: Arc<Schema>,
    gvk: Gvk,
    root: Node,
    scale: Option<Scale>,
    warnings: Vec<String>,
    revision: u64,
}

impl Definition {
    /// Reads a definition that [`refuse()`] has nothing against; `None` when it serves nothing.
    pub fn read(definition: &Value) -> Option<Self> {
        let version = structural::served(definition)?;
        let root = Node::read(&version["schema"]["openAPIV3Schema"]);
        let schema = translate::schema(definition, version, &root);
        let gvk = schema.resources.first()?.gvk.clone();
        let mut warnings = Vec::new();
        if root.has_rules() {
            warnings.push("x-kubernetes-validations are not evaluated by this server".to_owned());
        }
        Some(Self {
            schema: Arc::new(schema),
            gvk,
            root,
            scale: Scale::read(&version["subresources"]["scale"]),
            warnings,
            revision: (definition["metadata"]["resourceVersion"].as_str())
                .and_then(|revision| revision.parse().ok())
                .unwrap_or_default(),
        })
    }

    /// The revision of the object that it was read from.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The facts about the kind: one resource, and its types.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The resource.
    pub fn resource(&self) -> &Resource {
        &self.schema.resources[0]
    }

    /// Where its objects say how many there are, if that can be asked.
    pub fn scale(&self) -> Option<&Scale> {
        self.scale.as_ref()
    }

    /// What whoever defines the kind should know.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Decodes a body.
    pub fn decode(
        &self,
        body: &[u8],
        format: Format,
        strictness: Strictness,
    ) -> Result<Decoded, Status> {
        let (value, found, doubled) = decode::untyped(&self.gvk, body, format)?;
        let handled = |why: &str| {
            Status::bad_request(format!(
                "{} in version \"{}\" cannot be handled as a {}: {why}",
                found.kind, found.version, self.gvk.kind
            ))
        };
        if (&found.group, &found.version) != (&self.gvk.group, &self.gvk.version) {
            return Err(Status::bad_request(format!(
                "the API version in the data ({}) does not match the expected API version ({})",
                decode::api_version(&found),
                decode::api_version(&self.gvk)
            )));
        }
        let checked = self.check(value).map_err(|why| handled(&why))?;
        let strict = [doubled, checked.strict].concat();
        if strictness == Strictness::Strict && !strict.is_empty() {
            return Err(handled(&format!(
                "strict decoding error: {}",
                strict.join(", ")
            )));
        }
        let object = match checked.value {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        Ok(Decoded {
            object,
            warnings: if strictness == Strictness::Warn {
                strict
            } else {
                Vec::new()
            },
        })
    }

    /// A value without the fields that nobody declared, and their names. The error is upstream's about a mistyped field of `metadata`.
    pub fn check(&self, mut value: Value) -> Result<Checked, String> {
        let strict = prune::prune(&self.root, &mut value)?;
        Ok(Checked { value, strict })
    }

    /// Fills in the defaults.
    pub fn complete(&self, object: &mut Map<String, Value>) {
        defaults::fill(&self.root, object);
    }

    /// An object that was stored before, as this definition has it: without fields that are gone, with new defaults.
    pub fn renew(&self, mut object: Value) -> Value {
        // What an older definition let in may be mistyped in this one's eyes, and is shown all the same.
        if prune::prune(&self.root, &mut object).is_ok()
            && let Some(fields) = object.as_object_mut()
        {
            self.complete(fields);
        }
        object
    }

    /// What is wrong with an object.
    pub fn validate(&self, object: &Value) -> Vec<Cause> {
        let mut causes = validate::validate(&self.root, object, &self.gvk.kind);
        if let Some(scale) = &self.scale {
            causes.extend(scale.complaint(object));
        }
        causes
    }
}

#[cfg(test)]
mod tests;
