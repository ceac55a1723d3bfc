//! Requests about objects: the method and the place make a verb, the verb is the registry's.

use super::accept::{self, Form};
use super::parameters::Parameters;
use super::path;
use super::respond::{self, Body};
use super::watch::Watch;
use super::{Api, BodyError, body, header_text, metrics, no_page, not_allowed, reviews};
use crate::access::{self, Attributes, Decision, User};
use crate::decode::{self, Strictness};
use crate::patch::PatchKind;
use crate::registry::{
    Answer, Change, DeleteOptions, Deleted, Registry, Target, WriteOptions, views,
};
use crate::schema::{Gvk, Subresource};
use crate::status::Status;
use crate::storage::Object;
use crate::table::{self, Include};
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, header};
use serde_json::{Value, json};
use std::time::Duration;

/// How long a watch lasts whose client does not say.
const WATCH: Duration = Duration::from_mins(30);

/// The subresource below which everything is a pod's own.
const PROXY: &str = "proxy";

/// A request about objects.
pub(super) struct Call<'a> {
    pub(super) api: &'a Api,
    pub(super) parts: &'a Parts,
    pub(super) user: User,
    pub(super) parameters: Parameters,
}

impl Call<'_> {
    pub(super) async fn answer<B>(
        &self,
        place: path::Resource,
        body: B,
    ) -> Result<Response<Body>, Status>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<BodyError>,
    {
        if place.group == metrics::GROUP && metrics::is_served(self.api.backends()) {
            return self.metrics(&place).await;
        }
        let registry = self.registry();
        let resource = registry
            .resource(&place.group, &place.version, &place.plural)
            .ok_or_else(no_page)?;
        let in_namespace = !place.namespace.is_empty();
        let one_without = resource.namespaced && !in_namespace && !place.name.is_empty();
        if (in_namespace && !resource.namespaced) || one_without {
            return Err(no_page());
        }
        if !place.subresource.is_empty() && !resource.has_subresource(&place.subresource) {
            return Err(no_page());
        }
        let target = Target {
            resource,
            namespace: place.namespace,
            name: place.name,
            subresource: place.subresource,
        };
        let watches = place.watch || self.parameters.flag("watch");
        self.authorize(&target, watches)?;
        let answer = self.carry_out(&target, watches, body).await;
        let Some(warning) = deprecation(&target.resource.gvk) else {
            return answer;
        };
        let answer = answer.unwrap_or_else(|refusal| respond::refusal(&refusal));
        Ok(respond::with_warnings(answer, &[warning.to_owned()]))
    }

    async fn carry_out<B>(
        &self,
        target: &Target,
        watches: bool,
        body: B,
    ) -> Result<Response<Body>, Status>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<BodyError>,
    {
        if target.subresource == PROXY {
            return self.proxy(target, body).await;
        }
        if matches!(self.parts.method, Method::GET | Method::POST)
            && let Some(answer) = self.stream(target).await
        {
            return answer;
        }
        if self.parts.method == Method::GET {
            return self.read(target, watches);
        }
        let bytes = body::read(body).await?;
        match self.parts.method {
            Method::POST => self.post(target, &bytes),
            Method::PUT if !target.name.is_empty() => self.put(target, &bytes),
            Method::PATCH if !target.name.is_empty() => self.patch(target, &bytes),
            Method::DELETE if target.subresource.is_empty() => self.delete(target, &bytes),
            _ => Err(not_allowed()),
        }
    }

    /// Refuses who may not do what they ask for.
    fn authorize(&self, target: &Target, watches: bool) -> Result<(), Status> {
        let one = !target.name.is_empty();
        let verb = match self.parts.method {
            Method::GET | Method::HEAD if one => "get",
            Method::GET | Method::HEAD if watches => "watch",
            Method::GET | Method::HEAD => "list",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if one => "delete",
            Method::DELETE => "deletecollection",
            // Whatever a pod understands.
            _ if target.subresource == PROXY => "",
            _ => return Err(not_allowed()),
        };
        let mut asked = target.asked();
        let options = if one {
            None
        } else {
            Some(self.parameters.list_options(&target.resource.gvk)?)
        };
        if let Some(options) = options.as_ref().filter(|_| verb != "create") {
            asked.name = options
                .selector
                .fields
                .equal("metadata.name")
                .unwrap_or_default();
            asked.node = options
                .selector
                .fields
                .equal("spec.nodeName")
                .unwrap_or_default();
        }
        let attributes = Attributes {
            verb,
            target: access::Target::Resource(asked),
        };
        match reviews::decide(self.registry(), &self.user, &attributes) {
            Decision::Allowed(_) => Ok(()),
            Decision::Refused(why) => Err(access::forbidden(&self.user, &attributes, &why)),
        }
    }

    /// The options of a write by this request's user; `kind` is theirs, such as `CreateOptions`.
    fn write_options(&self, kind: &str) -> Result<WriteOptions, Status> {
        let agent = header_text(self.parts, header::USER_AGENT);
        let mut options = self.parameters.write_options(kind, agent)?;
        options.user = Some(self.user.clone());
        Ok(options)
    }

    fn registry(&self) -> &Registry {
        &self.api.registry
    }

    /// The form of the answer.
    pub(super) fn form(&self) -> Result<Form, Status> {
        let include = self.parameters.get("includeObject");
        let include = Include::parse(include).ok_or_else(|| {
            Status::bad_request(format!("unrecognized includeObject value: \"{include}\""))
        })?;
        self.form_with(Some(include))
    }

    /// The form of the answer; `tables` is none for what is never shown as one.
    fn form_with(&self, tables: Option<Include>) -> Result<Form, Status> {
        let accept = header_text(self.parts, header::ACCEPT);
        accept::form(accept, tables).ok_or_else(|| {
            let message = "only the following media types are accepted: application/json";
            Status::new(406, "NotAcceptable", message)
        })
    }

    fn read(&self, target: &Target, watches: bool) -> Result<Response<Body>, Status> {
        let form = self.form()?;
        let verb = match (target.name.is_empty(), watches) {
            (true, true) => "watch",
            (true, false) => "list",
            (false, _) => "get",
        };
        require(target, verb)?;
        let at_rest = self.registry().at_rest(target);
        if !target.name.is_empty() {
            if target.subresource == "scale" {
                let scale = self.registry().scale(target)?;
                return Ok(respond::object(200, table::scale(), form, &scale));
            }
            let object = target.resource.show(self.registry().get(&at_rest)?);
            return Ok(respond::object(200, &target.resource, form, &object));
        }
        let options = self.parameters.list_options(&target.resource.gvk)?;
        if !watches {
            let page = self.registry().list(&at_rest, &options)?;
            return Ok(respond::list(&target.resource, form, page));
        }
        let start = self.registry().watch(&at_rest, &options)?;
        let watch = Watch {
            resource: target.resource.clone(),
            namespace: target.namespace.clone(),
            selector: options.selector,
            form,
            bookmarks: self.parameters.flag("allowWatchBookmarks"),
            timeout: self
                .parameters
                .timeout()?
                .map_or(WATCH, Duration::from_secs),
        };
        Ok(watch.begin(start))
    }

    fn post(&self, target: &Target, bytes: &[u8]) -> Result<Response<Body>, Status> {
        require(target, "create")?;
        if target.name.is_empty() != target.subresource.is_empty() {
            return Err(not_allowed());
        }
        let options = self.write_options("CreateOptions")?;
        let (object, warnings) = self.decode(target, bytes, options.strictness)?;
        if let Some(review) = reviews::answer(self, target, &object) {
            let form = self.form_with(None)?;
            let answer = Object::unstored(review?);
            return Ok(respond::object(201, &target.resource, form, &answer.into()));
        }
        match target.subresource.as_str() {
            "" => {
                let at_rest = self.registry().at_rest(target);
                let answer = self.registry().create(&at_rest, object, &options)?;
                self.written(target, answer, warnings)
            }
            "binding" => {
                self.registry().bind(target, &object, &options)?;
                Ok(respond::value(201, &success(201)))
            }
            "eviction" => {
                self.registry()
                    .evict(target, &object, &options, &self.user)?;
                Ok(respond::value(201, &success(201)))
            }
            _ => Err(not_allowed()),
        }
    }

    /// The object in a body, and warnings for the client.
    fn decode(
        &self,
        target: &Target,
        bytes: &[u8],
        strictness: Strictness,
    ) -> Result<(Value, Vec<String>), Status> {
        let kind = kind_at(target);
        let own = kind == &target.resource.gvk;
        let decoded = match target.resource.definition().filter(|_| own) {
            Some(definition) => body::custom(definition, self.parts, bytes, strictness),
            None => body::object(
                target.resource.schema(),
                kind,
                self.parts,
                bytes,
                strictness,
            ),
        };
        let (object, warnings) = decoded?;
        if own && views::is_newer_event(kind) {
            return Ok((views::stored_event(object), warnings));
        }
        Ok((object, warnings))
    }

    fn put(&self, target: &Target, bytes: &[u8]) -> Result<Response<Body>, Status> {
        require(target, "update")?;
        let options = self.write_options("UpdateOptions")?;
        let (object, warnings) = self.decode(target, bytes, options.strictness)?;
        let answer = match target.subresource.as_str() {
            "finalize" => self.registry().finalize(target, &object, &options)?,
            "scale" => self
                .registry()
                .change_scale(target, &Change::Replace(object), &options)?,
            _ => {
                let at_rest = self.registry().at_rest(target);
                let change = Change::Replace(object);
                self.registry().change(&at_rest, &change, &options)?
            }
        };
        self.written(target, answer, warnings)
    }

    fn patch(&self, target: &Target, bytes: &[u8]) -> Result<Response<Body>, Status> {
        require(target, "patch")?;
        let options = self.write_options("PatchOptions")?;
        let json = || -> Result<Value, Status> {
            serde_json::from_slice(bytes)
                .map_err(|fault| Status::bad_request(format!("error decoding patch: {fault}")))
        };
        let mut warnings = Vec::new();
        let change = match body::media(self.parts) {
            "application/json-patch+json" => Change::Patch(PatchKind::Json, json()?),
            "application/merge-patch+json" => Change::Patch(PatchKind::Merge, json()?),
            "application/strategic-merge-patch+json" => {
                Change::Patch(PatchKind::StrategicMerge, json()?)
            }
            "application/apply-patch+yaml" => {
                let (body, doubled) = decode::applied(bytes, options.strictness)?;
                warnings.extend(doubled);
                let force = self.parameters.flag("force");
                Change::Apply { body, force }
            }
            _ => {
                return Err(Status::new(
                    415,
                    "UnsupportedMediaType",
                    "415: Unsupported Media Type",
                )
                .about("", "", ""));
            }
        };
        let answer = if target.subresource == "scale" {
            self.registry().change_scale(target, &change, &options)?
        } else {
            let at_rest = self.registry().at_rest(target);
            let change = change.into_stored(&target.resource.gvk);
            self.registry().change(&at_rest, &change, &options)?
        };
        self.written(target, answer, warnings)
    }

    fn delete(&self, target: &Target, bytes: &[u8]) -> Result<Response<Body>, Status> {
        let mut body = json!({});
        if !bytes.is_empty() {
            let kind = Gvk {
                group: String::new(),
                version: "v1".to_owned(),
                kind: "DeleteOptions".to_owned(),
            };
            body = body::object(
                self.registry().schema(),
                &kind,
                self.parts,
                bytes,
                Strictness::Ignore,
            )?
            .0;
        }
        self.parameters.complete_delete_options(&mut body)?;
        let mut options = DeleteOptions::parse(&body)?;
        options.user = Some(self.user.clone());
        let at_rest = self.registry().at_rest(target);
        if target.name.is_empty() {
            require(target, "deletecollection")?;
            let list = self.parameters.list_options(&target.resource.gvk)?;
            let page = (self.registry()).delete_collection(&at_rest, &list, &options)?;
            return Ok(respond::list(&target.resource, self.form()?, page));
        }
        require(target, "delete")?;
        match self.registry().delete(&at_rest, &options)? {
            Deleted::Object(object) => Ok(respond::object(
                200,
                &target.resource,
                self.form()?,
                &target.resource.show(object),
            )),
            Deleted::Gone(object) => {
                let mut told = success(200);
                told["details"] = json!({"name": object.name(), "kind": target.resource.plural, "uid": object.uid()});
                if !target.resource.gvk.group.is_empty() {
                    told["details"]["group"] = json!(target.resource.gvk.group);
                }
                Ok(respond::value(200, &told))
            }
        }
    }

    /// The answer to a write.
    fn written(
        &self,
        target: &Target,
        answer: Answer,
        mut warnings: Vec<String>,
    ) -> Result<Response<Body>, Status> {
        warnings.extend(answer.warnings);
        let code = if answer.created { 201 } else { 200 };
        let object = match target.subresource.as_str() {
            "scale" => answer.object,
            _ => target.resource.show(answer.object),
        };
        let response = respond::object(code, &target.resource, self.form()?, &object);
        Ok(respond::with_warnings(response, &warnings))
    }
}

/// What whoever uses a kind of the past is told, whatever they ask of it.
fn deprecation(kind: &Gvk) -> Option<&'static str> {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Endpoints") => {
            Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
        }
        ("", "ComponentStatus") => Some("v1 ComponentStatus is deprecated in v1.19+"),
        _ => None,
    }
}

/// Refuses what a resource doesn't offer.
fn require(target: &Target, verb: &str) -> Result<(), Status> {
    let own = subresource(target).map(|own| &own.verbs);
    let verbs = own.unwrap_or(&target.resource.verbs);
    if verbs.iter().any(|known| known == verb) {
        Ok(())
    } else {
        Err(not_allowed())
    }
}

/// The kind that is read and written at a place.
fn kind_at(target: &Target) -> &Gvk {
    subresource(target).map_or(&target.resource.gvk, |own| &own.gvk)
}

fn subresource(target: &Target) -> Option<&Subresource> {
    let subresources = &target.resource.subresources;
    subresources
        .iter()
        .find(|known| known.name == target.subresource)
}

/// The answer to what leaves nothing to show.
fn success(code: u16) -> Value {
    let mut told =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
    if code != 200 {
        told["code"] = json!(code);
    }
    told
}
