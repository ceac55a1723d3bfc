//! A service of Node.js with every helper container beside it, under production's names and ports.

use serde_json::Value;

use crate::sample::{Sample, eventually};

/// Asks over TLS for the service's page, as another pod would, and tells the answer and the certificate's names.
const OVER_TLS: &str = "require('https').get('https://teller-local-tls-service:4443/secret', { rejectUnauthorized: false }, (answer) => { \
    const names = answer.socket.getPeerCertificate().subjectaltname; \
    answer.on('data', (text) => console.log(JSON.stringify({ text: String(text), names }))); })";

#[test]
fn helpers_do_their_work_beside_a_node_service() {
    let sample = Sample::up("node");
    let first = sample.get("teller:0", "/first");
    assert_eq!(
        (first.status, first.body.as_str()),
        (200, "node, asked before: END\n")
    );

    // The cache: what the first answer wrote is what the second one finds.
    let text = sample.exec("teller", &["node", "-e", OVER_TLS]);
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["text"], "node, asked before: VALUE last 0 6\n");
    let names = told["names"].as_str().unwrap();
    assert!(names.contains("DNS:teller-local-tls-service"), "{names}");

    // The metrics exporter: both were counted.
    let metrics = eventually("both answers are counted", || {
        let reply = sample.get("teller:0:9102", "/metrics");
        reply
            .body
            .contains("\nteller_answers 2\n")
            .then_some(reply.body)
    });
    assert!(
        metrics.contains("# TYPE teller_answers counter"),
        "{metrics}"
    );

    // The TLS proxy tells how it is, and counts, where production looks.
    let telemetry = |path: &str| {
        let script = format!(
            "fetch('http://localhost:9361{path}').then((answer) => answer.text()).then((text) => process.stdout.write(text))"
        );
        sample.exec("teller", &["node", "-e", &script])
    };
    assert_eq!(telemetry("/healthz"), "ok");
    let stats = telemetry("/stats/prometheus");
    assert!(stats.contains("envoy_cluster_upstream_rq"), "{stats}");

    // The log collector: what the service wrote into a file is in the logs.
    eventually("the lines of the file are in the logs", || {
        let logs = sample.run(&["logs", "teller"]).stdout;
        let has = |path: &str| logs.contains(&format!("asked for {path}"));
        (has("/first") && has("/secret")).then_some(())
    });
    sample.down();
}
