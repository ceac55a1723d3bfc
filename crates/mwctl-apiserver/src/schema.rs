//! Facts about kinds: the shape of every field, what lists are keyed by, which resources there are.
//!
//! The facts are data: a table made from a live API server, or a custom resource's own schema, in the same form. What is done with them
//! (decoding, patches, ownership) is elsewhere and sees only these types.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// A group, a version and a kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gvk {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version, such as `v1`.
    pub version: String,
    /// The kind, such as `Pod`.
    pub kind: String,
}

/// Where a [`Struct`] stands in its [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StructId(pub u32);

/// All facts: types by number, types by kind, resources.
#[derive(Debug, Default)]
pub struct Schema {
    /// The version of Kubernetes that the facts are those of; empty for custom resources.
    pub version: String,
    /// Every type with named fields; a [`StructId`] is an index.
    pub structs: Vec<Struct>,
    /// The type of each kind.
    pub kinds: HashMap<Gvk, StructId>,
    /// Every resource, in the order of discovery.
    pub resources: Vec<Resource>,
}

/// A type with named fields.
#[derive(Debug, Default)]
pub struct Struct {
    /// The name in `OpenAPI`, such as `io.k8s.api.core.v1.Container`.
    pub name: String,
    /// The fields by their JSON name.
    pub fields: BTreeMap<String, Field>,
    /// Fields that no one declared are legal and kept (`x-kubernetes-preserve-unknown-fields`).
    pub open: bool,
    /// Owned as a whole (`x-kubernetes-map-type: atomic`).
    pub atomic: bool,
    /// The schema in the words of whoever defined it, for documents; none for built-in types.
    pub told: Option<Value>,
}

/// A named field.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the field, and none excludes another"
)]
#[derive(Debug, Clone, Default)]
pub struct Field {
    /// What the value looks like.
    pub shape: Shape,
    /// Must be present.
    pub required: bool,
    /// The value of an absent field (`OpenAPI` `default`); `{}` marks a struct that is always there.
    pub default: Option<Value>,
    /// The only legal strings, where they are known (`enum`).
    pub values: Vec<String>,
    /// Owned field by field, although its type is atomic elsewhere (`x-kubernetes-map-type: granular` beside a reference).
    pub granular: bool,
    /// An optional scalar whose zero (`""`, `0`, `false`) is a value and stays; elsewhere a zero is the same as nothing.
    pub pointer: bool,
    /// Written even when it is empty or zero, although nobody must give it.
    pub written: bool,
    /// How Go calls the type in messages, where the shape doesn't tell (`v1.PullPolicy`).
    pub go: Option<String>,
    /// How a strategic merge patch treats it (`x-kubernetes-patch-strategy`, `x-kubernetes-patch-merge-key`).
    pub patch: PatchStrategy,
    /// The field's number in protobuf, 0 where it isn't known.
    pub number: u32,
    /// The number of the protobuf message around this field, where Go embeds a struct that JSON doesn't show; 0 elsewhere.
    pub inside: u32,
}

/// The shape of a value.
#[derive(Debug, Clone, Default)]
pub enum Shape {
    /// Anything at all: `RawExtension`, JSON, a free-form object.
    #[default]
    Any,
    /// A string.
    String,
    /// Bytes, as base64 in JSON.
    Bytes,
    /// An integer of 32 bits.
    Int32,
    /// An integer of 64 bits.
    Int64,
    /// A floating point number.
    Float,
    /// `true` or `false`.
    Bool,
    /// An integer or a string.
    IntOrString,
    /// A quantity such as `100m`; JSON numbers are legal too.
    Quantity,
    /// A time of RFC 3339 to the second.
    Time,
    /// A time of RFC 3339 to the microsecond.
    MicroTime,
    /// A type with named fields.
    Struct(StructId),
    /// A map from any string.
    Map {
        /// The shape of the values.
        value: Box<Shape>,
        /// Owned as a whole.
        atomic: bool,
    },
    /// A list.
    List {
        /// The shape of the items.
        item: Box<Shape>,
        /// What an item is known by.
        kind: ListKind,
    },
}

/// What an item of a list is known by, for server-side apply (`x-kubernetes-list-type`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ListKind {
    /// The list is one value.
    #[default]
    Atomic,
    /// Items are known by their value.
    Set,
    /// Items are known by these fields.
    Map(Vec<String>),
}

/// How a strategic merge patch treats a field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatchStrategy {
    /// `patchStrategy` has `merge`: lists merge instead of being replaced.
    pub merge: bool,
    /// `patchStrategy` has `retainKeys`.
    pub retain_keys: bool,
    /// `patchMergeKey`: the field that items of a merged list are known by; absent for lists of scalars.
    pub merge_key: Option<String>,
}

/// One resource, as discovery describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Group, version and kind of its objects.
    pub gvk: Gvk,
    /// The plural in paths, such as `deployments`.
    pub plural: String,
    /// The singular.
    pub singular: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Short names, such as `deploy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub short_names: Vec<String>,
    /// Categories, such as `all`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// What can be asked.
    pub verbs: Vec<String>,
    /// `status`, `scale`, `log` …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subresources: Vec<Subresource>,
    /// The columns of a table; none for what cannot be listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Column>,
}

/// A path below an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subresource {
    /// The last part of the path.
    pub name: String,
    /// What is read and written there.
    pub gvk: Gvk,
    /// What can be asked.
    pub verbs: Vec<String>,
}

/// A column of a table (`TableColumnDefinition`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The heading.
    pub name: String,
    /// `string`, `integer`, `date` …
    pub kind: String,
    /// `name` for the object's name.
    pub format: String,
    /// What the column says.
    pub description: String,
    /// Where in the object it stands (`JSONPath`), for custom resources; empty where code knows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// 0 is always shown.
    pub priority: i32,
}

impl Schema {
    /// The type at this number.
    ///
    /// # Panics
    /// When the number belongs to another schema, which is a fault of the program.
    pub fn structure(&self, id: StructId) -> &Struct {
        &self.structs[id.0 as usize]
    }

    /// The type of a kind.
    pub fn kind(&self, gvk: &Gvk) -> Option<StructId> {
        self.kinds.get(gvk).copied()
    }
}
