//! Objects in protobuf, as typed Go clients send them: decoded by the numbers in the schema, into the JSON they stand for.
//!
//! Only bodies of requests are read; answers stay JSON. Types, unknown fields and defaults are the business of `decode`, as for JSON.

mod special;
mod wire;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::schema::{Field, Gvk, Schema, Shape, StructId};
use wire::Wire;

/// What every object in protobuf begins with.
const PREFIX: &[u8] = b"k8s\0";

/// No kind nests deeper, but for schemas of custom resources.
const DEEPEST: u32 = 100;

/// No object of three mebibytes that means something has so many values.
const MOST_VALUES: u32 = 300_000;

/// Bytes that are no object in protobuf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The prefix is missing.
    #[error(
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
    )]
    Prefix,
    /// The bytes end within a field.
    #[error("unexpected EOF")]
    Truncated,
    /// A field is of another kind than its number says.
    #[error("proto: wrong wireType")]
    WireType,
    /// A text isn't UTF-8.
    #[error("proto: invalid UTF-8")]
    Text,
    /// JSON within the object is none.
    #[error("invalid JSON in a raw extension")]
    Raw,
    /// It nests too deeply, or has too many values.
    #[error("the object is too large")]
    TooLarge,
    /// Nobody knows its kind.
    #[error("the kind of the object is unknown")]
    Kind,
}

