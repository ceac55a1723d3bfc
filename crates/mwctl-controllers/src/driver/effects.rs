//! The one place where anything is changed in the cluster: actions become requests, answers become sightings.
//!
//! It decides nothing but what an answer means.

use std::sync::Arc;

use futures::future::try_join_all;
use kube::Client;
use kube::api::{
    DeleteParams, DynamicObject, GetParams, ListParams, Patch, PatchParams, PostParams,
    Preconditions, PropagationPolicy,
};
use kube::core::{ApiResource, ObjectList, PartialObjectMeta, Request, Status};
use kube::{Error, Resource};
use serde_json::{Value, json};

use super::{Job, Outcome, Sighting};
use crate::action::{Action, Announcement, Note, Propagation, Target};
use crate::discovery::Served;
use crate::observed::{Key, Kind, Object, Refused, Traced};

/// Carries out a job's actions, in their order, to the end or to the first refusal.
pub(super) async fn carry_out(client: Client, served: Arc<Served>, job: Job) -> Outcome {
    let mut outcome = Outcome {
        item: job.item,
        sightings: Vec::new(),
        notes: Vec::new(),
        refused: None,
    };
    for action in job.actions {
        let announcement = announcement_of(&action).cloned();
        let told_name = name_of(&action);
        match perform(&client, &served, action).await {
            Ok(done) => {
                let name = done.name.or(told_name).unwrap_or_default();
                outcome.sightings.extend(done.sightings);
                (outcome.notes).extend(done.note);
                (outcome.notes).extend(announcement.and_then(|it| it.of_success(&name)));
            }
            Err(refusal) => {
                outcome.sightings.extend(refusal.sightings);
                if refusal.is_final {
                    continue;
                }
                let name = told_name.unwrap_or_default();
                (outcome.notes)
                    .extend(announcement.and_then(|it| it.of_refusal(&name, &refusal.message)));
                outcome.refused = Some(Refused {
                    verb: refusal.verb,
                    reason: refusal.reason,
                    message: refusal.message,
                });
                break;
            }
        }
    }
    outcome
}

/// What an action has brought.
#[derive(Default)]
struct Done {
    sightings: Vec<Sighting>,
    name: Option<String>,
    note: Option<Note>,
}

impl Done {
    fn saw(object: Object) -> Self {
        Self {
            name: object.meta().name.clone(),
            sightings: vec![Sighting::Saw(object)],
            note: None,
        }
    }

    fn lost(uid: String) -> Self {
        Self {
            sightings: vec![Sighting::Lost(uid)],
            ..Self::default()
        }
    }
}

/// Why an action wasn't done.
struct Refusal {
    verb: &'static str,
    reason: String,
    message: String,
    sightings: Vec<Sighting>,
    /// Whether trying again can't help, and nobody needs to know: the namespace is about to go.
    is_final: bool,
}

impl Refusal {
    fn new(verb: &'static str, error: &Error) -> Self {
        let (reason, message, is_final) = match error {
            Error::Api(status) => (
                status.reason.clone(),
                status.message.clone(),
                is_terminating(status),
            ),
            other => (String::new(), other.to_string(), false),
        };
        Self {
            verb,
            reason,
            message,
            sightings: Vec::new(),
            is_final,
        }
    }

    fn is_not_found(&self) -> bool {
        self.reason == "NotFound"
    }

    fn local(verb: &'static str, error: &dyn std::error::Error) -> Self {
        Self {
            verb,
            reason: String::new(),
            message: error.to_string(),
            sightings: Vec::new(),
            is_final: false,
        }
    }
}

fn is_terminating(status: &Status) -> bool {
    (status.details.iter().flat_map(|details| &details.causes))
        .any(|cause| cause.reason == "NamespaceTerminating")
}

fn announcement_of(action: &Action) -> Option<&Announcement> {
    match action {
        Action::Create(_, announcement)
        | Action::Patch { announcement, .. }
        | Action::Delete { announcement, .. }
        | Action::Bind { announcement, .. } => announcement.as_ref(),
        _ => None,
    }
}

fn name_of(action: &Action) -> Option<String> {
    match action {
        Action::Create(object, _) => object.meta().name.clone(),
        Action::Patch { target, .. }
        | Action::Delete { target, .. }
        | Action::Bind { target, .. } => Some(target.key.name.clone()),
        _ => None,
    }
}

async fn perform(client: &Client, served: &Served, action: Action) -> Result<Done, Refusal> {
    match action {
        Action::Create(object, _) => create(client, object).await,
        Action::UpdateStatus(object) => update_status(client, &object).await,
        Action::Patch {
            target,
            subresource,
            patch,
            ..
        } => patch_one(client, &target, subresource, patch).await,
        Action::Delete {
            target,
            propagation,
            grace,
            ..
        } => delete(client, target, propagation, grace).await,
        Action::Bind { target, node, .. } => bind(client, &target, &node).await,
        Action::Trace {
            api_version,
            kind,
            key,
            uid,
        } => trace(client, served, &api_version, &kind, key, uid).await,
        Action::Finalize(target) => finalize(client, served, &target).await,
        Action::Record(note) => Ok(Done {
            note: Some(note),
            ..Done::default()
        }),
        Action::WakeAt(_) => Ok(Done::default()),
    }
}

