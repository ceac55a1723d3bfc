//! Requests that nobody in their senses makes: bodies, patches, selectors and protobuf with bytes changed, at any path. Each is answered,
//! nothing panics, and the server goes on as before.
//!
//! `PROPTEST_CASES` says how many there are; `.ci/full` sets it far higher than its default.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::LazyLock;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use mwctl_apiserver::access::User;
use mwctl_apiserver::server::Server;
use proptest::prelude::*;
use serde_json::Value;
use tokio::runtime::Runtime;

const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

const PATHS: &[&str] = &[
    "/api/v1/namespaces/default/pods",
    "/api/v1/namespaces/default/pods/p",
    "/api/v1/namespaces/default/pods/p/status",
    "/api/v1/namespaces/default/pods/p/log",
    "/api/v1/namespaces/default/pods/p/exec",
    "/api/v1/namespaces/default/pods/p/portforward",
    "/api/v1/namespaces/default/pods/p/eviction",
    "/api/v1/namespaces/default/pods/p/binding",
    "/api/v1/namespaces/default/pods/p/ephemeralcontainers",
    "/api/v1/namespaces/default/configmaps/c",
    "/api/v1/namespaces/default/services",
    "/api/v1/namespaces/default/services/s",
    "/api/v1/namespaces/default/resourcequotas/q",
    "/api/v1/namespaces/default/limitranges/l",
    "/api/v1/namespaces/default/serviceaccounts/default/token",
    "/api/v1/namespaces/n",
    "/api/v1/namespaces/n/finalize",
    "/apis/apps/v1/namespaces/default/deployments/d",
    "/apis/apps/v1/namespaces/default/deployments/d/scale",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com",
    "/apis/example.com/v1/namespaces/default/widgets",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles/r",
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    "/apis/policy/v1/namespaces/default/poddisruptionbudgets/b",
    "/openapi/v3/apis/apps/v1",
    "/api/v1/nodes/%ff/proxy",
    "/apis//v1/../..",
];

const PARAMETERS: &[&str] = &[
    "labelSelector",
    "fieldSelector",
    "limit",
    "continue",
    "resourceVersion",
    "resourceVersionMatch",
    "fieldManager",
    "fieldValidation",
    "force",
    "dryRun",
    "gracePeriodSeconds",
    "propagationPolicy",
    "tailLines",
    "sinceTime",
    "command",
    "stdin",
    "container",
    "includeObject",
];

const MEDIA: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "",
    "text/plain; a=\"",
];

const ACCEPTS: &[&str] = &[
    "application/json",
    "*/*",
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    ";;=,",
];

/// What is changed: bodies that mean something.
const SEEDS: &[&[u8]] = &[
    br#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i","ports":[{"containerPort":80}],"resources":{"limits":{"cpu":"1.5e3m"}}}]}}"#,
    br#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"type":"NodePort","ports":[{"port":80,"nodePort":30080}],"clusterIP":"10.96.3.4"}}"#,
    br#"{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},"spec":{"hard":{"pods":"2","requests.cpu":"1","count/configmaps":"5"},"scopes":["BestEffort"]}}"#,
    br#"{"apiVersion":"v1","kind":"LimitRange","metadata":{"name":"l"},"spec":{"limits":[{"type":"Container","max":{"cpu":"2"},"default":{"memory":"1Gi"}}]}}"#,
    br#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}"#,
    br#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.example.com"},"spec":{"group":"example.com","scope":"Namespaced","names":{"plural":"widgets","kind":"Widget"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","properties":{"size":{"type":"integer","minimum":1,"default":3}}}}}}}]}}"#,
    br#"{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w"},"spec":{"size":2}}"#,
    br#"{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"p"},"deleteOptions":{"gracePeriodSeconds":0}}"#,
    br#"{"apiVersion":"v1","kind":"Binding","metadata":{"name":"p"},"target":{"name":"n"}}"#,
    br#"{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Foreground","preconditions":{"uid":"x"}}"#,
    br#"[{"op":"add","path":"/metadata/labels/x","value":"y"},{"op":"move","from":"/spec","path":"/a/-"}]"#,
    br#"{"spec":{"$setElementOrder/containers":[{"name":"c"}],"containers":[{"$patch":"delete","name":"c"}]}}"#,
    b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  k: |\n    v\n  n: !!binary aGk=\n",
    b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x17\x0a\x03\x0a\x01c\x12\x06\x0a\x01k\x12\x01v",
    b"",
];

