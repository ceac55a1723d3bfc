//! What is pushed: contents as a whole or in pieces, mounts from other repositories, manifests.

use serde_json::Value;

use super::{State, digest, error};
use crate::web::{Request, Response};

/// A value of a query, of which registries need nothing but colons and slashes.
fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    Some(value.replace("%3A", ":").replace("%2F", "/"))
}

fn at(status: u16, location: &str) -> Response {
    Response::new(status, "").header("Location", location)
}

impl State {
    /// Answers a request that brings something; `None` for others.
    pub(super) fn receive(&mut self, request: &Request) -> Option<Response> {
        let path = request.path.strip_prefix("/v2/")?;
        let method = request.method.as_str();
        if let Some((name, number)) = path.split_once("/blobs/uploads/") {
            return Some(match method {
                "POST" => self.begin(name, &request.query),
                "PATCH" => self.piece(request, number.parse().ok()?),
                "PUT" => self.finish(name, request, number.parse().ok()?),
                _ => error(405, "UNSUPPORTED"),
            });
        }
        let (name, tag) = path.split_once("/manifests/")?;
        (method == "PUT").then(|| self.name(name, tag, request))
    }

    fn begin(&mut self, name: &str, query: &str) -> Response {
        let from = (parameter(query, "mount"), parameter(query, "from"));
        if let (Some(digest), Some(from)) = from
            && self.holds(&from, &digest)
        {
            self.hold(name, &digest);
            return at(201, &format!("/v2/{name}/blobs/{digest}"));
        }
        let number = self.uploads.keys().last().map_or(1, |last| last + 1);
        self.uploads.insert(number, Vec::new());
        at(202, &format!("/v2/{name}/blobs/uploads/{number}"))
    }

    fn piece(&mut self, request: &Request, number: u64) -> Response {
        let Some(upload) = self.uploads.get_mut(&number) else {
            return error(404, "BLOB_UPLOAD_UNKNOWN");
        };
        let range = request.range.as_deref().unwrap_or_default();
        let (start, _) = range.split_once('-').unwrap_or_default();
        if start.parse() != Ok(upload.len()) {
            return error(416, "BLOB_UPLOAD_INVALID");
        }
        upload.extend_from_slice(&request.body);
        let so_far = format!("0-{}", upload.len().saturating_sub(1));
        at(202, &request.path).header("Range", so_far)
    }

    fn finish(&mut self, name: &str, request: &Request, number: u64) -> Response {
        let Some(mut upload) = self.uploads.remove(&number) else {
            return error(404, "BLOB_UPLOAD_UNKNOWN");
        };
        upload.extend_from_slice(&request.body);
        let found = digest(&upload);
        if parameter(&request.query, "digest").as_ref() != Some(&found) {
            return error(400, "DIGEST_INVALID");
        }
        self.keep("application/octet-stream", upload);
        self.hold(name, &found);
        self.received.push(found.clone());
        at(201, &format!("/v2/{name}/blobs/{found}"))
    }

    fn name(&mut self, name: &str, tag: &str, request: &Request) -> Response {
        let manifest: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let layers = manifest["layers"].as_array().into_iter().flatten();
        let mut named = layers.chain([&manifest["config"]]);
        if !named.all(|it| self.holds(name, it["digest"].as_str().unwrap_or_default())) {
            return error(400, "MANIFEST_BLOB_UNKNOWN");
        }
        let kind = request.content_type.clone().unwrap_or_default();
        if manifest["mediaType"].as_str().is_some_and(|it| it != kind) {
            return error(400, "MANIFEST_INVALID");
        }
        let found = digest(&request.body);
        self.keep(&kind, request.body.clone());
        self.hold(name, &found);
        self.tags.insert(format!("{name}:{tag}"), found.clone());
        at(201, &format!("/v2/{name}/manifests/{found}")).header("Docker-Content-Digest", found)
    }
}
