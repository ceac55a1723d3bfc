//! Whole folders resolved: what each layer adds, and what is said when something is missing.

use std::fmt::Write as _;
use std::path::PathBuf;

use proptest::prelude::*;

use super::super::{parse, shipped};
use super::*;
use crate::model::{Check as Probed, Image, Source};

const PACKAGE: &str = r#"{
	"name": "mathoid",
	"version": "0.7.6",
	"scripts": {"start": "service-runner", "test": "mocha"},
	"dependencies": {"service-runner": "^3.1.0"}
}"#;
const CONFIG: &str = "num_workers: ncpu
logging:
  level: trace
metrics:
  type: statsd
services:
  - name: mathoid
    module: ./app.js
    conf:
      port: 10044
      mwapi_req:
        uri: https://{{domain}}/w/api.php
";
const STACK: &str = "apiVersion: mwctl/v1
kind: Stack
name: maths
services:
  mathoid:
    source: {npm: {package: mathoid, version: 0.7.6}}
    needs: [redis]
    settings: {cache: \"{{ services.redis.url }}\"}
";

/// A folder with a `mwctl.yaml`, and the repositories by folder, file and text.
fn resolved(own: &str, repositories: &[(&str, &[(&str, &str)])]) -> Result<Stack, String> {
    let parsed = parse(Path::new("mwctl.yaml"), own);
    let (own, problems) = (parsed.documents, parsed.problems);
    assert_eq!(problems, []);
    let repositories: Vec<Repository> = repositories
        .iter()
        .map(|(directory, files)| Repository {
            directory: PathBuf::from(directory),
            files: files
                .iter()
                .map(|(file, text)| (file.into(), (*text).to_owned()))
                .collect(),
        })
        .collect();
    let input = Input {
        shipped: shipped(),
        own: &own,
        directory: Path::new("/home/me/work"),
        repositories: &repositories,
        environment: &BTreeMap::new(),
        profiles: &std::collections::BTreeSet::new(),
        manifests: &BTreeMap::new(),
        suffix: None,
    };
    resolve(&input).map_err(|problems| {
        problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    })
}

#[test]
fn a_package_with_service_runner_needs_no_file_of_ours() {
    let files = [
        ("package.json", PACKAGE),
        ("config.dev.yaml", CONFIG),
        ("server.js", ""),
    ];
    let stack = resolved("", &[("/home/me/work", &files)]).unwrap();
    assert_eq!(stack.name.as_str(), "mathoid");
    assert_eq!(stack.namespace, "mathoid");
    let service = &stack.services["mathoid"];
    assert_eq!(service.convention, "service-runner");
    assert_eq!(service.version.as_deref(), Some("0.7.6"));
    assert_eq!(service.source, Source::Path("/home/me/work".into()));
    assert_eq!(service.port().unwrap().number, 10044);
    assert_eq!(
        service.main.command,
        ["node", "server.js", "-c", "/etc/mathoid/config.yaml"]
    );
    let readiness = service.main.readiness.as_ref().unwrap();
    let path = "/_info".to_owned();
    assert_eq!(readiness.check, Probed::Http { path, port: 10044 });
    assert_eq!(readiness.period_seconds, 1);
    let Image::Build(build) = &service.image else {
        panic!("the image is built");
    };
    assert_eq!((build.user, build.owner), (900, 65533));
    let install = &build.dependencies.as_ref().unwrap().command;
    assert_eq!(
        install[..3],
        ["npm", "install", "--omit=dev"],
        "there is no lock file"
    );
    assert!(
        service
            .main
            .environment
            .iter()
            .all(|(name, _)| name != "PORT")
    );
    let evidence: Vec<String> = service
        .evidence
        .iter()
        .map(|it| format!("{}:{} {}", it.file.display(), it.line, it.conclusion))
        .collect();
    assert_eq!(
        evidence,
        [
            "package.json:5 convention service-runner",
            "package.json:2 name mathoid",
            "package.json:3 version 0.7.6",
            "config.dev.yaml:10 port 10044",
            "server.js:1 main server.js",
            "config.dev.yaml:1 configuration /etc/mathoid/config.yaml",
        ]
    );
}

#[test]
fn the_configuration_is_the_repositorys_own_with_ours_merged_over_it() {
    let files = [("package.json", PACKAGE), ("config.dev.yaml", CONFIG)];
    let stack = resolved(STACK, &[("/home/me/work/src/mathoid", &files)]).unwrap();
    insta::assert_snapshot!(stack.services["mathoid"].files[0].text, @r"
    num_workers: 0
    logging:
      level: info
      name: mathoid
      streams:
      - type: stdout
    services:
    - name: mathoid
      module: ./app.js
      conf:
        port: 10044
        mwapi_req:
          uri: https://{{domain}}/w/api.php
        cache: redis://redis-local:6379
    ");
}

#[test]
fn a_needed_redis_is_added_and_known_to_templates() {
    let files = [("package.json", PACKAGE), ("package-lock.json", "{}")];
    let stack = resolved(STACK, &[("/home/me/work/src/mathoid", &files)]).unwrap();
    let redis = &stack.services["redis"];
    assert_eq!(redis.source, Source::None);
    assert_eq!(
        redis.image,
        Image::Reference("docker.io/library/redis:7-bookworm".into())
    );
    assert!(redis.main.read_only && redis.main.user == Some(999) && redis.develop.is_none());
    let mathoid = &stack.services["mathoid"];
    assert_eq!(mathoid.needs[0].service, redis.name);
    assert_eq!(
        mathoid.port().unwrap().number,
        8888,
        "without a configuration file"
    );
    assert!(
        mathoid.files[0]
            .text
            .contains("cache: redis://redis-local:6379")
    );
    let Image::Build(build) = &mathoid.image else {
        panic!("the image is built");
    };
    assert_eq!(build.dependencies.as_ref().unwrap().command[1], "ci");
}

#[test]
fn the_layers_lie_over_each_other_in_their_order() {
    let own = "apiVersion: mwctl/v1
kind: Convention
name: low
container: {image: low, environment: {A: low, B: low, C: low, D: low}}
---
apiVersion: mwctl/v1
kind: Convention
name: high
extends: low
container: {environment: {B: high, C: high, D: high}}
---
apiVersion: mwctl/v1
kind: Stack
name: s
services:
  web: {source: {path: web}, container: {environment: {D: entry}}}
";
    let service = "apiVersion: mwctl/v1
kind: Service
convention: high
container: {environment: {C: service, D: service}}
";
    let stack = resolved(own, &[("/home/me/work/web", &[("mwctl.yaml", service)])]).unwrap();
    let environment: Vec<String> = stack.services["web"]
        .main
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(environment, ["A=low", "B=high", "C=service", "D=entry"]);
}

proptest! {
    #[test]
    fn nothing_that_people_may_write_makes_it_panic(
        values in proptest::collection::vec((0_usize..KEYS.len(), 0_usize..VALUES.len()), 0..8),
    ) {
        let mut text = "apiVersion: mwctl/v1\nkind: Service\nsource: {path: .}\n".to_owned();
        for (key, value) in values {
            writeln!(text, "{}: {}", KEYS[key], VALUES[value]).unwrap();
        }
        let own = parse(Path::new("mwctl.yaml"), &text).documents;
        let repository = Repository { directory: "/x/.".into(), files: BTreeMap::new() };
        let input = Input {
            shipped: shipped(),
            own: &own,
            directory: Path::new("/x"),
            repositories: &[repository],
            environment: &BTreeMap::new(),
        profiles: &std::collections::BTreeSet::new(),
        manifests: &BTreeMap::new(),
        suffix: None,
        };
        drop(resolve(&input));
    }
}

const KEYS: [&str; 12] = [
    "name",
    "convention",
    "container",
    "helpers",
    "facts",
    "config",
    "settings",
    "secrets",
    "needs",
    "develop",
    "replicas",
    "volumes",
];
const VALUES: [&str; 12] = [
    "",
    "node",
    "redis",
    "{image: x, ports: [{port: \"{{ facts.port }}\"}], probes: {readiness: {tcp: {}}}}",
    "{a: {image: y, user: \"{{ service.port }}\", ports: [{port: 1}, {port: 1}]}}",
    "{port: [{value: 99999}], a: [{file: '', key: ''}, {}]}",
    "{path: '', from: ['', mwctl.yaml], values: {a: }, settingsAt: '///~2/0'}",
    "[redis, x, x, {service: node, condition: eventually}]",
    "{A: {value: 1}, '': {}}",
    "{directory: /, restart: ['[', '{'], stopTimeout: 99999999999999999999s}",
    "-1",
    "\"{{ services }}\"",
];
