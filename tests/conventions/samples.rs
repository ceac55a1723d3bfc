//! The files under `conventions/` themselves: the shipped conventions and the sample stacks.

use std::path::Path;

use mwctl_core::conventions;
use serde_json::Value;

fn folder(name: &str) -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("conventions")
        .join(name);
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
        .collect()
}

#[test]
fn every_file_under_services_and_helpers_is_shipped() {
    let shipped = conventions::shipped();
    let mut names: Vec<&str> = shipped
        .iter()
        .filter_map(conventions::Document::name)
        .collect();
    let files = [folder("services"), folder("helpers")].concat();
    let mut stems: Vec<&str> = files
        .iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap())
        .collect();
    names.sort_unstable();
    stems.sort_unstable();
    assert_eq!(names, stems);
}

#[test]
fn the_sample_stacks_resolve_with_the_files_their_sources_have() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("conventions/valid/npm-package");
    let files = folder("stacks");
    assert!(!files.is_empty());
    for file in files {
        let stack =
            crate::scenarios::resolve(&file, &repository).unwrap_or_else(|it| panic!("{it:?}"));
        assert_eq!(stack.services["mathoid"].port().unwrap().number, 10044);
        assert!(stack.services.contains_key("redis"));
    }
}

#[test]
fn the_sample_of_three_services_has_what_it_shows() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conventions/stacks/greeting");
    let stack = crate::scenarios::resolve(&place.join("mwctl.yaml"), &place);
    let stack = stack.unwrap_or_else(|it| panic!("{it:?}"));
    let names: Vec<&str> = stack
        .services
        .keys()
        .map(mwctl_core::name::ServiceName::as_str)
        .collect();
    assert_eq!(names, ["greeting", "seed", "store"]);
    let greeting = &stack.services["greeting"];
    assert_eq!(greeting.port().unwrap().number, 8000);
    assert_eq!(greeting.helpers[0].name, "metrics");
    assert!(stack.services["seed"].workload.ends());
}

#[test]
fn the_miniature_of_mediawikis_stack_resolves() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conventions/stacks/mediawiki");
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("mwctl");
    let runner = r#"{"dependencies": {"service-runner": "1"}}"#;
    for (path, text) in [
        (
            "restbase/package.json",
            &*std::fs::read_to_string(place.join("restbase/package.json")).unwrap(),
        ),
        ("restbase/server.js", ""),
        ("src/mathoid/package.json", runner),
    ] {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), text).unwrap();
    }
    let file = folder.path().join("mwctl.yaml");
    std::fs::copy(place.join("mwctl.yaml"), &file).unwrap();
    let stack = crate::scenarios::resolve(&file, &root).unwrap_or_else(|it| panic!("{it:?}"));
    let port = |name: &str| stack.services[name].port().map(|port| port.number);
    // The ports that these services have in production and had in 2017.
    assert_eq!(port("mediawiki"), Some(8080));
    assert_eq!(port("mariadb"), Some(3306));
    assert_eq!(port("restbase"), Some(7231));
    assert_eq!(port("redis"), Some(6379));
    assert!(stack.services["tables"].workload.ends());
}

