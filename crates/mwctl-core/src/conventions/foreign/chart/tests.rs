//! What a chart puts beside its service, and what it runs at given times.

use std::path::Path;

use serde_json::{Value, json};

use super::{keys, read};
use crate::conventions::foreign::Said;

fn said(values: &str) -> Said {
    let values = read(Path::new("values.yaml"), values).unwrap();
    keys("values.yaml", &values)
}

fn told(said: &Said) -> Vec<&str> {
    said.notes.iter().map(|note| note.text.as_str()).collect()
}

#[test]
fn the_mesh_is_the_tls_proxy_on_its_public_port() {
    let on = said(
        "app: {port: 1}\nmesh: {enabled: true, public_port: 4001, tracing: {enabled: true}}\n",
    );
    let expected = json!({ "tls-proxy": { "ports": [
        { "name": "https", "port": 4001, "address": "tls-service" },
        { "name": "envoy-telemetry", "port": 9361 },
    ] } });
    assert_eq!(on.keys.value(true)["helpers"], expected);
    assert_eq!(told(&on), ["the tracing of the mesh isn't taken over"]);
    let off = said("app: {port: 1}\nmesh: {enabled: false, public_port: 4001}\n");
    assert_eq!(off.keys.value(true), json!({}));
}

#[test]
fn monitoring_is_an_exporter_for_statsd_and_annotations_otherwise() {
    let monitored = |more: &str| {
        let text = format!("app: {{port: 8080}}\nmonitoring: {{enabled: true, {more}}}\n");
        said(&text).keys.value(true)
    };
    let exporter = monitored("statsd: {config: 'mappings: []'}");
    let files = &exporter["helpers"]["statsd-exporter"]["files"];
    assert_eq!(
        files["/etc/monitoring/prometheus-statsd.conf"],
        "mappings: []"
    );
    // The first generation of charts names a version alone.
    let old = monitored("image_version: latest");
    assert_eq!(old["helpers"], json!({ "statsd-exporter": {} }));
    let scraped = json!({ "prometheus.io/scrape": "true", "prometheus.io/port": "8080" });
    assert_eq!(monitored("")["annotations"], scraped);
    let named = json!({ "prometheus.io/scrape_by_name": "true" });
    assert_eq!(monitored("named_ports: true")["annotations"], named);
    let own = said("app: {port: 8080, metricsPort: 9102}\nmonitoring: {enabled: true}\n");
    let own = own.keys.value(true);
    assert_eq!(own["annotations"]["prometheus.io/port"], "9102");
    assert_eq!(
        own["container"]["ports"][1],
        json!({ "name": "metrics", "port": 9102 })
    );
}

#[test]
fn a_cron_job_is_a_service_that_shares_the_image() {
    let said = said(
        "app: {port: 1}\ncronjobs:\n  tidy:\n    enabled: true\n    schedule: '*/5 * * * *'\n    concurrency: Replace\n\
         \x20   command: [npm, run, tidy]\n    resources: {limits: {cpu: 2}}\n    activeDeadlineSeconds: 90\n    volumes: [{name: x}]\n\
         \x20 off: {enabled: false, command: [x]}\n",
    );
    let [(name, keys)] = said.jobs.as_slice() else {
        panic!("{:?}", said.jobs);
    };
    assert_eq!(name, "tidy");
    assert_eq!(
        keys.value(true),
        json!({
            "workload": {
                "kind": "cronJob", "retries": 1, "schedule": "*/5 * * * *", "concurrency": "replace", "deadline": "90s",
            },
            "container": {
                "command": ["npm", "run", "tidy"], "ports": null, "probes": null, "resources": { "limits": { "cpu": 2 } },
            },
            "helpers": null,
            "develop": null,
            "test": null,
            "replicas": null,
        })
    );
    assert_eq!(
        told(&said),
        ["`volumes` of the cron job `tidy` aren't taken over"]
    );
}

#[test]
fn what_is_no_map_is_nothing() {
    for odd in [
        "mesh: 1",
        "monitoring: [x]",
        "cronjobs: [1]",
        "cronjobs: {a: 1}",
        "mesh: {enabled: true, public_port: x}",
    ] {
        let said = said(&format!("app: {{port: 1}}\n{odd}\n"));
        assert!(said.jobs.is_empty() && !matches!(said.keys.value(true), Value::Null));
    }
}
