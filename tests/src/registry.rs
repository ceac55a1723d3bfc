//! A registry of a test's own: images are put into it, pulled from it, and spoiled in it.
//!
//! It has what pulls need of the distribution specification, tokens included, and says what it was
//! asked. It doesn't store what is pushed: nothing pushes yet.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::web::{Request, Response, Web};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

#[derive(Debug, Default)]
struct State {
    /// By digest: the form and the bytes.
    contents: BTreeMap<String, (&'static str, Vec<u8>)>,
    /// By `REPOSITORY:TAG`: a digest.
    tags: BTreeMap<String, String>,
    /// As in `me:secret`; whoever has none gets nothing.
    account: Option<String>,
    asked: Vec<String>,
}

/// The registry.
#[derive(Debug)]
pub struct Registry {
    state: Arc<Mutex<State>>,
    web: Web,
}

/// What a digest is called.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

impl Registry {
    /// An empty one.
    pub fn start() -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let known = state.clone();
        let web = Web::start(move |request| lock(&known).answer(request))?;
        Ok(Self { state, web })
    }

    /// Where it listens, as references begin.
    pub fn host(&self) -> String {
        self.web.host()
    }

    /// Puts an image for one architecture under a name, through an index of several; the digests of
    /// the index and of the image's manifest.
    pub fn put(
        &self,
        name: &str,
        architecture: &str,
        config: &Value,
        layers: &[Vec<u8>],
    ) -> (String, String) {
        let mut state = lock(&self.state);
        let layers: Vec<Value> = layers
            .iter()
            .map(|layer| state.keep(LAYER, layer.clone()))
            .collect();
        let diff_ids: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "config": config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = state.keep(CONFIG, config.to_string());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        });
        let mut image = state.keep(MANIFEST, manifest.to_string());
        let manifest = image["digest"].as_str().unwrap_or_default().to_owned();
        image["platform"] = json!({"os": "linux", "architecture": architecture});
        let mut other = image.clone();
        other["platform"]["architecture"] = json!("other");
        other["digest"] = json!(digest(b"an image that nobody may ask for"));
        let index = json!({
            "schemaVersion": 2, "mediaType": INDEX, "manifests": [other, image],
        });
        let index = state.keep(INDEX, index.to_string());
        let index = index["digest"].as_str().unwrap_or_default().to_owned();
        state.tags.insert(name.to_owned(), index.clone());
        (index, manifest)
    }

    /// Gives other bytes under a digest from now on.
    pub fn spoil(&self, digest: &str) {
        let mut state = lock(&self.state);
        if let Some((_, bytes)) = state.contents.get_mut(digest) {
            // As long as before, so that only the digest tells.
            for byte in bytes {
                *byte ^= 1;
            }
        }
    }

    /// Lets only this account in from now on, as in `me:secret`.
    pub fn close(&self, account: &str) {
        lock(&self.state).account = Some(account.to_owned());
    }

    /// What it was asked since the last time, as in `GET /v2/name/manifests/tag`.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.state).asked)
    }
}

/// A test that failed while it held the lock has said so itself.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The token that an account gets.
fn token(account: &str) -> String {
    digest(account.as_bytes()).replace(':', "-")
}

fn error(status: u16, code: &str) -> Response {
    let errors = json!({"errors": [{"code": code, "message": code.to_lowercase()}]});
    Response::new(status, errors.to_string()).header("Content-Type", "application/json")
}

impl State {
    fn keep(&mut self, media_type: &'static str, bytes: impl Into<Vec<u8>>) -> Value {
        let bytes = bytes.into();
        let digest = digest(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        self.contents.insert(digest, (media_type, bytes));
        descriptor
    }

    fn answer(&mut self, request: &Request) -> Response {
        self.asked
            .push(format!("{} {}", request.method, request.path));
        if request.path == "/token" {
            return self.give_token(request);
        }
        if let Some(account) = &self.account {
            let bearer = format!("Bearer {}", token(account));
            if request.authorization.as_ref() != Some(&bearer) {
                let way = format!(
                    "Bearer realm=\"http://{}/token\",service=\"tests\"",
                    request.host
                );
                return error(401, "UNAUTHORIZED").header("WWW-Authenticate", way);
            }
        }
        if request.path == "/v2/" {
            return Response::new(200, "{}");
        }
        let path = request.path.strip_prefix("/v2/").unwrap_or_default();
        let found = if let Some((name, wanted)) = path.split_once("/manifests/") {
            let tagged = self.tags.get(&format!("{name}:{wanted}"));
            let digest = tagged.map_or(wanted, String::as_str);
            self.contents.get_key_value(digest)
        } else if let Some((_, digest)) = path.split_once("/blobs/") {
            self.contents.get_key_value(digest)
        } else {
            None
        };
        match found {
            Some((digest, (media_type, bytes))) => Response::new(200, bytes.clone())
                .header("Content-Type", *media_type)
                .header("Docker-Content-Digest", digest),
            None => error(404, "MANIFEST_UNKNOWN"),
        }
    }

    fn give_token(&self, request: &Request) -> Response {
        use base64::Engine as _;
        let account = self.account.clone().unwrap_or_default();
        let basic = base64::engine::general_purpose::STANDARD.encode(&account);
        if request.authorization != Some(format!("Basic {basic}")) {
            return error(401, "UNAUTHORIZED");
        }
        let answer = json!({"token": token(&account)});
        Response::new(200, answer.to_string()).header("Content-Type", "application/json")
    }
}
