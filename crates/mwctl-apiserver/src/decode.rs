//! From the bytes of a request to an object of a kind: what upstream's decoder refuses is refused in its words, what it warns of is a warning.
//! [`complete`] then makes the object what the API would store: defaults are filled in and what means nothing is left out.
//!
//! Whether an object makes sense is not asked here: see `validation`.

mod check;
pub mod complete;
mod defaults;
pub mod fresh;
mod parse;
pub mod quantity;
mod syntax;
mod yaml;

use serde_json::{Map, Value};

use crate::protobuf;
use crate::schema::{Gvk, Schema, StructId};
use crate::status::Status;

/// After so many complaints about fields nobody reads on.
pub(crate) const MOST_COMPLAINTS: usize = 100;

/// What becomes of fields that nobody declared or that stand there twice (`fieldValidation`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// They are dropped in silence.
    Ignore,
    /// They are dropped, and the client is warned.
    #[default]
    Warn,
    /// The request is refused.
    Strict,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// Protobuf in Kubernetes' envelope.
    Protobuf,
}

/// An object whose fields all have their types.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The object, with its `apiVersion` and `kind`.
    pub object: Map<String, Value>,
    /// Warnings for the client.
    pub warnings: Vec<String>,
}

/// What a value looks like to a type: itself without unknown fields, and those that were dropped or doubled.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The value.
    pub value: Value,
    /// `unknown field "spec.nope"`, `duplicate field "data.a"`.
    pub strict: Vec<String>,
}

/// Decodes a body that should be of this kind. A body may leave its kind and its version out.
pub fn decode(
    schema: &Schema,
    expected: &Gvk,
    body: &[u8],
    format: Format,
    strictness: Strictness,
) -> Result<Decoded, Status> {
    let unrecognized = |why: &str| {
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {why} ({})",
            expected.kind,
            syntax::summary(body)
        ))
    };
    let parsed = match format {
        Format::Json => parse::json(body).map(|node| (node, None)),
        Format::Yaml => yaml::read(body).map(|read| (read.node, read.doubled)),
        Format::Protobuf => protobuf::decode(schema, expected, body)
            .map(|value| (parse::Node::from(value), None))
            .map_err(|why| why.to_string()),
    };
    let (node, doubled) = parsed.map_err(|why| match format {
        Format::Protobuf => unrecognized(&why),
        Format::Json | Format::Yaml => unrecognized(&format!(
            "couldn't get version/kind; json parse error: {why}"
        )),
    })?;
    let meta = parse::Meta::of(&node).map_err(|why| {
        unrecognized(&format!(
            "couldn't get version/kind; json parse error: {why}"
        ))
    })?;
    let found = meta.gvk(expected).map_err(|why| unrecognized(&why))?;
    same_kind(schema, expected, &found)?;
    let id = schema
        .kind(expected)
        .ok_or_else(|| Status::internal(format!("{} has no type", expected.kind)))?;

    let handled = |why: &str| {
        Status::bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: {why}",
            found.kind, found.version, expected.kind
        ))
    };
    let mut checked =
        check::check(schema, id, node, Reader::Decoder).map_err(|why| handled(&why))?;
    checked.strict.splice(..0, doubled);
    let warnings = match strictness {
        Strictness::Ignore => Vec::new(),
        Strictness::Warn => checked.strict,
        Strictness::Strict if checked.strict.is_empty() => Vec::new(),
        Strictness::Strict => {
            let why = format!("strict decoding error: {}", checked.strict.join(", "));
            return Err(handled(&why));
        }
    };
    Ok(Decoded {
        object: with_kind(expected, checked.value),
        warnings,
    })
}

/// The same for a value that was made here, such as the outcome of a patch. The error is upstream's text without a prefix.
pub fn check(
    schema: &Schema,
    id: StructId,
    value: Value,
    reader: Reader,
) -> Result<Checked, String> {
    check::check(schema, id, parse::Node::from(value), reader)
}

/// Which of upstream's readers complains about a mistyped value, each in its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The one that reads JSON.
    Decoder,
    /// The one that reads what was JSON before: the outcome of a strategic merge patch.
    Converter,
}