fn path(resource: &ApiResource, namespace: &str) -> String {
    DynamicObject::url_path(resource, Some(namespace).filter(|it| !it.is_empty()))
}

/// Reads an answer that is the object itself.
fn read(resource: &Arc<ApiResource>, text: &str) -> serde_json::Result<Object> {
    match Kind::of(resource) {
        Some(kind) => kind.parse(text.as_bytes()),
        None => serde_json::from_str::<PartialObjectMeta>(text).map(|object| {
            Object::Other(Arc::new(Traced {
                resource: Arc::clone(resource),
                meta: object.metadata,
            }))
        }),
    }
}

fn parse(verb: &'static str, resource: &Arc<ApiResource>, text: &str) -> Result<Object, Refusal> {
    read(resource, text).map_err(|error| Refusal::local(verb, &error))
}

async fn send(
    client: &Client,
    verb: &'static str,
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<String, Refusal> {
    let request = request.map_err(|error| Refusal::local(verb, &error))?;
    (client.request_text(request).await).map_err(|error| Refusal::new(verb, &error))
}

async fn create(client: &Client, object: Object) -> Result<Done, Refusal> {
    let resource = Arc::clone(object.resource());
    let key = object.key();
    let body = (object.to_json()).map_err(|error| Refusal::local("create", &error))?;
    let base = path(&resource, &key.namespace);
    let request = Request::new(base.clone()).create(&PostParams::default(), body);
    let answer = match send(client, "create", request).await {
        Ok(answer) => answer,
        Err(mut refusal) => {
            // What is in the way may be ours, and only not seen yet.
            if refusal.reason == "AlreadyExists" {
                let request = Request::new(base).get(&key.name, &GetParams::default());
                if let Ok(answer) = send(client, "get", request).await
                    && let Ok(object) = read(&resource, &answer)
                {
                    refusal.sightings.push(Sighting::Saw(object));
                }
            }
            return Err(refusal);
        }
    };
    Ok(Done::saw(parse("create", &resource, &answer)?))
}

async fn update_status(client: &Client, object: &Object) -> Result<Done, Refusal> {
    let resource = object.resource();
    let key = object.key();
    let body = (object.to_json()).map_err(|error| Refusal::local("update", &error))?;
    let request = Request::new(path(resource, &key.namespace)).replace_subresource(
        "status",
        &key.name,
        &PostParams::default(),
        body,
    );
    let answer = send(client, "update", request).await?;
    Ok(Done::saw(parse("update", resource, &answer)?))
}

async fn patch_one(
    client: &Client,
    target: &Target,
    subresource: Option<&'static str>,
    mut patch: Value,
) -> Result<Done, Refusal> {
    // Exactly that object: a patch of another uid is refused by the server.
    patch["metadata"]["uid"] = json!(target.uid);
    let request = Request::new(path(&target.resource, &target.key.namespace));
    let (name, params, patch) = (
        &target.key.name,
        PatchParams::default(),
        Patch::Merge(patch),
    );
    let request = match subresource {
        Some(subresource) => request.patch_subresource(subresource, name, &params, &patch),
        None => request.patch(name, &params, &patch),
    };
    match send(client, "patch", request).await {
        Ok(answer) => Ok(Done::saw(parse("patch", &target.resource, &answer)?)),
        Err(refusal) if refusal.is_not_found() => Ok(Done::lost(target.uid.clone())),
        Err(refusal) => Err(refusal),
    }
}

async fn delete(
    client: &Client,
    target: Target,
    propagation: Option<Propagation>,
    grace: Option<u32>,
) -> Result<Done, Refusal> {
    let params = DeleteParams {
        propagation_policy: propagation.map(|propagation| match propagation {
            Propagation::Background => PropagationPolicy::Background,
            Propagation::Foreground => PropagationPolicy::Foreground,
            Propagation::Orphan => PropagationPolicy::Orphan,
        }),
        grace_period_seconds: grace,
        preconditions: Some(Preconditions {
            uid: Some(target.uid.clone()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    let request = Request::new(path(&target.resource, &target.key.namespace))
        .delete(&target.key.name, &params);
    match send(client, "delete", request).await {
        // A Status instead of the object says that it is gone at once.
        Ok(answer) => Ok(match read(&target.resource, &answer) {
            Ok(object) if object.uid() == target.uid => Done::saw(object),
            _ => Done::lost(target.uid),
        }),
        Err(refusal) if refusal.is_not_found() => Ok(Done::lost(target.uid)),
        Err(refusal) => Err(refusal),
    }
}

async fn bind(client: &Client, target: &Target, node: &str) -> Result<Done, Refusal> {
    let body = json!({
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": target.key.name, "namespace": target.key.namespace, "uid": target.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    let request = Request::new(path(&target.resource, &target.key.namespace)).create_subresource(
        "binding",
        &target.key.name,
        &PostParams::default(),
        body.to_string().into_bytes(),
    );
    send(client, "bind", request).await?;
    // The answer is a Status. The pod as it is now keeps the next decision from taking the same room twice.
    let request = Request::new(path(&target.resource, &target.key.namespace))
        .get(&target.key.name, &GetParams::default());
    let answer = send(client, "get", request).await?;
    Ok(Done::saw(parse("get", &target.resource, &answer)?))
}

async fn trace(
    client: &Client,
    served: &Served,
    api_version: &str,
    kind: &str,
    key: Key,
    uid: String,
) -> Result<Done, Refusal> {
    let Some(found) = served.find(api_version, kind) else {
        // A kind that nobody serves may come back; its dependents are left alone.
        return Ok(Done::default());
    };
    let namespace = if found.is_namespaced {
        &key.namespace
    } else {
        ""
    };
    let request = Request::new(path(&found.resource, namespace))
        .get_metadata(&key.name, &GetParams::default());
    match send(client, "get", request).await {
        Ok(answer) => {
            let object: PartialObjectMeta =
                serde_json::from_str(&answer).map_err(|error| Refusal::local("get", &error))?;
            if object.metadata.uid.as_deref() == Some(uid.as_str()) {
                // It exists: the watch of its kind is about to show it, and wakes us then.
                return Ok(Done::default());
            }
            Ok(Done::lost(uid))
        }
        Err(refusal) if refusal.is_not_found() => Ok(Done::lost(uid)),
        Err(refusal) => Err(refusal),
    }
}

async fn finalize(client: &Client, served: &Served, target: &Target) -> Result<Done, Refusal> {
    let namespace = &target.key.name;
    if let Some(events) = served.find("v1", "Event") {
        // Nobody follows them, since there are too many; so they go all at once, as the last.
        let (all, plain) = (ListParams::default(), DeleteParams::default());
        let request = Request::new(path(&events.resource, namespace));
        send(client, "delete", request.delete_collection(&plain, &all)).await?;
    }
    let left = (served.namespaced()).map(|resource| left_in(client, resource, namespace));
    let left: Vec<_> = try_join_all(left).await?.into_iter().flatten().collect();
    if !left.is_empty() {
        return Err(Refusal {
            verb: "finalize",
            reason: String::new(),
            message: format!("{} objects are left", left.len()),
            sightings: left.into_iter().flatten().collect(),
            is_final: false,
        });
    }
    let base = path(&target.resource, "");
    let request = Request::new(base.clone()).get(namespace, &GetParams::default());
    let answer = match send(client, "get", request).await {
        Ok(answer) => answer,
        Err(refusal) if refusal.is_not_found() => return Ok(Done::lost(target.uid.clone())),
        Err(refusal) => return Err(refusal),
    };
    let mut body: Value =
        serde_json::from_str(&answer).map_err(|error| Refusal::local("get", &error))?;
    if let Some(finalizers) = body["spec"]["finalizers"].as_array_mut() {
        finalizers.retain(|finalizer| finalizer != "kubernetes");
    }
    let request = Request::new(base).replace_subresource(
        "finalize",
        namespace,
        &PostParams::default(),
        body.to_string().into_bytes(),
    );
    send(client, "update", request).await?;
    Ok(Done::default())
}

/// What is still in a namespace of one kind: a sighting for each object, where metadata is all that is wanted.
async fn left_in(
    client: &Client,
    resource: &Arc<ApiResource>,
    namespace: &str,
) -> Result<Vec<Option<Sighting>>, Refusal> {
    let request = Request::new(path(resource, namespace)).list_metadata(&ListParams::default());
    let answer = match send(client, "list", request).await {
        Ok(answer) => answer,
        Err(refusal) if refusal.is_not_found() => return Ok(Vec::new()),
        Err(refusal) => return Err(refusal),
    };
    let list: ObjectList<PartialObjectMeta> =
        serde_json::from_str(&answer).map_err(|error| Refusal::local("list", &error))?;
    let is_typed = Kind::of(resource).is_some();
    let sighting = |object: PartialObjectMeta| {
        Sighting::Saw(Object::Other(Arc::new(Traced {
            resource: Arc::clone(resource),
            meta: object.metadata,
        })))
    };
    Ok((list.items.into_iter())
        .map(|object| (!is_typed).then(|| sighting(object)))
        .collect())
}