const TEXTS: &[&str] = &[
    "",
    "a=b",
    "a in (b,c),!d",
    "metadata.name=p",
    "spec.nodeName!=x",
    "1",
    "-1",
    "0",
    "true",
    "All",
    "Strict",
    "99999999999999999999",
    "eyJ2IjoibXdjdGwvdjEifQ",
    "Foreground",
    "2026-01-01T00:00:00Z",
    "Metadata",
    "((((",
    "a notin",
    "\u{0}",
    "é",
];

/// Some bytes changed, cut out, doubled or put in.
#[derive(Debug, Clone)]
struct Change {
    at: usize,
    length: usize,
    kind: u8,
    byte: u8,
}

fn change() -> impl Strategy<Value = Change> {
    (any::<usize>(), 0..40_usize, 0..4_u8, any::<u8>()).prop_map(|(at, length, kind, byte)| {
        Change {
            at,
            length,
            kind,
            byte,
        }
    })
}

fn changed(seed: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut body = seed.to_vec();
    for change in changes {
        let at = change.at % (body.len() + 1);
        let end = (at + change.length).min(body.len());
        match change.kind {
            0 if at < body.len() => body[at] = change.byte,
            1 => drop(body.drain(at..end)),
            2 => {
                let copy = body[at..end].to_vec();
                drop(body.splice(at..at, copy));
            }
            _ => body.insert(at, change.byte),
        }
    }
    body
}

fn words(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    (0..words.len()).prop_map(move |at| words[at])
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![words(TEXTS).prop_map(str::to_owned), "\\PC{0,12}"]
}

fn query() -> impl Strategy<Value = String> {
    let pair = (words(PARAMETERS), text());
    prop::collection::vec(pair, 0..4).prop_map(|pairs| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs);
        query.finish()
    })
}

static SERVER: LazyLock<(Runtime, Server)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    (runtime, Server::new().unwrap())
});

/// The answer's code and its body.
fn ask(request: Request<Full<Bytes>>) -> (u16, Bytes) {
    let (runtime, server) = &*SERVER;
    let mut request = request;
    request.extensions_mut().insert(User::admin());
    runtime.block_on(async {
        let answer = server.api().answer(request).await;
        let code = answer.status().as_u16();
        (code, answer.into_body().collect().await.unwrap().to_bytes())
    })
}

proptest! {
    #[test]
    fn every_request_is_answered(
        method in 0..METHODS.len(), path in words(PATHS), query in query(), media in words(MEDIA), accept in words(ACCEPTS),
        seed in 0..SEEDS.len(), changes in prop::collection::vec(change(), 0..4),
    ) {
        let request = Request::builder()
            .method(&METHODS[method])
            .uri(format!("{path}?{query}"))
            .header("content-type", media)
            .header("accept", accept)
            .body(Full::from(changed(SEEDS[seed], &changes)));
        // What is no request at all no server gets to see.
        let Ok(request) = request else { return Ok(()) };
        let (code, body) = ask(request);
        prop_assert!((200..600).contains(&code), "{code}");
        if code >= 400 {
            let status: Value = serde_json::from_slice(&body).unwrap();
            prop_assert_eq!(&status["kind"], "Status");
            prop_assert_eq!(status["code"].as_u64(), Some(u64::from(code)));
        }
        let (code, body) = ask(Request::get("/api/v1/pods").body(Full::default()).unwrap());
        prop_assert_eq!(code, 200);
        let list: Value = serde_json::from_slice(&body).unwrap();
        prop_assert!(list["items"].as_array().is_some(), "the server goes on");
    }
}
