//! Fields whose message is no picture of their JSON: in schemas of custom resources one field is a schema or a truth, a schema or a list.

use serde_json::{Map, Value};

use super::wire::{self, Wire};
use super::{Decoder, Malformed, text};
use crate::decode::complete;
use crate::schema::{Struct, StructId};

const GROUP: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.";
const FIELDS: [(&str, &str); 5] = [
    ("JSONSchemaProps", "items"),
    ("JSONSchemaProps", "additionalItems"),
    ("JSONSchemaProps", "additionalProperties"),
    ("JSONSchemaProps", "dependencies"),
    ("CustomResourceSubresources", "status"),
];

/// Whether this is such a field.
pub(super) fn is(of: &Struct, name: &str) -> bool {
    of.name
        .strip_prefix(GROUP)
        .is_some_and(|kind| FIELDS.contains(&(kind, name)))
}

/// Decodes such a field.
pub(super) fn field(
    decoder: &mut Decoder<'_>,
    id: StructId,
    name: &str,
    wire: Wire<'_>,
    depth: u32,
    object: &mut Map<String, Value>,
) -> Result<(), Malformed> {
    match name {
        "status" => {
            object.insert(name.to_owned(), Value::Object(Map::new()));
        }
        "dependencies" => {
            let (mut key, mut value) = (String::new(), Value::Null);
            for field in wire::fields(wire.bytes()?)? {
                match field.number {
                    1 => key = text(field.value.bytes()?)?,
                    2 => value = either(decoder, id, field.value, depth)?,
                    _ => {}
                }
            }
            let map = object
                .entry(name)
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(map) = map {
                map.insert(key, value);
            }
        }
        _ => {
            let value = either(decoder, id, wire, depth)?;
            object.insert(name.to_owned(), value);
        }
    }
    Ok(())
}

/// A schema, or what stands instead of one: a truth, or a list of schemas or texts.
fn either(
    decoder: &mut Decoder<'_>,
    id: StructId,
    wire: Wire<'_>,
    depth: u32,
) -> Result<Value, Malformed> {
    let (mut allows, mut single, mut list) = (false, None, Vec::new());
    for field in wire::fields(wire.bytes()?)? {
        match (field.number, field.value) {
            // `JSONSchemaPropsOrBool` alone has a number, and its schema second.
            (1, Wire::Number(number)) => allows = number != 0,
            (1, Wire::Bytes(bytes)) => single = Some(inner(decoder, id, bytes, depth)?),
            (2, Wire::Bytes(bytes)) => list.push(bytes),
            _ => {}
        }
    }
    if let Some(single) = single {
        return Ok(single);
    }
    let is_bool = wire::fields(wire.bytes()?)?
        .iter()
        .any(|field| matches!((field.number, field.value), (1, Wire::Number(_))));
    match (is_bool, list.as_slice()) {
        (true, [bytes]) => inner(decoder, id, bytes, depth),
        (true, _) => Ok(Value::Bool(allows)),
        (false, items) => items
            .iter()
            .map(|bytes| item(decoder, id, bytes, depth))
            .collect(),
    }
}

/// A schema of a list; where the bytes are none, a text.
fn item(
    decoder: &mut Decoder<'_>,
    id: StructId,
    bytes: &[u8],
    depth: u32,
) -> Result<Value, Malformed> {
    inner(decoder, id, bytes, depth).or_else(|_| text(bytes).map(Value::String))
}

fn inner(
    decoder: &mut Decoder<'_>,
    id: StructId,
    bytes: &[u8],
    depth: u32,
) -> Result<Value, Malformed> {
    let mut object = Map::new();
    decoder.fields(id, 0, bytes, depth + 1, &mut object)?;
    // Nobody completes what stands in a field that may hold anything.
    complete::within(decoder.schema, id, &mut object);
    Ok(Value::Object(object))
}
