//! Tokens that grow old.

use http::{Request, Response, header::CONTENT_LENGTH};
use http_body_util::BodyExt as _;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower::BoxError;

use crate::stage::{Stage, shell};

/// A cluster that says of its tokens that they last for two seconds, since no real one gives any for less than ten minutes.
fn hasty(cluster: Client) -> Client {
    let answer = move |request: Request<Body>| {
        let cluster = cluster.clone();
        async move {
            let token = request.uri().path().ends_with("/token");
            let answer = cluster.send(request).await?;
            if !token {
                return Ok::<_, BoxError>(answer);
            }
            let (mut parts, body) = answer.into_parts();
            parts.headers.remove(CONTENT_LENGTH);
            let mut token: Value = serde_json::from_slice(&body.collect().await?.to_bytes())?;
            let over = Timestamp::now() + SignedDuration::from_secs(2);
            token["status"]["expirationTimestamp"] = json!(over.to_string());
            let body = Body::from(serde_json::to_vec(&token)?);
            Ok(Response::from_parts(parts, body))
        }
    };
    Client::new(tower::service_fn(answer), "default")
}

#[tokio::test]
async fn a_token_is_renewed_before_it_is_too_old() {
    let stage = Stage::whose_node_asks(hasty).await;
    let script = "cp /t/token /tmp/first; while cmp -s /t/token /tmp/first; do sleep 0.05; done; \
        cut -c1-2 < /t/token";
    let mut container = shell("main", script);
    container["volumeMounts"] = json!([{"name": "t", "mountPath": "/t"}]);
    let sources = json!([{"serviceAccountToken": {"path": "token"}}]);
    let volumes = json!([{"name": "t", "projected": {"sources": sources}}]);
    let spec = json!({"restartPolicy": "Never", "containers": [container], "volumes": volumes});
    stage.create("renewed", spec).await;
    let pod = stage.phase("renewed", "Succeeded").await;
    assert_eq!(stage.log(&pod).await, "ey\n");
}
