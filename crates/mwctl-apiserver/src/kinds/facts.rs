//! The table of kinds as it is stored: names instead of numbers, nothing that goes without saying. The generator writes these types and
//! [`crate::kinds`] reads them; whoever wants to know something about a kind asks the [`Schema`].

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ReadKinds, shape};
use crate::schema::{Field, Gvk, PatchStrategy, Resource, Schema, Struct, StructId};

/// Everything in the table.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Facts {
    /// The version of Kubernetes asked, such as `v1.34.10`.
    pub version: String,
    /// Every type by its name in `OpenAPI`.
    pub types: BTreeMap<String, TypeFacts>,
    /// Every resource, in the order of discovery.
    pub resources: Vec<Resource>,
}

/// A type with named fields.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct TypeFacts {
    /// The kinds that have this type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<Gvk>,
    /// Owned as a whole.
    #[serde(default, skip_serializing_if = "is_default")]
    pub atomic: bool,
    /// The fields by their JSON name.
    pub fields: BTreeMap<String, FieldFacts>,
}

/// A named field; see [`Field`] for the meanings.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the field, and none excludes another"
)]
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldFacts {
    /// The shape: a word, `+Type`, `[item]` (`[item]=` a set, `[item]=a,b` keyed), `{value}` (`{value}!` atomic).
    #[serde(rename = "is")]
    pub shape: String,
    /// See [`Field::number`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub number: u32,
    /// See [`Field::inside`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub inside: u32,
    /// See [`Field::required`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub required: bool,
    /// See [`Field::granular`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub granular: bool,
    /// See [`Field::default`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub default: Option<Value>,
    /// See [`Field::values`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub values: Vec<String>,
    /// See [`Field::pointer`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub pointer: bool,
    /// See [`Field::written`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub written: bool,
    /// See [`Field::go`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub go: Option<String>,
    /// The patch strategies, such as `merge`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub patch: Vec<String>,
    /// See [`PatchStrategy::merge_key`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub merge_key: Option<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Facts {
    /// The same with types by number.
    pub fn into_schema(self) -> Result<Schema, ReadKinds> {
        let ids: HashMap<String, StructId> = (0..)
            .map(StructId)
            .zip(self.types.keys())
            .map(|(id, name)| (name.clone(), id))
            .collect();
        let mut schema = Schema {
            version: self.version,
            structs: Vec::with_capacity(self.types.len()),
            kinds: HashMap::new(),
            resources: self.resources,
        };
        for (name, facts) in self.types {
            let id = StructId(schema.structs.len() as u32);
            schema
                .kinds
                .extend(facts.kinds.into_iter().map(|gvk| (gvk, id)));
            let mut fields = BTreeMap::new();
            for (field, facts) in facts.fields {
                let Some(read) = facts.read(&ids) else {
                    return Err(ReadKinds::Shape {
                        structure: name,
                        field,
                        shape: facts.shape,
                    });
                };
                fields.insert(field, read);
            }
            schema.structs.push(Struct {
                name,
                fields,
                open: false,
                atomic: facts.atomic,
                told: None,
            });
        }
        Ok(schema)
    }
}

impl FieldFacts {
    fn read(&self, ids: &HashMap<String, StructId>) -> Option<Field> {
        Some(Field {
            shape: shape::parse(&self.shape, ids)?,
            required: self.required,
            default: self.default.clone(),
            values: self.values.clone(),
            granular: self.granular,
            pointer: self.pointer,
            written: self.written,
            go: self.go.clone(),
            patch: PatchStrategy {
                merge: self.patch.iter().any(|strategy| strategy == "merge"),
                retain_keys: self.patch.iter().any(|strategy| strategy == "retainKeys"),
                merge_key: self.merge_key.clone(),
            },
            number: self.number,
            inside: self.inside,
        })
    }
}
