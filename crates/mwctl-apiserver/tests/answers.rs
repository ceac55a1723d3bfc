//! Answers of the server, word for word where clients show them to people: refusals of patches, warnings, forms, and the two names of events.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use http::{Method, Request};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use mwctl_apiserver::server::Server;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const OLDER: &str = "/api/v1/namespaces/default/events";
const NEWER: &str = "/apis/events.k8s.io/v1/namespaces/default/events";

/// An answer.
struct Answer {
    code: u16,
    warnings: Vec<String>,
    body: Value,
}

impl Answer {
    fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

struct Asking {
    client: Client,
    _server: Server,
}

impl Asking {
    fn new() -> Self {
        let server = Server::new().unwrap();
        Self {
            client: server.client(),
            _server: server,
        }
    }

    async fn ask(
        &self,
        method: Method,
        uri: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Value::Null => Vec::new(),
            Value::String(yaml) => yaml.clone().into_bytes(),
            json => json.to_string().into_bytes(),
        };
        let answer = self.client.send(request.body(Body::from(body)).unwrap());
        let (parts, body) = answer.await.unwrap().into_parts();
        let warnings = parts.headers.get_all("warning").iter();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            code: parts.status.as_u16(),
            warnings: warnings.map(|it| it.to_str().unwrap().to_owned()).collect(),
            body: serde_json::from_slice(&body).unwrap(),
        }
    }

    async fn get(&self, uri: &str) -> Answer {
        self.ask(Method::GET, uri, &[], &Value::Null).await
    }

    async fn post(&self, uri: &str, body: &Value) -> Answer {
        let json = [("content-type", "application/json")];
        self.ask(Method::POST, uri, &json, body).await
    }

    async fn patch(&self, uri: &str, kind: &str, body: &Value) -> Answer {
        let media = format!("application/{kind}");
        self.ask(Method::PATCH, uri, &[("content-type", &media)], body)
            .await
    }
}

async fn with_a_map() -> Asking {
    let asking = Asking::new();
    let map = json!({"metadata": {"name": "m", "uid": ""}, "data": {"k": "v"}});
    assert_eq!(asking.post(MAPS, &map).await.code, 201);
    asking
}

#[tokio::test]
async fn a_patch_that_makes_nonsense_is_quoted_in_the_refusal() {
    let asking = with_a_map().await;
    let map = format!("{MAPS}/m");
    let refused = asking
        .patch(&map, "merge-patch+json", &json!({"data": {"k": 1}}))
        .await;
    assert_eq!(refused.code, 422);
    let message = refused.message();
    assert!(
        message.starts_with(" \"\" is invalid: patch: Invalid value: \"{\\\"apiVersion\\\":\\\"v1\\\",\\\"data\\\":{\\\"k\\\":1},"),
        "{message}"
    );
    let why = ": json: cannot unmarshal number into Go struct field ConfigMap.data of type string";
    assert!(message.ends_with(why), "{message}");

    let strict = format!("{map}?fieldValidation=Strict");
    let patch = json!({"nope": {"a": [1]}});
    let refused = asking
        .patch(&strict, "strategic-merge-patch+json", &patch)
        .await;
    assert_eq!(
        (refused.code, refused.message()),
        (
            422,
            " \"\" is invalid: patch: Invalid value: \"map[nope:map[a:[1]]]\": strict decoding error: unknown field \"nope\""
        )
    );
    let warned = asking
        .patch(&map, "strategic-merge-patch+json", &patch)
        .await;
    assert_eq!(warned.warnings, ["299 - \"unknown field \\\"nope\\\"\""]);
}

#[tokio::test]
async fn what_is_applied_is_judged_by_its_types_first() {
    let asking = Asking::new();
    let uri = format!("{MAPS}/new?fieldManager=me&fieldValidation=Strict");
    let body =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}, "dta": {}});
    let refused = asking.patch(&uri, "apply-patch+yaml", &body).await;
    assert_eq!(
        (refused.code, refused.message()),
        (
            500,
            "failed to create typed patch object (/new; /v1, Kind=ConfigMap): .dta: field not declared in schema"
        )
    );
}

#[tokio::test]
async fn of_keys_that_stand_twice_in_yaml_the_last_counts_and_strict_requests_are_refused() {
    let asking = Asking::new();
    let head = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\n";
    let body = json!(format!("{head}data:\n  a: \"1\"\n  a: \"2\"\n"));
    let told = "line 7: key \"a\" already set in map";
    let uri = format!("{MAPS}/m?fieldManager=me&fieldValidation=");

    let refused = asking
        .patch(&format!("{uri}Strict"), "apply-patch+yaml", &body)
        .await;
    assert_eq!(
        (refused.code, refused.message()),
        (
            400,
            &*format!(
                "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  {told}"
            )
        )
    );
    let warning = format!("299 - {told:?}");
    for (validation, warnings) in [("Ignore", vec![]), ("Warn", vec![warning.clone()])] {
        let uri = format!("{uri}{validation}");
        let taken = asking.patch(&uri, "apply-patch+yaml", &body).await;
        assert_eq!(taken.warnings, warnings);
        assert_eq!(taken.body["data"], json!({"a": "2"}));
    }

    let yaml = [("content-type", "application/yaml")];
    let uri = format!("{MAPS}/m?fieldValidation=");
    let strict = format!("{uri}Strict");
    let refused = asking.ask(Method::PUT, &strict, &yaml, &body).await;
    assert_eq!(refused.code, 400);
    let end = format!("strict decoding error: yaml: unmarshal errors:\n  {told}");
    assert!(refused.message().ends_with(&end), "{}", refused.message());
    let lax = format!("{uri}Warn");
    let warned = asking.ask(Method::PUT, &lax, &yaml, &body).await;
    assert_eq!(warned.warnings, [warning]);
}

