//! What a value is to ownership: one thing, a map of fields, a set of values or a list of named items.
//!
//! A view of the schema for this module's walks; it judges nothing ([`super::check`] does) and so answers for values of the wrong type too.

use crate::schema::{Field, ListKind, Schema, Shape, Struct, StructId};
use serde_json::Value;

/// The type at some place of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type<'s> {
    schema: &'s Schema,
    form: Form<'s>,
    /// Its fields are owned one by one, although its type says that it is owned as a whole.
    granular: bool,
}

/// A shape with its struct looked up.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form<'s> {
    /// A type with named fields.
    Struct(&'s Struct),
    /// Any other shape.
    Plain(&'s Shape),
}

/// How a value is owned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class<'s> {
    /// As a whole.
    Leaf,
    /// Field by field.
    Map,
    /// Value by value.
    Set,
    /// Item by item, known by these fields.
    Keyed(&'s [String]),
}

impl<'s> Type<'s> {
    /// The type of a whole object; a free-form one if it has none.
    pub(super) fn root(schema: &'s Schema, structure: Option<StructId>) -> Self {
        let form = match structure {
            Some(id) => Form::Struct(schema.structure(id)),
            None => Form::Plain(&Shape::Any),
        };
        Self {
            schema,
            form,
            granular: false,
        }
    }

    /// How a value of this type is owned. One that doesn't fit is owned as a whole.
    pub(super) fn class(self, value: &Value) -> Class<'s> {
        match (self.form, value) {
            (Form::Struct(structure), Value::Object(_)) if structure.atomic && !self.granular => {
                Class::Leaf
            }
            (Form::Struct(_), Value::Object(_)) => Class::Map,
            (Form::Plain(Shape::Map { atomic: false, .. } | Shape::Any), Value::Object(_)) => {
                Class::Map
            }
            (Form::Plain(Shape::List { kind, .. }), Value::Array(_)) => match kind {
                ListKind::Atomic => Class::Leaf,
                ListKind::Set => Class::Set,
                ListKind::Map(keys) => Class::Keyed(keys),
            },
            _ => Class::Leaf,
        }
    }

    /// The shape, with its struct looked up.
    pub(super) fn form(self) -> Form<'s> {
        self.form
    }

    /// The type of a field; none for one that may not be there.
    pub(super) fn field(self, name: &str) -> Option<Self> {
        match self.form {
            Form::Struct(structure) => match structure.fields.get(name) {
                Some(field) => Some(self.at(&field.shape, field.granular)),
                None => structure.open.then(|| self.at(&Shape::Any, false)),
            },
            Form::Plain(Shape::Map { value, .. }) => Some(self.at(value, false)),
            Form::Plain(Shape::Any) => Some(self),
            Form::Plain(_) => None,
        }
    }

    /// The type of a field, taken as it comes where none is declared.
    pub(super) fn field_or_any(self, name: &str) -> Self {
        self.field(name)
            .unwrap_or_else(|| self.at(&Shape::Any, false))
    }

    /// The declaration of a field: only types with named fields have any.
    pub(super) fn declared(self, name: &str) -> Option<&'s Field> {
        match self.form {
            Form::Struct(structure) => structure.fields.get(name),
            Form::Plain(_) => None,
        }
    }

    /// The type of a list's items.
    pub(super) fn item(self) -> Self {
        match self.form {
            Form::Plain(Shape::List { item, .. }) => self.at(item, false),
            _ => self.at(&Shape::Any, false),
        }
    }

    fn at(self, shape: &'s Shape, granular: bool) -> Self {
        let form = match shape {
            Shape::Struct(id) => Form::Struct(self.schema.structure(*id)),
            other => Form::Plain(other),
        };
        Self {
            schema: self.schema,
            form,
            granular,
        }
    }
}
