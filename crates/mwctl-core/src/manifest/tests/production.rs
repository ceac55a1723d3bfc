//! The pod in miniature is production's: an assertion for each rule of Wikimedia's charts (their
//! `modules/base`, `modules/mesh` and the scaffold, as of 2026) that a rendered object can keep.

use serde_json::{Value, json};

use super::super::fixture::{container, service, stack};
use super::{find, rendered};
use crate::model::{ConfigFile, Egress, KeyPair, Reach, Secret, Stack, Volume, VolumeKind};

/// Mathoid with the helpers that production has beside it.
fn meshed() -> Stack {
    let mut stack = stack();
    let mathoid = stack.services.get_mut("mathoid").unwrap();
    let mut proxy = container("tls-proxy", 4001);
    proxy.ports[0].name = "https".to_owned();
    proxy.ports[0].reach = Reach::Named("tls-service".to_owned());
    proxy.image = Some("envoy:1".to_owned());
    let mut exporter = container("statsd-exporter", 9102);
    exporter.ports[0].name = "statsd-metrics".to_owned();
    exporter.ports[0].reach = Reach::Cluster;
    exporter.plain_name = true;
    exporter.image = Some("statsd-exporter:1".to_owned());
    mathoid.helpers = vec![proxy, exporter];
    let file = |container: &str, map: &str| ConfigFile {
        path: format!("/etc/{container}/config.yaml"),
        text: container.to_owned(),
        container: container.to_owned(),
        map: map.to_owned(),
    };
    mathoid.files.push(file("tls-proxy", "envoy-config-volume"));
    mathoid
        .files
        .push(file("statsd-exporter", "statsd-configmap"));
    mathoid.volumes.push(Volume {
        name: "tls-proxy-certs".to_owned(),
        kind: VolumeKind::Certificate,
    });
    let pair = KeyPair {
        certificate: "certificate".to_owned(),
        key: Secret::new("key"),
    };
    mathoid.certificates = [("tls-proxy-certs".to_owned(), pair)].into();
    mathoid.annotations = [("prometheus.io/scrape".to_owned(), "true".to_owned())].into();
    stack
}

fn template() -> Value {
    find(&rendered(&meshed()), "deployment/mathoid-main")["spec"]["template"].clone()
}

/// `modules/base`: the object and its main container are called `<chart>-<release>`, at most 63 characters.
#[test]
fn objects_and_the_main_container_have_the_releases_name() {
    assert_eq!(template()["spec"]["containers"][0]["name"], "mathoid-main");
    let mut stack = stack();
    stack.release = "a-release-with-a-name-of-forty-characters".to_owned();
    let service = service("a-service-with-a-name-of-some-length", 1);
    stack.services.insert(service.name.clone(), service);
    for object in rendered(&stack) {
        assert!(object.id().name.len() <= 63, "{}", object.id());
    }
}

/// `modules/base`: objects carry `app`, `chart` (name-version), `release` and `heritage`.
#[test]
fn objects_carry_the_charts_labels() {
    for shown in [
        "deployment/mathoid-main",
        "service/mathoid-main",
        "networkpolicy/mathoid-main",
    ] {
        let labels = find(&rendered(&meshed()), shown)["metadata"]["labels"].clone();
        assert_eq!(labels["app"], "mathoid");
        assert_eq!(labels["chart"], "mathoid-0.7.6");
        assert_eq!(labels["release"], "main");
        assert_eq!(labels["heritage"], "mwctl");
    }
}

/// `modules/base`: pods carry `app`, `release` and `routed_via`; a Deployment selects by app and release, a
/// Service by app and `routed_via`, so that a canary shares the Service.
#[test]
fn pods_are_selected_by_release_and_routed_to_by_route() {
    let labels = template()["metadata"]["labels"].clone();
    for (label, value) in [
        ("app", "mathoid"),
        ("release", "main"),
        ("routed_via", "main"),
    ] {
        assert_eq!(labels[label], value);
    }
    let objects = rendered(&meshed());
    let deployment = find(&objects, "deployment/mathoid-main");
    let selector = json!({ "app": "mathoid", "release": "main" });
    assert_eq!(deployment["spec"]["selector"]["matchLabels"], selector);
    let service = find(&objects, "service/mathoid-main");
    let selector = json!({ "app": "mathoid", "routed_via": "main" });
    assert_eq!(service["spec"]["selector"], selector);
}

/// `modules/base`: pods are annotated with `checksum/secrets`, `checksum/configuration`, `checksum/tls-config`,
/// and with what tells Prometheus to scrape.
#[test]
fn pods_carry_checksums_and_what_prometheus_looks_for() {
    let annotations = template()["metadata"]["annotations"].clone();
    let keys: Vec<&String> = annotations.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "checksum/configuration",
            "checksum/secrets",
            "checksum/tls-config",
            "prometheus.io/scrape"
        ]
    );
}

/// `modules/base`: `SERVICE_IDENTIFIER` is the release's name; private settings come from the Secret
/// `<release>-secret-config`.
#[test]
fn the_environment_names_the_service_and_refers_to_the_secret() {
    let env = template()["spec"]["containers"][0]["env"].clone();
    let of = |name: &str| {
        let variables = env.as_array().unwrap().iter();
        variables
            .clone()
            .find(|it| it["name"] == name)
            .cloned()
            .unwrap()
    };
    assert_eq!(of("SERVICE_IDENTIFIER")["value"], "mathoid-main");
    let reference = &of("API_KEY")["valueFrom"]["secretKeyRef"];
    assert_eq!(reference["name"], "mathoid-main-secret-config");
    assert_eq!(reference["key"], "API_KEY");
}

