//! The API over HTTP: what a request asks, who asks it, and the answer in the form that was wished for.
//!
//! One function answers every request ([`Api::answer`]); connections, TLS and sockets are [`crate::server`]'s. What is asked of objects is
//! the registry's to do.

mod accept;
mod authenticate;
mod body;
mod health;
mod metrics;
mod parameters;
mod path;
mod pods;
mod proxy;
mod respond;
mod reviews;
mod tokens;
mod verbs;
mod watch;

pub use respond::Body;

use crate::access::{self, Attributes, Decision};
use crate::backend::Backends;
use crate::discovery;
use crate::openapi::Documents;
use crate::registry::{Definitions, Registry};
use crate::schema::Resource;
use crate::status::Status;
use authenticate::Credentials;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, header};
use parameters::Parameters;
use path::Place;
use std::sync::{Arc, Mutex, PoisonError};
use tokens::Tokens;
use verbs::Call;

/// The API of one cluster.
#[derive(Debug)]
pub struct Api {
    registry: Registry,
    /// As of one revision of the definitions.
    documents: Mutex<(u64, Arc<Documents>)>,
    credentials: Credentials,
}

/// `OpenAPI` v2 as old clients of Kubernetes ask for it.
const OPENAPI_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// Why a body could not be read.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

impl Api {
    /// The API of an empty cluster.
    pub fn new(registry: Registry) -> Result<Self, Status> {
        Ok(Self {
            documents: Mutex::default(),
            registry,
            credentials: Credentials::random()?,
        })
    }

    /// The objects.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The nodes that run pods, as far as they are in this process.
    pub fn backends(&self) -> &Backends {
        self.registry.nodes()
    }

    /// The bearer token of the administrator.
    pub fn admin_token(&self) -> &str {
        self.credentials.admin_token()
    }

    /// Answers a request. An [`access::User`] among its extensions is who asks; without one, its bearer token tells.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<BodyError>,
    {
        let (parts, body) = request.into_parts();
        let answer = self.route(&parts, body).await;
        if let Err(refusal) = &answer {
            tracing::debug!(method = %parts.method, uri = %parts.uri, code = refusal.code, "{refusal}");
        }
        answer.unwrap_or_else(|refusal| respond::refusal(&refusal))
    }

    async fn route<B>(&self, parts: &Parts, body: B) -> Result<Response<Body>, Status>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<BodyError>,
    {
        let user = self.credentials.user(&self.registry, parts)?;
        let place = match Place::parse(parts.uri.path()) {
            Place::Resource(place) => {
                let call = Call {
                    api: self,
                    parts,
                    user,
                    parameters: Parameters::parse(parts.uri.query()),
                };
                return call.answer(place, body).await;
            }
            place => place,
        };
        let verb = parts.method.as_str().to_lowercase();
        let attributes = Attributes {
            verb: &verb,
            target: access::Target::Path(parts.uri.path()),
        };
        if let Decision::Refused(why) = reviews::decide(&self.registry, &user, &attributes) {
            return Err(access::forbidden(&user, &attributes, &why));
        }
        if parts.method != Method::GET {
            return Err(not_allowed());
        }
        let definitions = self.registry.definitions();
        let schema = self.registry.schema();
        let custom = definitions.iter().map(|definition| definition.resource());
        let measured = metrics::resources(self.backends()).iter();
        let all = schema.resources.iter().chain(custom).chain(measured);
        let resources: Vec<&Resource> = all.collect();
        let accept = header_text(parts, header::ACCEPT);
        let (media, document) = match (&place, accept::discovery(accept)) {
            (Place::CoreVersions | Place::Groups, accept::Discovery::Aggregated(version)) => {
                let media = format!(
                    "application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
                );
                (
                    media,
                    Some(discovery::aggregated(
                        &resources,
                        version,
                        place == Place::CoreVersions,
                    )),
                )
            }
            (place, _) => {
                let document = match place {
                    Place::CoreVersions => Some(discovery::core_versions()),
                    Place::Groups => Some(discovery::groups(&resources)),
                    Place::Group(group) => discovery::group(&resources, group),
                    Place::Resources(group, version) => {
                        discovery::of_version(&resources, group, version)
                    }
                    Place::Other(path) => {
                        return self
                            .document(path, accept, &definitions)
                            .ok_or_else(no_page);
                    }
                    Place::Resource(_) => None,
                };
                ("application/json".to_owned(), document)
            }
        };
        let document = document.ok_or_else(no_page)?;
        Ok(respond::bytes(200, &media, document.to_string()))
    }
}

impl Api {
    /// The documents of all kinds, which are made anew when a definition has changed.
    fn documents(&self, definitions: &Definitions) -> Arc<Documents> {
        let mut current = self
            .documents
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if current.1.is_empty() || current.0 != definitions.revision() {
            let custom = definitions
                .iter()
                .map(|definition| definition.schema().clone());
            let schemas = std::iter::once(self.registry.schema().clone()).chain(custom);
            let documents = current.1.succeed(schemas.collect());
            *current = (definitions.revision(), Arc::new(documents));
        }
        current.1.clone()
    }

    /// What is at a path that is no resource and no discovery.
    fn document(
        &self,
        path: &[String],
        accept: &str,
        definitions: &Definitions,
    ) -> Option<Response<Body>> {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let documents = || self.documents(definitions);
        match path.as_slice() {
            ["openapi", "v3"] => Some(respond::value(200, &documents().index())),
            ["openapi", "v3", rest @ ..] => {
                let document = documents().v3(&rest.join("/"))?;
                Some(respond::shared("application/json", document))
            }
            ["openapi", "v2"] if accept::names(accept, OPENAPI_PROTOBUF) => {
                let media = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
                Some(respond::shared(media, documents().v2_protobuf()))
            }
            ["openapi", "v2"] => Some(respond::shared("application/json", documents().v2_json())),
            [".well-known", "openid-configuration"] => {
                Some(respond::value(200, &Tokens::configuration()))
            }
            ["openid", "v1", "jwks"] => {
                let keys = self.credentials.tokens.keys().to_string();
                Some(respond::bytes(200, "application/jwk-set+json", keys))
            }
            path => health::answer(path),
        }
    }
}

/// A header as text; empty where there is none, or none that is text.
fn header_text(parts: &Parts, name: header::HeaderName) -> &str {
    parts
        .headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn no_page() -> Status {
    Status::new(
        404,
        "NotFound",
        "the server could not find the requested resource",
    )
    .about("", "", "")
}

fn not_allowed() -> Status {
    let message = "the server does not allow this method on the requested resource";
    Status::new(405, "MethodNotAllowed", message).about("", "", "")
}
