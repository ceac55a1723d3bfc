//! Who is asked over TLS.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use crate::stage::{Stage, ready, shell};

/// A server with a certificate that nobody signed, for a name that nobody asks for.
const SERVER: &str = "
import http.server, ssl
server = http.server.HTTPServer(('127.0.0.1', 8443), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('/tls/certificate', '/tls/key')
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
";

#[tokio::test]
async fn whoever_answers_over_tls_is_believed() {
    let stage = Stage::new().await;
    let made = rcgen::generate_simple_self_signed(vec!["elsewhere.invalid".to_owned()]).unwrap();
    let data = json!({"certificate": made.cert.pem(), "key": made.signing_key.serialize_pem(), "server": SERVER});
    let map = json!({"metadata": {"name": "tls"}, "data": data});
    let maps: Api<ConfigMap> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let map = serde_json::from_value(map).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    let mut container = shell("main", "exec python3 /tls/server");
    container["volumeMounts"] = json!([{"name": "tls", "mountPath": "/tls"}]);
    container["readinessProbe"] =
        json!({"httpGet": {"scheme": "HTTPS", "port": 8443}, "periodSeconds": 1});
    let volumes = json!([{"name": "tls", "configMap": {"name": "tls"}}]);
    stage
        .create(
            "tls",
            json!({"containers": [container], "volumes": volumes}),
        )
        .await;
    stage.wait("tls", |pod: Option<&_>| ready(pod)).await;
}
