//! Values against types: mistyped ones are refused in the words of Go's decoder, undeclared and doubled fields are dropped and told of.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

use super::parse::Node;
use super::quantity::{self, Quantity};
use super::{Checked, MOST_COMPLAINTS, Reader};
use crate::schema::{Field, Schema, Shape, StructId};

/// Checks an object against its type; the error is Go's about the first mistyped field.
pub(super) fn check(
    schema: &Schema,
    id: StructId,
    node: Node,
    reader: Reader,
) -> Result<Checked, String> {
    let mut check = Check {
        schema,
        reader,
        strict: Vec::new(),
    };
    let value = check.structure(id, node, &Place::ROOT)?;
    Ok(Checked {
        value,
        strict: check.strict,
    })
}

struct Check<'a> {
    schema: &'a Schema,
    reader: Reader,
    strict: Vec<String>,
}

/// Where a value stands: a chain of steps up to the object, and what Go calls the type that belongs here.
#[derive(Clone, Copy)]
struct Place<'a> {
    up: Option<&'a Place<'a>>,
    step: Step<'a>,
    /// The type around the innermost field.
    around: Option<StructId>,
    /// Go's own name of the type, where it isn't that of the shape.
    go: Option<&'a str>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Key(&'a str),
    Index(usize),
}

impl<'a> Place<'a> {
    const ROOT: Place<'static> = Place {
        up: None,
        step: Step::Root,
        around: None,
        go: None,
    };

    fn field(&'a self, around: StructId, name: &'a str, field: &'a Field) -> Self {
        Self {
            up: Some(self),
            step: Step::Field(name),
            around: Some(around),
            go: field.go.as_deref(),
        }
    }

    /// An item of the list or a value of the map that stands here.
    fn inner(&'a self, step: Step<'a>) -> Self {
        let go = self.go.and_then(|go| {
            let list = go.strip_prefix("[]");
            list.or_else(|| {
                go.strip_prefix("map[")?
                    .split_once(']')
                    .map(|(_, value)| value)
            })
        });
        Self {
            up: Some(self),
            step,
            around: self.around,
            go,
        }
    }

    /// `spec.containers[0].image`.
    fn path(&self, name: &str) -> String {
        let mut steps = vec![Step::Field(name)];
        let mut place = Some(self);
        while let Some(here) = place {
            steps.push(here.step);
            place = here.up;
        }
        let mut path = String::new();
        for step in steps.into_iter().rev() {
            match step {
                Step::Root => {}
                Step::Index(at) => {
                    path.push('[');
                    path.push_str(&at.to_string());
                    path.push(']');
                }
                Step::Field(name) | Step::Key(name) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                }
            }
        }
        path
    }

    /// `spec.containers.image`: the fields alone.
    fn fields(&self) -> String {
        let mut names = Vec::new();
        let mut place = Some(self);
        while let Some(here) = place {
            if let Step::Field(name) = here.step {
                names.push(name);
            }
            place = here.up;
        }
        names.reverse();
        names.join(".")
    }
}

