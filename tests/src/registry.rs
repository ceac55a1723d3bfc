//! A registry of a test's own: images are put into it, pushed to it, pulled from it, and spoiled in it.
//!
//! It has what pulls and pushes need of the distribution specification, tokens included, and says what it was
//! asked. Repositories have each its own contents, as real ones do.

mod uploads;

use std::collections::{BTreeMap, BTreeSet};
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
    contents: BTreeMap<String, (String, Vec<u8>)>,
    /// Which repository has which digest.
    held: BTreeSet<(String, String)>,
    /// What has come of an upload, by its number.
    uploads: BTreeMap<u64, Vec<u8>>,
    /// The digests that were uploaded.
    received: Vec<String>,
    /// What requests begin with that are answered with a status, and how often.
    refusals: Vec<(String, u16, usize)>,
    /// How much one request may bring.
    limit: Option<usize>,
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
        let repository = name
            .rsplit_once(':')
            .map_or(name, |(repository, _)| repository);
        let digests = layers.iter().filter_map(|layer| layer["digest"].as_str());
        let config = config["digest"].as_str();
        for digest in digests.chain(config).chain([&*index, &*manifest]) {
            state.hold(repository, digest);
        }
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

    /// Answers the next requests that begin so, as in `PUT /v2/`, with a status; 0 is no answer at all.
    pub fn refuse(&self, begins: &str, status: u16, times: usize) {
        let mut state = lock(&self.state);
        state.refusals.push((begins.to_owned(), status, times));
    }

    /// Answers everything as it should again.
    pub fn forgive(&self) {
        let mut state = lock(&self.state);
        state.refusals.clear();
        state.limit = None;
        state.account = None;
    }

    /// Takes no request of more bytes from now on.
    pub fn limit(&self, bytes: usize) {
        lock(&self.state).limit = Some(bytes);
    }

    /// Forgets all that it has.
    pub fn empty(&self) {
        let mut state = lock(&self.state);
        state.contents.clear();
        state.held.clear();
        state.tags.clear();
    }

    /// The digests that were uploaded since the last time, sorted.
    pub fn received(&self) -> Vec<String> {
        let mut received = std::mem::take(&mut lock(&self.state).received);
        received.sort();
        received
    }

    /// The manifest under a name, as in `a/b:1`.
    pub fn manifest(&self, name: &str) -> Option<Value> {
        let state = lock(&self.state);
        let (_, bytes) = state.contents.get(state.tags.get(name)?)?;
        serde_json::from_slice(bytes).ok()
    }

    /// All names that it has, as in `a/b:1`.
    pub fn names(&self) -> Vec<String> {
        lock(&self.state).tags.keys().cloned().collect()
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
    fn keep(&mut self, media_type: &str, bytes: impl Into<Vec<u8>>) -> Value {
        let bytes = bytes.into();
        let digest = digest(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        self.contents.insert(digest, (media_type.to_owned(), bytes));
        descriptor
    }

    fn hold(&mut self, repository: &str, digest: &str) {
        self.held.insert((repository.to_owned(), digest.to_owned()));
    }

    fn holds(&self, repository: &str, digest: &str) -> bool {
        self.held
            .contains(&(repository.to_owned(), digest.to_owned()))
    }

    /// What is answered without looking.
    fn refusal(&mut self, request: &Request) -> Option<Response> {
        if self.limit.is_some_and(|limit| request.body.len() > limit) {
            return Some(error(413, "SIZE_INVALID"));
        }
        let asked = format!("{} {}", request.method, request.path);
        let mut refusals = self.refusals.iter_mut();
        let (_, status, times) =
            refusals.find(|(begins, _, times)| *times > 0 && asked.starts_with(begins.as_str()))?;
        *times -= 1;
        Some(match status {
            0 => Response::silence(),
            status => error(*status, "UNKNOWN"),
        })
    }

    fn answer(&mut self, request: &Request) -> Response {
        self.asked
            .push(format!("{} {}", request.method, request.path));
        if let Some(refusal) = self.refusal(request) {
            return refusal;
        }
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
        if let Some(answer) = self.receive(request) {
            return answer;
        }
        let path = request.path.strip_prefix("/v2/").unwrap_or_default();
        let found = if let Some((name, wanted)) = path.split_once("/manifests/") {
            let tagged = self.tags.get(&format!("{name}:{wanted}"));
            let digest = tagged.map_or(wanted, String::as_str);
            let held = self.holds(name, digest);
            self.contents.get_key_value(digest).filter(|_| held)
        } else if let Some((name, digest)) = path.split_once("/blobs/") {
            let held = self.holds(name, digest);
            self.contents.get_key_value(digest).filter(|_| held)
        } else {
            None
        };
        match found {
            Some((digest, (media_type, bytes))) => Response::new(200, bytes.clone())
                .header("Content-Type", media_type)
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