/// Decodes an object with its envelope: the JSON that it stands for, with `apiVersion` and `kind`. A body that leaves its kind out is of the
/// expected one.
pub fn decode(schema: &Schema, expected: &Gvk, body: &[u8]) -> Result<Value, Malformed> {
    let body = body.strip_prefix(PREFIX).ok_or(Malformed::Prefix)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for field in wire::fields(body)? {
        match (field.number, field.value) {
            (1, Wire::Bytes(meta)) => {
                for field in wire::fields(meta)? {
                    match (field.number, field.value) {
                        (1, Wire::Bytes(bytes)) => api_version = text(bytes)?,
                        (2, Wire::Bytes(bytes)) => kind = text(bytes)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    if kind.is_empty() {
        kind.clone_from(&expected.kind);
    }
    if api_version.is_empty() {
        api_version = crate::decode::api_version(expected);
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let gvk = Gvk {
        group: group.to_owned(),
        version: version.to_owned(),
        kind,
    };
    let id = schema.kind(&gvk).ok_or(Malformed::Kind)?;
    let mut decoder = Decoder { schema, values: 0 };
    let mut object = decoder.structure(id, raw, 0)?;
    object.insert("apiVersion".to_owned(), Value::String(api_version));
    object.insert("kind".to_owned(), Value::String(gvk.kind));
    Ok(Value::Object(object))
}

struct Decoder<'a> {
    schema: &'a Schema,
    values: u32,
}

impl Decoder<'_> {
    fn structure(
        &mut self,
        id: StructId,
        bytes: &[u8],
        depth: u32,
    ) -> Result<Map<String, Value>, Malformed> {
        let mut object = Map::new();
        self.fields(id, 0, bytes, depth, &mut object)?;
        Ok(object)
    }

    /// The fields of a message; `inside` is its own number where Go embeds it in the type.
    fn fields(
        &mut self,
        id: StructId,
        inside: u32,
        bytes: &[u8],
        depth: u32,
        object: &mut Map<String, Value>,
    ) -> Result<(), Malformed> {
        if depth > DEEPEST {
            return Err(Malformed::TooLarge);
        }
        let schema = self.schema;
        let of = schema.structure(id);
        for field in wire::fields(bytes)? {
            let mut known = of.fields.iter();
            let place = |declared: &Field| (declared.inside, declared.number);
            if let Some((name, declared)) =
                known.find(|(_, declared)| place(declared) == (inside, field.number))
            {
                self.field(id, name, declared, field.value, depth, object)?;
            } else if inside == 0
                && of
                    .fields
                    .values()
                    .any(|declared| declared.inside == field.number)
                && let Wire::Bytes(embedded) = field.value
            {
                self.fields(id, field.number, embedded, depth + 1, object)?;
            }
        }
        Ok(())
    }

    fn field(
        &mut self,
        id: StructId,
        name: &str,
        declared: &Field,
        wire: Wire<'_>,
        depth: u32,
        object: &mut Map<String, Value>,
    ) -> Result<(), Malformed> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(Malformed::TooLarge);
        }
        if special::is(self.schema.structure(id), name) {
            return special::field(self, id, name, wire, depth, object);
        }
        match &declared.shape {
            Shape::List { item, .. } => {
                let value = self.value(item, wire, depth)?;
                let list = object
                    .entry(name)
                    .or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(items) = list {
                    items.push(value);
                }
            }
            Shape::Map { value, .. } => {
                let (key, value) = self.entry(value, wire, depth)?;
                let map = object
                    .entry(name)
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(map) = map {
                    map.insert(key, value);
                }
            }
            shape => {
                let value = self.value(shape, wire, depth)?;
                if !value.is_null() {
                    object.insert(name.to_owned(), value);
                }
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        shape: &Shape,
        wire: Wire<'_>,
        depth: u32,
    ) -> Result<(String, Value), Malformed> {
        let (mut key, mut value) = (String::new(), None);
        for field in wire::fields(wire.bytes()?)? {
            match field.number {
                1 => key = text(field.value.bytes()?)?,
                2 => value = Some(self.value(shape, field.value, depth)?),
                _ => {}
            }
        }
        let value = match value {
            Some(value) => value,
            None => self.value(shape, Wire::zero(shape), depth)?,
        };
        Ok((key, value))
    }

    fn value(&mut self, shape: &Shape, wire: Wire<'_>, depth: u32) -> Result<Value, Malformed> {
        Ok(match shape {
            Shape::Struct(id) => Value::Object(self.structure(*id, wire.bytes()?, depth + 1)?),
            Shape::String => Value::String(text(wire.bytes()?)?),
            Shape::Bytes => Value::String(STANDARD.encode(wire.bytes()?)),
            Shape::Bool => Value::Bool(wire.number()? != 0),
            Shape::Int32 | Shape::Int64 => Value::from(wire.number()? as i64),
            Shape::Float => Value::from(f64::from_bits(wire.number()?)),
            Shape::Quantity => Value::String(message_text(wire, 1)?),
            Shape::IntOrString => int_or_string(wire)?,
            Shape::Time => time(wire, "%Y-%m-%dT%H:%M:%SZ")?,
            Shape::MicroTime => time(wire, "%Y-%m-%dT%H:%M:%S.%6fZ")?,
            Shape::Any => raw(wire)?,
            // Lists of lists are messages around a list.
            Shape::List { item, .. } => {
                let fields = wire::fields(wire.bytes()?)?;
                let items = fields
                    .into_iter()
                    .map(|field| self.value(item, field.value, depth + 1));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Shape::Map { .. } => return Err(Malformed::WireType),
        })
    }
}

fn text(bytes: &[u8]) -> Result<String, Malformed> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed::Text)
}

fn message_text(wire: Wire<'_>, number: u32) -> Result<String, Malformed> {
    for field in wire::fields(wire.bytes()?)? {
        if field.number == number {
            return text(field.value.bytes()?);
        }
    }
    Ok(String::new())
}

fn message_number(wire: Wire<'_>, number: u32) -> Result<i64, Malformed> {
    for field in wire::fields(wire.bytes()?)? {
        if field.number == number {
            return Ok(field.value.number()? as i64);
        }
    }
    Ok(0)
}

fn int_or_string(wire: Wire<'_>) -> Result<Value, Malformed> {
    Ok(if message_number(wire, 1)? == 0 {
        Value::from(message_number(wire, 2)?)
    } else {
        Value::String(message_text(wire, 3)?)
    })
}

/// A time; the first moment of Go's calendar is none.
fn time(wire: Wire<'_>, form: &str) -> Result<Value, Malformed> {
    const FIRST: i64 = -62_135_596_800;
    let seconds = message_number(wire, 1)?;
    let nanos = message_number(wire, 2)?;
    if wire.bytes()?.is_empty() || seconds <= FIRST {
        return Ok(Value::Null);
    }
    let nanos = i32::try_from(nanos).map_err(|_| Malformed::WireType)?;
    let time = jiff::Timestamp::new(seconds, nanos).map_err(|_| Malformed::WireType)?;
    Ok(Value::String(time.strftime(form).to_string()))
}

/// JSON that protobuf carries as it is.
fn raw(wire: Wire<'_>) -> Result<Value, Malformed> {
    for field in wire::fields(wire.bytes()?)? {
        if field.number == 1 {
            let bytes = field.value.bytes()?;
            return if bytes.is_empty() {
                Ok(Value::Null)
            } else {
                serde_json::from_slice(bytes).map_err(|_| Malformed::Raw)
            };
        }
    }
    Ok(Value::Null)
}

#[cfg(test)]
mod tests;