impl Check<'_> {
    fn structure(&mut self, id: StructId, node: Node, place: &Place<'_>) -> Result<Value, String> {
        let schema = self.schema;
        let structure = schema.structure(id);
        let entries = match node {
            Node::Object(entries) => entries,
            Node::Scalar(Value::Null) => Vec::new(),
            other => return Err(self.mistyped(other.json_name(), &Shape::Struct(id), place)),
        };
        let mut map = Map::with_capacity(entries.len());
        let mut nulls = false;
        for (name, node) in entries {
            if let Some(field) = structure.fields.get(&name) {
                if map.contains_key(&name) {
                    self.complain("duplicate", place, &name);
                }
                let value = self.value(&field.shape, node, &place.field(id, &name, field))?;
                nulls |= value.is_null();
                map.insert(name, value);
            } else if structure.open {
                map.insert(name, node.into_value());
            } else {
                self.complain("unknown", place, &name);
            }
        }
        if nulls {
            map.retain(|_, value| !value.is_null());
        }
        Ok(Value::Object(map))
    }

    fn value(&mut self, shape: &Shape, node: Node, place: &Place<'_>) -> Result<Value, String> {
        if node == Node::Scalar(Value::Null) {
            return Ok(Value::Null);
        }
        match (shape, node) {
            (Shape::Any, node) => Ok(node.into_value()),
            (Shape::Struct(id), node) => self.structure(*id, node, place),
            (Shape::List { item, .. }, Node::List(nodes)) => {
                let mut items = Vec::with_capacity(nodes.len());
                for (at, node) in nodes.into_iter().enumerate() {
                    let value = self.value(item, node, &place.inner(Step::Index(at)))?;
                    items.push(or_zero(value, item));
                }
                Ok(Value::Array(items))
            }
            (Shape::Map { value: inner, .. }, Node::Object(entries)) => {
                let mut map = Map::with_capacity(entries.len());
                for (key, node) in entries {
                    if map.contains_key(&key) {
                        self.complain("duplicate", place, &key);
                    }
                    let value = self.value(inner, node, &place.inner(Step::Key(&key)))?;
                    map.insert(key, or_zero(value, inner));
                }
                Ok(Value::Object(map))
            }
            (Shape::Bytes, Node::Scalar(Value::String(text))) => bytes(&text),
            (Shape::String | Shape::IntOrString, Node::Scalar(value @ Value::String(_)))
            | (Shape::Bool, Node::Scalar(value @ Value::Bool(_))) => Ok(value),
            (Shape::Float, Node::Scalar(Value::Number(number))) => Ok(float(number)),
            (Shape::Int32 | Shape::IntOrString, Node::Scalar(Value::Number(number))) => {
                match number.as_i64() {
                    Some(whole) if i32::try_from(whole).is_ok() => Ok(Value::Number(number)),
                    _ => Err(self.mistyped(&format!("number {number}"), shape, place)),
                }
            }
            (Shape::Int64, Node::Scalar(Value::Number(number))) => {
                if number.is_i64() {
                    Ok(Value::Number(number))
                } else {
                    Err(self.mistyped(&format!("number {number}"), shape, place))
                }
            }
            (Shape::Quantity, node) => quantity_of(&node),
            (Shape::Time, node) => time(node, "2006-01-02T15:04:05Z07:00", "%Y-%m-%dT%H:%M:%SZ"),
            (Shape::MicroTime, node) => time(
                node,
                "2006-01-02T15:04:05.000000Z07:00",
                "%Y-%m-%dT%H:%M:%S.%6fZ",
            ),
            (shape, node) => Err(self.mistyped(node.json_name(), shape, place)),
        }
    }

    fn complain(&mut self, of: &str, place: &Place<'_>, name: &str) {
        if self.strict.len() < MOST_COMPLAINTS {
            let complaint = format!("{of} field \"{}\"", place.path(name));
            if !self.strict.contains(&complaint) {
                self.strict.push(complaint);
            }
        }
    }

    fn mistyped(&self, found: &str, shape: &Shape, place: &Place<'_>) -> String {
        let expected = place
            .go
            .map_or_else(|| go_type(self.schema, shape), str::to_owned);
        let expected = expected.replace("[]byte", "[]uint8");
        if self.reader == Reader::Converter
            && let Some(complaint) = unconverted(found, shape, &expected)
        {
            return complaint;
        }
        match place.around {
            None => format!("json: cannot unmarshal {found} into Go value of type {expected}"),
            Some(id) => format!(
                "json: cannot unmarshal {found} into Go struct field {}.{} of type {expected}",
                short_name(self.schema, id),
                place.fields()
            ),
        }
    }
}

/// What Go says of a value that it can't convert to a type; none where the type reads JSON itself.
fn unconverted(found: &str, shape: &Shape, expected: &str) -> Option<String> {
    let (found, number) = found.split_once(' ').unwrap_or((found, ""));
    let kind = match found {
        "array" => "slice",
        "object" => "map",
        "number" if number.contains(['.', 'e', 'E']) => "float64",
        "number" => "int64",
        other => other,
    };
    Some(match shape {
        Shape::Struct(_) => format!("cannot restore struct from: {kind}"),
        Shape::Map { .. } => format!("cannot restore map from {kind}"),
        Shape::List { .. } | Shape::Bytes => format!("cannot restore slice from {kind}"),
        // Go converts numbers to each other and to texts, which this reader then refuses.
        Shape::String | Shape::Int32 | Shape::Int64 if found == "number" => {
            format!(
                "cannot convert {kind} to {}",
                expected.trim_start_matches('*')
            )
        }
        Shape::String => "unrecognized type: string".to_owned(),
        Shape::Int32 => "unrecognized type: int32".to_owned(),
        Shape::Int64 => "unrecognized type: int64".to_owned(),
        Shape::Float => "unrecognized type: float64".to_owned(),
        Shape::Bool => "unrecognized type: bool".to_owned(),
        Shape::Any | Shape::IntOrString | Shape::Quantity | Shape::Time | Shape::MicroTime => {
            return None;
        }
    })
}

