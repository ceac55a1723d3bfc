//! Bodies of requests: bounded, and read as what they say they are.

use super::{BodyError, header_text};
use crate::custom::Definition;
use crate::decode::{self, Format, Strictness};
use crate::protobuf;
use crate::schema::{Gvk, Schema};
use crate::status::Status;
use bytes::Bytes;
use http::header;
use http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;

/// The most that a body may hold.
const LIMIT: usize = 3 << 20;

const UNKNOWN: &str = "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// All of a body.
pub(super) async fn read<B>(body: B) -> Result<Bytes, Status>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BodyError>,
{
    let body = std::pin::pin!(Limited::new(body, LIMIT));
    match body.collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("Request entity too large: limit is {LIMIT}");
            Err(Status::new(413, "RequestEntityTooLarge", message))
        }
        Err(error) => Err(Status::bad_request(format!(
            "unable to read the body of the request: {error}"
        ))),
    }
}

/// An object of a kind, and warnings for the client.
pub(super) fn object(
    schema: &Schema,
    kind: &Gvk,
    parts: &Parts,
    body: &[u8],
    strictness: Strictness,
) -> Result<(Value, Vec<String>), Status> {
    let format = match media(parts) {
        "" | "application/json" => Format::Json,
        "application/yaml" => Format::Yaml,
        "application/vnd.kubernetes.protobuf" => {
            let value = protobuf::decode(schema, kind, body);
            let value = value.map_err(|fault| Status::bad_request(fault.to_string()))?;
            return Ok((value, Vec::new()));
        }
        _ => return Err(Status::new(415, "UnsupportedMediaType", UNKNOWN)),
    };
    let decoded = decode::decode(schema, kind, body, format, strictness)?;
    Ok((Value::Object(decoded.object), decoded.warnings))
}

/// The same for a kind that somebody defined.
pub(super) fn custom(
    definition: &Definition,
    parts: &Parts,
    body: &[u8],
    strictness: Strictness,
) -> Result<(Value, Vec<String>), Status> {
    let format = match media(parts) {
        "" | "application/json" => Format::Json,
        "application/yaml" => Format::Yaml,
        // Refused there, in upstream's words.
        _ => Format::Protobuf,
    };
    let decoded = definition.decode(body, format, strictness)?;
    Ok((Value::Object(decoded.object), decoded.warnings))
}

/// The media type of a body, without its parameters.
pub(super) fn media(parts: &Parts) -> &str {
    let media = header_text(parts, header::CONTENT_TYPE);
    media.split(';').next().unwrap_or_default().trim()
}
