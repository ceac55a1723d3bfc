//! What is written can be read again, and says what the original said.

use std::collections::BTreeMap;

use super::super::repository::Repository;
use super::super::resolve::{Input, explain, resolve};
use super::super::{parse, shipped};
use super::*;
use crate::model::{Image, Stack};

fn resolved(text: &str, files: &[(&str, &[(&str, &str)])]) -> Stack {
    let parsed = parse(Path::new("mwctl.yaml"), text);
    assert_eq!(parsed.problems, [], "{text}");
    let repositories: Vec<Repository> = files
        .iter()
        .map(|(directory, files)| Repository {
            directory: (*directory).into(),
            files: files
                .iter()
                .map(|(file, text)| (file.into(), (*text).to_owned()))
                .collect(),
        })
        .collect();
    let input = Input {
        shipped: shipped(),
        own: &parsed.documents,
        directory: Path::new("/home/me/stack"),
        repositories: &repositories,
        environment: &BTreeMap::new(),
        profiles: &std::collections::BTreeSet::new(),
        manifests: &BTreeMap::new(),
        suffix: None,
    };
    resolve(&input).unwrap_or_else(|problems| panic!("{text}{problems:?}"))
}

const PACKAGE: &str = r#"{"name": "teller", "main": "x.js"}"#;

#[test]
fn the_shortest_file_pins_what_was_recognised() {
    let repositories = [Repository {
        directory: "/home/me/stack".into(),
        files: BTreeMap::from([("package.json".into(), PACKAGE.to_owned())]),
    }];
    let explained = explain(&Input {
        shipped: shipped(),
        own: &[],
        directory: Path::new("/home/me/stack"),
        repositories: &repositories,
        environment: &BTreeMap::new(),
        profiles: &std::collections::BTreeSet::new(),
        manifests: &BTreeMap::new(),
        suffix: None,
    });
    let initial = shortest(&explained.unwrap()[0]).unwrap();
    assert_eq!(
        initial.text,
        "apiVersion: mwctl/v1\nkind: Service\nname: teller\nconvention: node\n"
    );
    let stack = resolved(
        &initial.text,
        &[("/home/me/stack", &[("package.json", PACKAGE)])],
    );
    assert_eq!(stack.services["teller"].convention, "node");
}

const COMPOSE: &str = "services:
  web_app:
    build: ./web
    command: node x.js --verbose
    ports: ['80:8080']
    environment: {CACHE: 'redis://cache:6379', FEED: 'http://feed/a'}
    depends_on: [cache, feed]
    volumes: ['./web:/app']
  cache:
    image: redis:7.2
  feed:
    image: example.org/feed:1
    expose: [80]
    command: ['serve', '{{ x }}']
    volumes: ['kept:/data', './conf:/etc/conf']
    secrets: [a]
volumes: {kept: {}}
";

#[test]
fn a_compose_file_becomes_a_stack_that_says_the_same() {
    let initial = from_compose(Path::new("compose.yaml"), COMPOSE, "My Work", shipped()).unwrap();
    let stack = resolved(
        &initial.text,
        &[("/home/me/stack/./web", &[("package.json", PACKAGE)][..])],
    );
    assert_eq!(stack.name.as_str(), "my-work");
    let web = &stack.services["web-app"];
    assert_eq!(web.port().unwrap().number, 8080);
    assert_eq!(web.main.command, ["node", "x.js", "--verbose"]);
    assert_eq!(web.needs.len(), 2);
    let variable = |name: &str| {
        let mut found = web.main.environment.iter().filter(|(own, _)| own == name);
        found.next().unwrap().1.clone()
    };
    assert_eq!(variable("CACHE"), "redis://cache-local:6379");
    assert_eq!(variable("FEED"), "http://feed-local/a");
    let cache = &stack.services["cache"];
    assert_eq!(cache.convention, "redis");
    assert_eq!(cache.image, Image::Reference("redis:7.2".into()));
    let feed = &stack.services["feed"];
    assert_eq!(feed.main.command, ["serve", "{{ x }}"]);
    assert_eq!(feed.main.mounts[0].path, "/data");
    let notes: Vec<String> = initial
        .notes
        .iter()
        .map(|note| format!("{}: {}", note.line, note.text))
        .collect();
    assert_eq!(
        notes,
        [
            "8: the folder `./web` of this machine isn't mounted",
            "15: the folder `./conf` of this machine isn't mounted",
            "16: `secrets` has no key here",
        ]
    );
}

#[test]
fn a_chart_becomes_a_service() {
    let values = "main_app: {port: 10044, limits: {cpu: 2, memory: 1Gi}}\nconfig: {public: {a: b}}\n\
                  cronjobs: {x: {enabled: true}}\n";
    let initial = from_chart(Path::new("values.yaml"), values, "teller", Some("node")).unwrap();
    let stack = resolved(
        &initial.text,
        &[("/home/me/stack", &[("package.json", PACKAGE)])],
    );
    let teller = &stack.services["teller"];
    assert_eq!(teller.port().unwrap().number, 10044);
    assert_eq!(teller.main.resources.limits["memory"], "1Gi");
    assert_eq!(initial.notes.len(), 1);
    let refused = from_chart(Path::new("values.yaml"), "image: {}\n", "x", None).unwrap_err();
    assert!(refused[0].message.contains("neither `app` nor `main_app`"));
}
