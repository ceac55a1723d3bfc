//! Which crate may depend on what, as cargo itself resolves it.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// What needs a runtime, a network, a clock or files.
const EFFECTS: [&str; 10] = [
    "tokio",
    "kube",
    "kube-client",
    "notify",
    "hyper",
    "reqwest",
    "rustls",
    "oci-client",
    "rustix",
    "tempfile",
];

/// What knows terminals and command lines.
const TERMINAL: [&str; 8] = [
    "clap",
    "clap_complete",
    "anstream",
    "owo-colors",
    "indicatif",
    "comfy-table",
    "tracing-subscriber",
    "miette",
];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(crate::root().join("Cargo.toml"))
        .other_options([
            "--locked".to_owned(),
            // What other systems would need isn't here, and isn't asked for.
            format!(
                "--filter-platform={}-unknown-linux-gnu",
                std::env::consts::ARCH
            ),
        ])
        .exec()
        .unwrap()
}

/// What each crate is linked with: its dependencies, and theirs.
struct Graph(BTreeMap<String, BTreeSet<String>>);

impl Graph {
    fn read() -> Self {
        let metadata = metadata();
        let names: BTreeMap<_, _> = metadata
            .packages
            .iter()
            .map(|package| (&package.id, package.name.to_string()))
            .collect();
        let mut edges = BTreeMap::new();
        for node in &metadata.resolve.as_ref().unwrap().nodes {
            let linked = node
                .deps
                .iter()
                .filter(|dependency| {
                    dependency
                        .dep_kinds
                        .iter()
                        .any(|kind| kind.kind == DependencyKind::Normal)
                })
                .map(|dependency| names[&dependency.pkg].clone());
            edges
                .entry(names[&node.id].clone())
                .or_insert_with(BTreeSet::new)
                .extend(linked);
        }
        Self(edges)
    }

    fn direct(&self, name: &str) -> BTreeSet<&str> {
        self.0[name].iter().map(String::as_str).collect()
    }

    fn all(&self, name: &str) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut open = self.direct(name);
        while let Some(next) = open.pop_first() {
            if seen.insert(next) {
                open.extend(self.direct(next));
            }
        }
        seen
    }

    fn refuse(&self, name: &str, refused: &[&str]) {
        let found: Vec<&str> = self
            .all(name)
            .into_iter()
            .filter(|dependency| refused.contains(dependency))
            .collect();
        assert!(found.is_empty(), "`{name}` must not depend on {found:?}");
    }

    fn ours(&self, name: &str) -> Vec<&str> {
        self.direct(name)
            .into_iter()
            .filter(|dependency| dependency.starts_with("mwctl"))
            .collect()
    }
}

#[test]
fn arrows_between_our_crates_are_those_of_the_architecture() {
    let graph = Graph::read();
    assert!(graph.ours("mwctl-core").is_empty());
    assert!(graph.ours("mwctl-agent").is_empty());
    assert!(graph.ours("mwctl-agent-bundle").is_empty());
    assert!(graph.ours("mwctl-zygote").is_empty());
    assert_eq!(graph.ours("mwctl-container"), ["mwctl-zygote"]);
    assert_eq!(
        graph.ours("mwctl-engine"),
        [
            "mwctl-agent",
            "mwctl-agent-bundle",
            "mwctl-apiserver",
            "mwctl-container",
            "mwctl-controllers",
            "mwctl-core",
            "mwctl-image",
            "mwctl-node"
        ]
    );
    assert!(graph.ours("mwctl-apiserver").is_empty());
    assert!(graph.ours("mwctl-controllers").is_empty());
    assert_eq!(graph.ours("mwctl-node"), ["mwctl-container"]);
    assert_eq!(graph.ours("mwctl-image"), ["mwctl-container"]);
    assert_eq!(
        graph.ours("mwctl-testing"),
        ["mwctl-apiserver", "mwctl-controllers", "mwctl-engine"]
    );
    assert_eq!(graph.ours("mwctl"), ["mwctl-core", "mwctl-engine"]);
}

#[test]
fn decisions_depend_on_nothing_that_acts() {
    let graph = Graph::read();
    graph.refuse("mwctl-core", &EFFECTS);
    graph.refuse("mwctl-core", &TERMINAL);
}

#[test]
fn only_the_command_line_knows_terminals() {
    let graph = Graph::read();
    for library in ["mwctl-engine", "mwctl-image", "mwctl-node", "mwctl-testing"] {
        graph.refuse(library, &TERMINAL);
    }
}

#[test]
fn the_agent_is_small_and_has_no_runtime() {
    let graph = Graph::read();
    let heavy = [
        "tokio",
        "kube",
        "serde_json",
        "serde-saphyr",
        "k8s-openapi",
        "regex",
    ];
    graph.refuse("mwctl-agent", &heavy);
    let direct = graph.direct("mwctl-agent");
    assert!(direct.len() <= 8, "the agent has got more: {direct:?}");
}

#[test]
fn what_starts_containers_is_small_and_has_no_runtime() {
    let graph = Graph::read();
    let heavy = ["tokio", "kube", "serde_json", "k8s-openapi", "hyper"];
    graph.refuse("mwctl-zygote", &heavy);
    graph.refuse(
        "mwctl-container",
        &["kube", "k8s-openapi", "hyper", "serde_json"],
    );
}

#[test]
fn every_version_and_every_lint_is_the_workspaces() {
    for path in crate::files("crates") {
        if !path.ends_with("Cargo.toml") || path.components().count() != 3 {
            continue;
        }
        let text = std::fs::read_to_string(crate::root().join(&path)).unwrap();
        let place = path.display();
        assert!(text.contains("[lints]\nworkspace = true"), "{place}");
        assert!(!text.contains("version = \""), "{place} names a version");
    }
}
