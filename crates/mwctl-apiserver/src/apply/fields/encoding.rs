//! `fieldsV1`: a set of fields as JSON. `{}` is a member below which nothing is; a member with something below says so with `"."`.

use super::FieldSet;
use serde_json::{Map, Value};

const HERE: &str = ".";
const FIELD: &str = "f:";
const ITEMS: [&str; 3] = ["k:", "v:", "i:"];

impl FieldSet {
    /// The set as `fieldsV1`.
    pub fn encode(&self) -> Value {
        let mut object = Map::with_capacity(self.fields.len() + self.items.len() + 1);
        if self.member && !self.is_leaf() {
            object.insert(HERE.to_owned(), Value::Object(Map::new()));
        }
        for (name, below) in &self.fields {
            object.insert(format!("{FIELD}{name}"), below.encode());
        }
        for (name, below) in &self.items {
            object.insert(name.clone(), below.encode());
        }
        Value::Object(object)
    }

    /// The set that `fieldsV1` describes; none if it is something else.
    pub fn decode(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let mut set = Self::default();
        for (name, below) in object {
            if name == HERE {
                set.own();
                continue;
            }
            let mut child = Self::decode(below)?;
            if child.is_empty() {
                child.own();
            }
            if let Some(name) = name.strip_prefix(FIELD) {
                set.add_field(name, child);
            } else if ITEMS.iter().any(|prefix| name.starts_with(prefix)) {
                set.add_item(name.clone(), child);
            } else {
                return None;
            }
        }
        Some(set)
    }
}
