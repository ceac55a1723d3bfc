//! Questions that are asked by creating an object, which is answered and not stored: who am I, whose is this token, may I do this.

use super::tokens::{AUDIENCE, Account};
use super::verbs::Call;
use crate::access::{self, Attributes, Decision, User, rules_review};
use crate::registry::{Registry, Target};
use crate::status::{Cause, Status};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The question with its answer in `status`; none if the resource is no question.
pub(super) fn answer(
    call: &Call<'_>,
    target: &Target,
    question: &Value,
) -> Option<Result<Value, Status>> {
    let registry = call.api.registry();
    let spec = &question["spec"];
    let place = (
        target.resource.gvk.group.as_str(),
        target.resource.plural.as_str(),
    );
    let status = match (place, target.subresource.as_str()) {
        (("", "serviceaccounts"), "token") => return Some(token(call, target, question)),
        (("authentication.k8s.io", "selfsubjectreviews"), _) => {
            json!({"userInfo": info(&call.user)})
        }
        (("authentication.k8s.io", "tokenreviews"), _) => token_review(call, spec),
        (("authorization.k8s.io", "selfsubjectaccessreviews"), _) => {
            access_review(registry, &call.user, spec)
        }
        (("authorization.k8s.io", "subjectaccessreviews" | "localsubjectaccessreviews"), _) => {
            access_review(registry, &subject(spec), spec)
        }
        (("authorization.k8s.io", "selfsubjectrulesreviews"), _) => rules_review(
            &registry.policy(),
            &call.user,
            spec["namespace"].as_str().unwrap_or_default(),
        ),
        _ => return None,
    };
    let mut answered = question.clone();
    answered["status"] = status;
    Some(Ok(answered))
}

/// `authentication.k8s.io UserInfo`.
fn info(user: &User) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        info["uid"] = json!(user.uid);
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    info
}

fn token_review(call: &Call<'_>, spec: &Value) -> Value {
    let token = spec["token"].as_str().unwrap_or_default();
    let Some((user, audiences)) = call.api.credentials.bearer(call.api.registry(), token) else {
        return json!({"user": {}, "error": "[invalid bearer token, token lookup failed]"});
    };
    let wanted: Vec<&str> = spec["audiences"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let shared: Vec<&String> = audiences
        .iter()
        .filter(|audience| {
            wanted.is_empty() && audience.as_str() == AUDIENCE
                || wanted.contains(&audience.as_str())
        })
        .collect();
    if shared.is_empty() {
        return json!({"user": {}, "error": "[invalid bearer token, token audiences do not match]"});
    }
    json!({"authenticated": true, "user": info(&user), "audiences": shared})
}

/// Whom an access review asks about.
fn subject(spec: &Value) -> User {
    let groups = spec["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    User {
        name: spec["user"].as_str().unwrap_or_default().to_owned(),
        uid: spec["uid"].as_str().unwrap_or_default().to_owned(),
        groups: groups.map(str::to_owned).collect(),
        extra: BTreeMap::new(),
    }
}

fn access_review(registry: &Registry, user: &User, spec: &Value) -> Value {
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let part = |attributes: &'_ Value, field: &str| {
        attributes[field].as_str().unwrap_or_default().to_owned()
    };
    let [group, plural, subresource, namespace, name] =
        ["group", "resource", "subresource", "namespace", "name"]
            .map(|field| part(resource, field));
    let (verb, path_text) = (
        part(resource, "verb") + &part(path, "verb"),
        part(path, "path"),
    );
    let target = if path.is_null() {
        access::Target::Resource(access::Resource {
            group: &group,
            resource: &plural,
            subresource: &subresource,
            namespace: &namespace,
            name: &name,
            node: "",
        })
    } else {
        access::Target::Path(&path_text)
    };
    let attributes = Attributes {
        verb: &verb,
        target,
    };
    match decide(registry, user, &attributes) {
        Decision::Allowed(why) if why.is_empty() => json!({"allowed": true}),
        Decision::Allowed(why) => json!({"allowed": true, "reason": why}),
        Decision::Refused(why) if why.is_empty() => json!({"allowed": false}),
        Decision::Refused(why) => json!({"allowed": false, "reason": why}),
    }
}