/// Refuses an object of another kind.
fn same_kind(schema: &Schema, expected: &Gvk, found: &Gvk) -> Result<(), Status> {
    if found == expected {
        return Ok(());
    }
    let (kind, version) = (&found.kind, &found.version);
    if found.kind == expected.kind
        && found.group == expected.group
        && (version.contains("alpha") || version.contains("beta"))
    {
        return Err(Status::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({})",
            api_version(found),
            api_version(expected)
        )));
    }
    let why = if schema.kind(found).is_some() {
        format!(
            "converting ({version}.{kind}) to ({}.{}): unknown conversion",
            go_package(&expected.group),
            expected.kind
        )
    } else {
        format!(
            "no kind \"{kind}\" is registered for version \"{}\" in scheme \"pkg/runtime/scheme.go:110\"",
            api_version(found)
        )
    };
    Err(Status::bad_request(format!(
        "{kind} in version \"{version}\" cannot be handled as a {}: {why}",
        expected.kind
    )))
}

/// Parses a body of which no types are known: the object, what it says it is, and complaints about doubled fields.
pub(crate) fn untyped(
    expected: &Gvk,
    body: &[u8],
    format: Format,
) -> Result<(Value, Gvk, Vec<String>), Status> {
    let parsed = match format {
        Format::Json => parse::json(body).map(|node| {
            let mut doubled = Vec::new();
            node.doubled("", &mut doubled);
            (node, doubled)
        }),
        Format::Yaml => {
            yaml::read(body).map(|read| (read.node, read.doubled.into_iter().collect()))
        }
        Format::Protobuf => {
            let message = "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml";
            return Err(Status::new(415, "UnsupportedMediaType", message));
        }
    };
    let read = parsed.and_then(|(node, doubled)| Ok((parse::Meta::of(&node)?, node, doubled)));
    let refused = |why: &str| {
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {why} ({})",
            expected.kind,
            syntax::summary(body)
        ))
    };
    let (meta, node, doubled) = read.map_err(|why| {
        refused(&format!(
            "couldn't get version/kind; json parse error: {why}"
        ))
    })?;
    let found = meta.gvk(expected).map_err(|why| refused(&why))?;
    Ok((node.into_value(), found, doubled))
}

/// Reads what is applied, in YAML or in JSON, and what a strict reader complains of, each in upstream's words.
pub(crate) fn applied(
    body: &[u8],
    strictness: Strictness,
) -> Result<(Value, Option<String>), Status> {
    let read = yaml::read(body)
        .map_err(|why| Status::bad_request(format!("error decoding YAML: {why}")))?;
    match (strictness, read.doubled) {
        (Strictness::Strict, Some(told)) => Err(Status::bad_request(format!(
            "error strict decoding YAML: error converting YAML to JSON: {told}"
        ))),
        (Strictness::Ignore, _) => Ok((read.node.into_value(), None)),
        (_, doubled) => Ok((read.node.into_value(), doubled)),
    }
}

/// A complaint of a strict reader as warnings: of YAML there is one for each line.
pub(crate) fn each(complaint: &str) -> impl Iterator<Item = &str> {
    let lines = complaint.strip_prefix(yaml::DOUBLED).unwrap_or(complaint);
    lines
        .split('\n')
        .map(str::trim)
        .filter(|line| !line.is_empty())
}

/// What Go says of text that should be JSON and isn't.
pub(crate) fn json_complaint(text: &[u8]) -> Option<String> {
    syntax::complaint(text)
}

/// `apps/v1`, or `v1` for the core group.
pub fn api_version(gvk: &Gvk) -> String {
    if gvk.group.is_empty() {
        gvk.version.clone()
    } else {
        format!("{}/{}", gvk.group, gvk.version)
    }
}

/// The Go package of a group's types.
fn go_package(group: &str) -> &str {
    match group.split('.').next() {
        Some("") | None => "core",
        Some(first) => first,
    }
}

fn with_kind(gvk: &Gvk, value: Value) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("kind".to_owned(), Value::from(gvk.kind.as_str()));
    object.insert("apiVersion".to_owned(), Value::from(api_version(gvk)));
    if let Value::Object(fields) = value {
        for (name, field) in fields {
            if name != "kind" && name != "apiVersion" {
                object.insert(name, field);
            }
        }
    }
    object
}

#[cfg(test)]
mod tests;
