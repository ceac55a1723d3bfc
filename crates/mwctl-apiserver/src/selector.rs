//! Which objects a request is about: label selectors and field selectors, read and matched.
//!
//! Pure functions on values. Which requests take a selector, and what is done with the objects, is the registry's.

mod fields;
mod labels;

pub use fields::FieldSelector;
pub use labels::LabelSelector;

use crate::schema::Gvk;
use crate::status::Status;
use serde_json::Value;

/// Both selectors of a request; an object must satisfy both.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    /// By label.
    pub labels: LabelSelector,
    /// By field.
    pub fields: FieldSelector,
}

impl Selector {
    /// Reads the parameters `labelSelector` and `fieldSelector` of a request for objects of `kind`.
    pub fn parse(labels: &str, fields: &str, kind: &Gvk) -> Result<Self, Status> {
        Ok(Self {
            labels: LabelSelector::parse(labels).map_err(Status::bad_request)?,
            fields: FieldSelector::parse(fields, kind).map_err(Status::bad_request)?,
        })
    }

    /// Whether every object fits.
    pub fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }

    /// Whether an object fits.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = object
            .pointer("/metadata/labels")
            .and_then(Value::as_object);
        self.labels.matches(labels) && self.fields.matches(object)
    }
}