/// The scaffold's values: the port is the container's, the Service's and the Service's target alike.
#[test]
fn one_port_is_the_containers_the_services_and_its_target() {
    let objects = rendered(&meshed());
    let port = &find(&objects, "service/mathoid-main")["spec"]["ports"][0];
    assert_eq!(port["port"], 10044);
    assert_eq!(port["targetPort"], 10044);
    let container = &template()["spec"]["containers"][0];
    assert_eq!(container["ports"][0]["containerPort"], 10044);
}

/// The scaffold's values: liveness is a TCP connection to the port, readiness a GET (of `/_info` for service-runner).
#[test]
fn probes_are_verbatim() {
    let container = template()["spec"]["containers"][0].clone();
    assert_eq!(container["livenessProbe"]["tcpSocket"]["port"], 10044);
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/_info");
}

/// The scaffold's values: images are pulled if they aren't there; every container asks for and is limited to what was
/// said of it.
#[test]
fn resources_are_verbatim_and_images_pulled_if_missing() {
    let container = template()["spec"]["containers"][0].clone();
    assert_eq!(
        container["resources"]["requests"],
        json!({ "cpu": "1m", "memory": "200Mi" })
    );
    assert_eq!(
        container["resources"]["limits"],
        json!({ "cpu": "1", "memory": "400Mi" })
    );
    let proxy = &template()["spec"]["containers"][1];
    assert_eq!(proxy["imagePullPolicy"], "IfNotPresent");
}

/// The scaffold's values: every container is restricted: no escalation, no capabilities, not root, seccomp's default.
#[test]
fn every_container_is_restricted() {
    for container in template()["spec"]["containers"].as_array().unwrap() {
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["capabilities"], json!({ "drop": ["ALL"] }));
        assert_eq!(security["runAsNonRoot"], true);
        assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
    }
}

/// `modules/mesh` and other helpers: helpers are called `<release>-tls-proxy` and plainly `statsd-exporter`; their configuration
/// is in `<release>-envoy-config-volume` and `<release>-statsd-configmap`, the certificates in
/// `<release>-tls-proxy-certs`.
#[test]
fn helpers_and_what_they_read_have_productions_names() {
    let spec = template()["spec"].clone();
    assert_eq!(spec["containers"][1]["name"], "mathoid-main-tls-proxy");
    assert_eq!(spec["containers"][2]["name"], "statsd-exporter");
    let objects = rendered(&meshed());
    find(&objects, "configmap/mathoid-main-config");
    find(&objects, "configmap/mathoid-main-envoy-config-volume");
    find(&objects, "configmap/mathoid-main-statsd-configmap");
    let secret = find(&objects, "secret/mathoid-main-tls-proxy-certs");
    assert_eq!(secret["type"], "kubernetes.io/tls");
    let keys: Vec<&String> = secret["data"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["tls.crt", "tls.key"]);
}

/// `modules/mesh` and other helpers: the proxy's port is reached by the Service `<release>-tls-service` as `<release>-https`.
#[test]
fn tls_has_a_service_of_its_own() {
    let service = find(&rendered(&meshed()), "service/mathoid-main-tls-service");
    let port = &service["spec"]["ports"][0];
    assert_eq!(port["name"], "mathoid-main-https");
    assert_eq!(port["port"], 4001);
}

/// `modules/base` and `modules/mesh`, network policies: the NetworkPolicy selects by app and release, always has ingress, egress only where it is
/// limited; ingress names ports and nobody in particular.
#[test]
fn ingress_is_by_port_alone() {
    let policy = find(&rendered(&meshed()), "networkpolicy/mathoid-main")["spec"].clone();
    let selector = json!({ "app": "mathoid", "release": "main" });
    assert_eq!(policy["podSelector"]["matchLabels"], selector);
    assert_eq!(policy["policyTypes"], json!(["Ingress"]));
    let rules = policy["ingress"].as_array().unwrap();
    assert_eq!(rules.len(), 1);
    assert!(rules[0].get("from").is_none());
    let ports: Vec<&Value> = rules[0]["ports"].as_array().unwrap().iter().collect();
    let numbers: Vec<&Value> = ports.iter().map(|port| &port["port"]).collect();
    assert_eq!(numbers, [10044, 4001, 9102]);
}

/// Network policies, and the regression that mesh 1.2.2 fixed: an egress rule without `to` allows everything, so
/// none is made but the resolver's, which names its port.
#[test]
fn no_egress_rule_allows_everything() {
    let mut stack = meshed();
    let mathoid = stack.services.get_mut("mathoid").unwrap();
    mathoid.network.restrict_egress = true;
    mathoid.network.egress = vec![Egress::Cidr {
        cidr: String::new(),
        ports: Vec::new(),
    }];
    let policy = find(&rendered(&stack), "networkpolicy/mathoid-main")["spec"].clone();
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    for rule in policy["egress"].as_array().unwrap() {
        let to = rule["to"].as_array().is_some_and(|to| !to.is_empty());
        let ports: Vec<&Value> = rule["ports"].as_array().unwrap().iter().collect();
        assert!(to || ports.iter().all(|port| port["port"] == 53), "{rule}");
    }
}

/// `modules/base` and `modules/mesh`, network policies: namespaces enforce, audit and warn of the `restricted` Pod Security level.
#[test]
fn the_namespace_is_restricted() {
    let namespace = find(&rendered(&meshed()), "namespace/math");
    for mode in ["enforce", "audit", "warn"] {
        let label = format!("pod-security.kubernetes.io/{mode}");
        assert_eq!(namespace["metadata"]["labels"][label], "restricted");
    }
}
