//! Complaints about fields, in upstream's words.

use std::fmt;

use serde_json::Value;

use crate::status::Cause;

/// The place of a field, such as `spec.containers[0].image`: a chain up to the object, written out only when something is wrong there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path<'a> {
    up: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    pub(super) fn root(field: &'a str) -> Self {
        Self {
            up: None,
            step: Step::Field(field),
        }
    }

    pub(super) fn field(&'a self, field: &'a str) -> Self {
        Self {
            up: Some(self),
            step: Step::Field(field),
        }
    }

    pub(super) fn index(&'a self, at: usize) -> Self {
        Self {
            up: Some(self),
            step: Step::Index(at),
        }
    }

    pub(super) fn key(&'a self, key: &'a str) -> Self {
        Self {
            up: Some(self),
            step: Step::Key(key),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(up) = self.up {
            up.fmt(formatter)?;
        }
        match (self.step, self.up) {
            (Step::Field(field), None) => formatter.write_str(field),
            (Step::Field(field), Some(_)) => write!(formatter, ".{field}"),
            (Step::Index(at), _) => write!(formatter, "[{at}]"),
            (Step::Key(key), _) => write!(formatter, "[{key}]"),
        }
    }
}

/// After so many complaints nobody reads on, and an answer must not outgrow its question.
const MOST: usize = 200;

/// The complaints so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) causes: Vec<Cause>,
}

impl Report {
    fn add(&mut self, at: &Path<'_>, reason: &'static str, message: String) {
        if self.causes.len() >= MOST {
            return;
        }
        self.causes.push(Cause {
            reason,
            message,
            field: at.to_string(),
        });
    }

    /// A value is missing.
    pub(super) fn required(&mut self, at: &Path<'_>, detail: &str) {
        self.add(at, "FieldValueRequired", told("Required value", detail));
    }

    /// A value cannot be.
    pub(super) fn invalid(&mut self, at: &Path<'_>, value: &Value, detail: &str) {
        let message = told(&format!("Invalid value: {value}"), detail);
        self.add(at, "FieldValueInvalid", message);
    }

    /// A value cannot be as it is, and is too large to be shown.
    pub(super) fn invalid_as_a_whole(&mut self, at: &Path<'_>, detail: &str) {
        self.add(at, "FieldValueInvalid", told("Invalid value", detail));
    }

    /// A list must not have more items than so many.
    pub(super) fn not_more(&mut self, list: &Value, at: &Path<'_>, most: usize) {
        let number = items(list).count();
        if number > most {
            let message = format!("Too many: {number}: must have at most {most} items");
            self.add(at, "FieldValueTooMany", message);
        }
    }

    /// A value cannot be, for each of these reasons.
    pub(super) fn all_invalid(&mut self, at: &Path<'_>, value: &Value, details: Vec<String>) {
        for detail in details {
            self.invalid(at, value, &detail);
        }
    }

    /// A value is none of those that may be.
    pub(super) fn unsupported(&mut self, at: &Path<'_>, value: &Value, supported: &[&str]) {
        let supported: Vec<String> = supported.iter().map(|text| format!("{text:?}")).collect();
        let message = format!(
            "Unsupported value: {value}: supported values: {}",
            supported.join(", ")
        );
        self.add(at, "FieldValueNotSupported", message);
    }

    /// A value stands there twice.
    pub(super) fn duplicate(&mut self, at: &Path<'_>, value: &Value) {
        self.add(
            at,
            "FieldValueDuplicate",
            format!("Duplicate value: {value}"),
        );
    }

    /// A field may not be set.
    pub(super) fn forbidden(&mut self, at: &Path<'_>, detail: &str) {
        self.add(at, "FieldValueForbidden", told("Forbidden", detail));
    }

    /// What a value refers to isn't there.
    pub(super) fn not_found(&mut self, at: &Path<'_>, value: &Value) {
        self.add(at, "FieldValueNotFound", format!("Not found: {value}"));
    }

    /// A value is too large.
    pub(super) fn too_long(&mut self, at: &Path<'_>, most: usize) {
        let message = format!("Too long: may not be more than {most} bytes");
        self.add(at, "FieldValueTooLong", message);
    }

    /// A field must hold one of these texts, if it holds something.
    pub(super) fn one_of(
        &mut self,
        object: &Value,
        at: &Path<'_>,
        field: &str,
        supported: &[&str],
    ) {
        self.among(&object[field], &at.field(field), supported);
    }

    /// A value must be one of these texts, if it is one.
    pub(super) fn among(&mut self, value: &Value, at: &Path<'_>, supported: &[&str]) {
        if let Some(text) = value.as_str()
            && !supported.contains(&text)
        {
            self.unsupported(at, value, supported);
        }
    }

    /// Fields that may not be below zero.
    pub(super) fn not_negative(&mut self, object: &Value, at: &Path<'_>, fields: &[&str]) {
        for field in fields {
            if object[field].as_i64().is_some_and(|number| number < 0) {
                self.invalid(&at.field(field), &object[field], super::texts::NOT_NEGATIVE);
            }
        }
    }

    /// A field that must be above zero, if it is there.
    pub(super) fn positive(&mut self, object: &Value, at: &Path<'_>, field: &str, detail: &str) {
        if object[field].as_i64().is_some_and(|number| number <= 0) {
            self.invalid(&at.field(field), &object[field], detail);
        }
    }

    /// A field that must hold a text.
    pub(super) fn filled(&mut self, object: &Value, at: &Path<'_>, field: &str) -> bool {
        let filled = object[field].as_str().is_some_and(|text| !text.is_empty());
        if !filled {
            self.required(&at.field(field), "");
        }
        filled
    }
}

fn told(what: &str, detail: &str) -> String {
    if detail.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {detail}")
    }
}

/// The items of a list, with their places counted.
pub(super) fn items(list: &Value) -> impl Iterator<Item = (usize, &Value)> {
    list.as_array().into_iter().flatten().enumerate()
}

/// A text, or an empty one.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