#[tokio::test]
async fn a_value_that_is_applied_is_stored_in_its_own_form() {
    let asking = Asking::new();
    let quota = |cpu: &str| {
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"},
            "spec": {"hard": {"cpu": cpu}}})
    };
    let uri = "/api/v1/namespaces/default/resourcequotas/q?fieldManager=me";
    for (applied, stored) in [("0.5", "500m"), ("1000m", "1")] {
        let answer = asking.patch(uri, "apply-patch+yaml", &quota(applied)).await;
        assert_eq!(answer.body["spec"]["hard"]["cpu"], stored);
    }
    let refused = asking.patch(uri, "apply-patch+yaml", &quota("many")).await;
    assert_eq!(refused.code, 500);
    assert!(
        refused.message().starts_with("failed to convert new object (default/q; /v1, Kind=ResourceQuota) to proper version: quantities must match"),
        "{}",
        refused.message()
    );
}

#[tokio::test]
async fn whoever_asks_for_a_kind_of_the_past_is_told() {
    let asking = Asking::new();
    let warning =
        "299 - \"v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\"";
    let listed = asking.get("/api/v1/endpoints").await;
    assert_eq!(
        (listed.code, listed.warnings),
        (200, vec![warning.to_owned()])
    );
    let missing = asking
        .get("/api/v1/namespaces/default/endpoints/none")
        .await;
    assert_eq!((missing.code, missing.warnings.len()), (404, 1));
    assert!(asking.get(MAPS).await.warnings.is_empty());
}

#[tokio::test]
async fn a_review_is_not_shown_as_a_table() {
    let asking = Asking::new();
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}});
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io"),
    ];
    let uri = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let refused = asking.ask(Method::POST, uri, &headers, &review).await;
    assert_eq!(refused.code, 406);
}

#[tokio::test]
async fn an_event_is_one_object_with_two_names() {
    let asking = Asking::new();
    let event = json!({"metadata": {"name": "e"}, "regarding": {"kind": "Pod", "namespace": "default", "name": "p"},
        "note": "hello", "reason": "Said", "type": "Normal", "action": "say", "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "me", "reportingInstance": "here"});
    let made = asking.post(NEWER, &event).await;
    assert_eq!(
        (made.code, &made.body["note"], &made.body["apiVersion"]),
        (201, &json!("hello"), &json!("events.k8s.io/v1"))
    );
    let older = asking.get(&format!("{OLDER}/e")).await.body;
    assert_eq!(
        (
            &older["message"],
            &older["involvedObject"]["name"],
            &older["reportingComponent"]
        ),
        (&json!("hello"), &json!("p"), &json!("me"))
    );
    assert_eq!(older["metadata"]["uid"], made.body["metadata"]["uid"]);

    let newer = format!("{NEWER}/e");
    for (kind, patch) in [
        (
            "json-patch+json",
            json!([{"op": "replace", "path": "/note", "value": "one"}]),
        ),
        ("merge-patch+json", json!({"note": "two"})),
    ] {
        assert_eq!(asking.patch(&newer, kind, &patch).await.code, 200);
    }
    let selected = format!("{OLDER}?fieldSelector=involvedObject.name=p");
    let listed = asking.get(&selected).await.body;
    assert_eq!(listed["items"][0]["message"], "two");
    let selected = format!("{NEWER}?fieldSelector=regarding.name=p,reportingController=me");
    let listed = asking.get(&selected).await.body;
    assert_eq!(
        (&listed["kind"], &listed["items"][0]["note"]),
        (&json!("EventList"), &json!("two"))
    );
    let gone = asking.ask(Method::DELETE, &newer, &[], &Value::Null).await;
    assert_eq!(gone.code, 200);
    assert_eq!(asking.get(&format!("{OLDER}/e")).await.code, 404);
}

#[tokio::test]
async fn an_event_is_where_what_it_is_about_is() {
    let asking = Asking::new();
    let event = json!({"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "namespace": "elsewhere", "name": "p"}});
    let refused = asking.post(OLDER, &event).await;
    assert_eq!(
        (refused.code, refused.message()),
        (
            422,
            "Event \"e\" is invalid: involvedObject.namespace: Invalid value: \"elsewhere\": does not match event.namespace"
        )
    );
}