/// A service of each shipped convention resolves with the smallest repository of its kind.
#[test]
fn each_convention_makes_a_service_of_the_smallest_repository() {
    let files = |name: &str| -> &[(&str, &str)] {
        match name {
            "container" => &[("Dockerfile", "FROM x\nCOPY . .\nCMD x\n")],
            "go" => &[("go.mod", "module x"), ("main.go", "")],
            "rust" => &[("Cargo.toml", "[package]"), ("src/main.rs", "")],
            "php" => &[("index.php", "")],
            "mediawiki" => &[("includes/Setup.php", ""), ("api.php", "")],
            "python" => &[("requirements.txt", ""), ("main.py", "")],
            "python-wsgi" => &[("requirements.txt", ""), ("app.py", "")],
            "python-asgi" => &[("requirements.txt", ""), ("asgi.py", "")],
            "static" => &[("index.html", "")],
            "node" => &[("package.json", r#"{"name": "x", "main": "x.js"}"#)],
            "service-runner" => &[(
                "package.json",
                r#"{"dependencies": {"service-runner": "1"}}"#,
            )],
            _ => &[],
        }
    };
    for document in conventions::shipped() {
        let name = document.name().unwrap();
        if document.kind() != conventions::Kind::Convention {
            continue;
        }
        let (name, mut body) = (name.to_owned(), String::new());
        if matches!(name.as_str(), "worker" | "job" | "cron") {
            body = "    container: {image: \"a:1\", command: [a]}\n".to_owned();
        } else if !files(&name).is_empty() {
            body = "    source: {path: .}\n".to_owned();
        }
        let text = format!(
            "apiVersion: mwctl/v1\nkind: Stack\nname: one\nservices:\n  {name}:\n    convention: {name}\n{body}"
        );
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("mwctl");
        for (path, text) in files(&name) {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let file = folder.path().join("mwctl.yaml");
        std::fs::write(&file, text).unwrap();
        let stack =
            crate::scenarios::resolve(&file, &root).unwrap_or_else(|it| panic!("{name}: {it:?}"));
        let service = &stack.services[name.as_str()];
        assert_eq!(service.convention, name);
        let ports = !matches!(name.as_str(), "worker" | "job" | "cron");
        assert_eq!(service.port().is_some(), ports, "{name}");
        assert_eq!(service.main.readiness.is_some(), ports, "{name}");
        assert!(!service.main.resources.limits.is_empty(), "{name}");
    }
}

/// Production's charts, what stands beside a service: names, ports and what each asks for and is limited to.
#[test]
fn the_shipped_helpers_have_productions_names_ports_and_resources() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mwctl.yaml");
    let text = "apiVersion: mwctl/v1\nkind: Service\nname: x\ncontainer: {image: \"x:1\", ports: [{port: 80}]}\n\
                helpers: {statsd-exporter: {}, tls-proxy: {}, cache: {}, log-collector: {}}\n";
    std::fs::write(&file, text).unwrap();
    let stack = crate::scenarios::resolve(&file, &folder.path().join("mwctl")).unwrap();
    let service = &stack.services["x"];
    let helper = |name: &str| service.helpers.iter().find(|it| it.name == name).unwrap();
    let ports = |name: &str| -> Vec<(String, u16)> {
        let ports = helper(name).ports.iter();
        ports.map(|port| (port.name.clone(), port.number)).collect()
    };
    let named = |all: &[(&str, u16)]| -> Vec<(String, u16)> {
        all.iter()
            .map(|(name, number)| ((*name).to_owned(), *number))
            .collect()
    };
    let statsd = [
        ("statsd-metrics", 9102),
        ("statsd-udp", 9125),
        ("statsd-tcp", 9125),
    ];
    assert_eq!(ports("statsd-exporter"), named(&statsd));
    assert!(helper("statsd-exporter").plain_name);
    assert_eq!(
        ports("tls-proxy"),
        named(&[("https", 4443), ("envoy-telemetry", 9361)])
    );
    // mcrouter's port, and as there only within the pod.
    assert_eq!(ports("cache"), named(&[("memcached", 11213)]));
    for (name, requests, limits) in [
        ("statsd-exporter", ["100m", "200M"], ["200m", "400M"]),
        ("tls-proxy", ["200m", "100Mi"], ["500m", "500Mi"]),
    ] {
        let resources = &helper(name).resources;
        for (stated, expected) in [(&resources.requests, requests), (&resources.limits, limits)] {
            assert_eq!([&*stated["cpu"], &*stated["memory"]], expected, "{name}");
        }
    }
    let env = &helper("tls-proxy").environment;
    for (name, value) in [
        ("SERVICE_NAME", "x-local"),
        ("SERVICE_ZONE", "default"),
        ("DRAIN_TIME_S", "600"),
        ("DRAIN_STRATEGY", "gradual"),
        ("ADMIN_PORT", "1666"),
    ] {
        assert!(
            env.contains(&(name.to_owned(), value.to_owned())),
            "{name}: {env:?}"
        );
    }
    let annotations = [
        "prometheus.io/scrape",
        "prometheus.io/port",
        "envoyproxy.io/scrape",
        "envoyproxy.io/port",
    ];
    assert!(
        annotations
            .iter()
            .all(|name| service.annotations.contains_key(*name))
    );
}

#[test]
fn the_schema_accepts_what_is_shipped_and_names_every_kind() {
    let schema = conventions::schema();
    for kind in ["Convention", "Service", "Stack", "Helper", "Overrides"] {
        assert!(schema["$defs"][kind]["properties"]["apiVersion"].is_object());
    }
    assert!(
        undocumented(&schema["$defs"]).is_empty(),
        "{:?}",
        undocumented(&schema["$defs"])
    );
}

/// Keys without a description: the reference would be silent about them.
fn undocumented(definitions: &Value) -> Vec<String> {
    let mut missing = Vec::new();
    for (name, definition) in definitions.as_object().unwrap() {
        for (key, property) in definition["properties"].as_object().unwrap() {
            if property["description"].as_str().is_none_or(str::is_empty) {
                missing.push(format!("{name}.{key}"));
            }
        }
    }
    missing
}
