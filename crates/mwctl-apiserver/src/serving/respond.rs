//! Answers as HTTP: bodies, headers, and the forms of objects and lists.

use super::accept::Form;
use crate::decode;
use crate::registry::Served;
use crate::schema::Resource;
use crate::status::Status;
use crate::storage::{Object, Page};
use crate::table;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;

/// The body of an answer: bytes, or a stream of them that is made as it is read.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

const JSON: &str = "application/json";

/// Bytes of a media type.
pub(crate) fn bytes(code: u16, media: &str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(media) = HeaderValue::from_str(media) {
        response.headers_mut().insert(header::CONTENT_TYPE, media);
    }
    response
}

/// A document that is made once and sent to many.
pub(crate) fn shared(media: &str, document: Arc<[u8]>) -> Response<Body> {
    bytes(200, media, Bytes::from_owner(document))
}

/// A value as JSON.
pub(crate) fn value(code: u16, value: &Value) -> Response<Body> {
    bytes(code, JSON, value.to_string())
}

/// Plain text.
pub(crate) fn text(code: u16, text: impl Into<Bytes>) -> Response<Body> {
    bytes(code, "text/plain; charset=utf-8", text)
}

/// A refusal.
pub(crate) fn refusal(status: &Status) -> Response<Body> {
    let mut response = value(status.code, &status.to_value());
    let seconds = status
        .details
        .as_ref()
        .and_then(|details| details.retry_after_seconds);
    if let Some(seconds) = seconds {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The same answer with warnings, which clients show to people.
pub(crate) fn with_warnings(mut response: Response<Body>, warnings: &[String]) -> Response<Body> {
    for warning in warnings.iter().flat_map(|warning| decode::each(warning)) {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}

/// An object of a resource in the form that was asked for.
pub(crate) fn object(
    code: u16,
    resource: &Resource,
    form: Form,
    object: &Arc<Object>,
) -> Response<Body> {
    bytes(code, JSON, in_form(resource, form, object))
}

/// The JSON of an object in a form.
pub(crate) fn in_form(resource: &Resource, form: Form, object: &Object) -> Bytes {
    match form {
        Form::Plain => object.json().clone(),
        Form::Metadata(version) => metadata_of(version, object).to_string().into(),
        Form::Table(version, include) => {
            let metadata = json!({"resourceVersion": object.revision().to_string()});
            let rows = [object.value()];
            let now = jiff::Timestamp::now();
            let table = table::table(resource, rows, &metadata, version, include, now);
            table.to_string().into()
        }
    }
}

/// A list of what is stored, in the form that was asked for.
pub(crate) fn list(resource: &Served, form: Form, mut page: Page) -> Response<Body> {
    for object in &mut page.objects {
        *object = resource.show(object.clone());
    }
    list_as_it_is(resource, form, &page)
}

/// A list of what is to be shown, in the form that was asked for.
pub(crate) fn list_as_it_is(resource: &Resource, form: Form, page: &Page) -> Response<Body> {
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if let Some(next) = &page.next {
        metadata["continue"] = json!(next.token());
    }
    if let Some(remaining) = page.remaining {
        metadata["remainingItemCount"] = json!(remaining);
    }
    let plain = |kind: &str, version: &str, items: Vec<Bytes>| {
        let length = items.iter().map(|item| item.len() + 1).sum::<usize>();
        let mut body = Vec::with_capacity(length + 200);
        let head = format!(
            "{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\",\"metadata\":{metadata},\"items\":["
        );
        body.extend_from_slice(head.as_bytes());
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(item);
        }
        body.extend_from_slice(b"]}");
        bytes(200, JSON, body)
    };
    match form {
        Form::Table(version, include) => {
            let rows = page.objects.iter().map(|object| object.value());
            let now = jiff::Timestamp::now();
            value(
                200,
                &table::table(resource, rows, &metadata, version, include, now),
            )
        }
        Form::Plain => {
            let items = page
                .objects
                .iter()
                .map(|object| object.json().clone())
                .collect();
            plain(
                &format!("{}List", resource.gvk.kind),
                &decode::api_version(&resource.gvk),
                items,
            )
        }
        Form::Metadata(version) => {
            let items = page
                .objects
                .iter()
                .map(|object| metadata_of(version, object).to_string().into())
                .collect();
            plain(
                "PartialObjectMetadataList",
                &format!("meta.k8s.io/{version}"),
                items,
            )
        }
    }
}

fn metadata_of(version: &str, object: &Object) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": object.value()["metadata"],
    })
}