/// Go has no null in a list or a map: there stands the zero of the type.
fn or_zero(value: Value, shape: &Shape) -> Value {
    if !value.is_null() {
        return value;
    }
    match shape {
        Shape::String | Shape::Bytes => Value::from(""),
        Shape::Int32 | Shape::Int64 | Shape::IntOrString => Value::from(0),
        Shape::Float => Value::from(0.0),
        Shape::Bool => Value::from(false),
        Shape::Quantity => Value::from("0"),
        Shape::Struct(_) => Value::Object(Map::new()),
        Shape::Any | Shape::Time | Shape::MicroTime | Shape::Map { .. } | Shape::List { .. } => {
            Value::Null
        }
    }
}

/// Go writes a whole number without a point.
fn float(number: Number) -> Value {
    /// Up to here every whole number is one of 64 bits' floating point.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(float) if float.fract() == 0.0 && float.abs() <= EXACT => Value::from(float as i64),
        _ => Value::Number(number),
    }
}

fn bytes(text: &str) -> Result<Value, String> {
    let text = text.replace(['\r', '\n'], "");
    match STANDARD.decode(&text) {
        Ok(_) => Ok(Value::String(text)),
        Err(
            base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _),
        ) => Err(format!("illegal base64 data at input byte {at}")),
        Err(_) => Err(format!(
            "illegal base64 data at input byte {}",
            text.len() / 4 * 4
        )),
    }
}

fn quantity_of(node: &Node) -> Result<Value, String> {
    let parsed = match node {
        Node::Scalar(Value::String(text)) => Quantity::parse(text.trim()),
        Node::Scalar(Value::Number(number)) => Quantity::parse(&number.to_string()),
        _ => None,
    };
    parsed
        .map(|quantity| Value::String(quantity.to_string()))
        .ok_or_else(|| quantity::REFUSAL.to_owned())
}

fn time(node: Node, layout: &str, form: &str) -> Result<Value, String> {
    let Node::Scalar(Value::String(text)) = node else {
        return Err(format!(
            "json: cannot unmarshal {} into Go value of type string",
            node.json_name()
        ));
    };
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Ok(Value::String(time.strftime(form).to_string())),
        Err(_) => Err(format!(
            "parsing time \"{text}\" as \"{layout}\": cannot parse \"{text}\" as \"2006\""
        )),
    }
}

/// What Go calls a shape that has no name of its own.
fn go_type(schema: &Schema, shape: &Shape) -> String {
    match shape {
        Shape::Any => "interface {}".to_owned(),
        Shape::String => "string".to_owned(),
        Shape::Bytes => "[]uint8".to_owned(),
        Shape::Int32 | Shape::IntOrString => "int32".to_owned(),
        Shape::Int64 => "int64".to_owned(),
        Shape::Float => "float64".to_owned(),
        Shape::Bool => "bool".to_owned(),
        Shape::Quantity => "resource.Quantity".to_owned(),
        Shape::Time => "v1.Time".to_owned(),
        Shape::MicroTime => "v1.MicroTime".to_owned(),
        Shape::Struct(id) => {
            let name = &schema.structure(*id).name;
            let mut parts = name.rsplitn(3, '.');
            let kind = parts.next().unwrap_or_default();
            format!("{}.{kind}", parts.next().unwrap_or_default())
        }
        Shape::List { item, .. } => format!("[]{}", go_type(schema, item)),
        Shape::Map { value, .. } => format!("map[string]{}", go_type(schema, value)),
    }
}

fn short_name(schema: &Schema, id: StructId) -> &str {
    let name = &schema.structure(id).name;
    name.rsplit('.').next().unwrap_or(name)
}