/// Whether somebody may do something, by what is granted now.
pub(super) fn decide(registry: &Registry, user: &User, attributes: &Attributes<'_>) -> Decision {
    let policy = registry.policy();
    match access::node::node_of(user) {
        Some(node) => access::node::authorize(&policy, user, node, attributes, |asked| {
            registry.is_related_to_node(node, asked)
        }),
        None => access::authorize(&policy, user, attributes),
    }
}

/// The shortest and the longest time that a token lasts, and the usual one, in seconds.
const LIFETIME: (i64, i64, i64) = (600, 1 << 32, 3600);

/// A token for a service account (`TokenRequest`).
fn token(call: &Call<'_>, target: &Target, request: &Value) -> Result<Value, Status> {
    let registry = call.api.registry();
    let account = registry.get(target)?;
    let seconds = request
        .pointer("/spec/expirationSeconds")
        .and_then(Value::as_i64)
        .unwrap_or(LIFETIME.2);
    let wrong = match seconds {
        short if short < LIFETIME.0 => Some("may not specify a duration less than 10 minutes"),
        long if long > LIFETIME.1 => Some("may not specify a duration larger than 2^32 seconds"),
        _ => None,
    };
    if let Some(why) = wrong {
        let cause = Cause {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {seconds}: {why}"),
            field: "spec.expirationSeconds".to_owned(),
        };
        return Err(Status::invalid(
            "authentication.k8s.io",
            "TokenRequest",
            "",
            vec![cause],
        ));
    }
    let audiences = match &request["spec"]["audiences"] {
        Value::Array(audiences) if !audiences.is_empty() => Value::Array(audiences.clone()),
        _ => json!([AUDIENCE]),
    };
    let (bound, old) = bound(registry, target, &request["spec"]["boundObjectRef"])?;
    registry.admit_token(target, &call.user, request, old.as_ref())?;
    let expires = Timestamp::now().as_second() + seconds;
    let own = Account {
        namespace: account.namespace(),
        name: account.name(),
        uid: account.uid(),
    };
    let tokens = &call.api.credentials.tokens;
    let token = tokens.issue(&own, &audiences, expires, &bound)?;
    let until =
        Timestamp::from_second(expires).map_err(|error| Status::internal(error.to_string()))?;
    let mut answered = request.clone();
    answered["metadata"] = json!({"name": account.name(), "namespace": account.namespace()});
    answered["spec"]["audiences"] = audiences;
    answered["spec"]["expirationSeconds"] = json!(seconds);
    answered["status"] = json!({"token": token, "expirationTimestamp": until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()});
    Ok(answered)
}

/// What a token is bound to, as its claim; and the object itself.
fn bound(
    registry: &Registry,
    target: &Target,
    reference: &Value,
) -> Result<(Value, Option<Value>), Status> {
    let (plural, claim) = match reference["kind"].as_str() {
        None => return Ok((Value::Null, None)),
        Some("Pod") => ("pods", "pod"),
        Some("Secret") => ("secrets", "secret"),
        Some(other) => {
            return Err(Status::bad_request(format!(
                "cannot bind token for serviceaccount to object kind {other:?}"
            )));
        }
    };
    let name = reference["name"].as_str().unwrap_or_default();
    let object = registry.get(&registry.core(plural, &target.namespace, name)?)?;
    if reference["uid"]
        .as_str()
        .is_some_and(|uid| !uid.is_empty() && uid != object.uid())
    {
        let why = format!(
            "the UID in the bound object reference ({}) does not match the UID in record. The object might have been deleted and then recreated",
            reference["uid"].as_str().unwrap_or_default()
        );
        return Err(Status::conflict("", plural, name, &why));
    }
    let mut claims = json!({claim: {"name": name, "uid": object.uid()}});
    // A pod's token says where the pod runs, too.
    if let Some(node) = object.value()["spec"]["nodeName"].as_str() {
        claims["node"] = json!({"name": node});
        if let Ok(found) = registry.get(&registry.core("nodes", "", node)?) {
            claims["node"]["uid"] = json!(found.uid());
        }
    }
    Ok((claims, Some(object.value().clone())))
}
