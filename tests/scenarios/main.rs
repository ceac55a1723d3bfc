//! Plans from data: what is described, what is in the cluster, what has to be done.
//!
//! Each folder is a scenario: `stack.yaml` as people write it; `observed.yaml`, what was deployed
//! before and what has happened to it since; `asked.yaml`, if something else than `up` was asked for;
//! `plan.snap`, the plan. Rules are proven beside the code; this shows how they work together.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]

mod observed;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use mwctl_core::conventions::{Input, parse, resolve};
use mwctl_core::manifest::{Object, render};
use mwctl_core::model::{Image, Stack};
use mwctl_core::name::ServiceName;
use mwctl_core::plan::{Desired, ImageBuild, Plan, PlanOptions, down, plan, render as shown};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use observed::Seen;

/// Whose checkout the scenarios deploy.
const WORKTREE: &str = "checkout";

/// What was asked for, if not simply `up`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    /// The services named.
    services: BTreeSet<ServiceName>,
    /// Whether objects that belong to somebody else are taken over.
    adopt: bool,
    /// Whether data may go.
    volumes: bool,
    /// Services that leave their develop form.
    leave: BTreeSet<ServiceName>,
    /// Whether the stack is taken down.
    down: bool,
}

/// A scenario's folder.
fn folder(scenario: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("scenarios")
        .join(scenario)
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml<T: DeserializeOwned>(path: &Path) -> T {
    serde_yaml::from_str(&text(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Resolves what is described in a file.
fn stack(path: &Path) -> Stack {
    let own = parse(path, &text(path));
    assert_eq!(own.problems, [], "{}", path.display());
    let input = Input {
        shipped: &[],
        own: &own.documents,
        directory: Path::new("stack"),
        repositories: &[],
        environment: &BTreeMap::new(),
        profiles: &std::collections::BTreeSet::new(),
        manifests: &BTreeMap::new(),
        suffix: None,
    };
    resolve(&input).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// The images that are made here: as if each service's files had one content.
fn builds(stack: &Stack) -> BTreeMap<ServiceName, ImageBuild> {
    let built_here = |image: &Image| matches!(image, Image::Build(_));
    let services = stack.services.values();
    services
        .filter(|service| built_here(&service.image))
        .map(|service| {
            let version = service.version.as_deref().unwrap_or("0");
            let build = ImageBuild {
                reference: format!("mwctl.local/{}:{version}", service.name),
                built: false,
            };
            (service.name.clone(), build)
        })
        .collect()
}

fn objects(stack: &Stack) -> Vec<Object> {
    let references = builds(stack)
        .into_iter()
        .map(|(name, build)| (name, build.reference))
        .collect();
    render(stack, &references, WORKTREE)
}

fn planned(scenario: &str) -> Plan {
    let folder = folder(scenario);
    let stack = stack(&folder.join("stack.yaml"));
    let seen: Seen = yaml(&folder.join("observed.yaml"));
    let observed = observed::observed(&folder, &seen);
    let asked_path = folder.join("asked.yaml");
    let asked: Asked = if asked_path.exists() {
        yaml(&asked_path)
    } else {
        Asked::default()
    };
    if asked.down {
        return down(&observed, &stack, WORKTREE, asked.volumes);
    }
    let desired = Desired {
        stack: &stack,
        objects: &objects(&stack),
        builds: &builds(&stack),
        worktree: WORKTREE,
    };
    let options = PlanOptions {
        services: asked.services,
        prune: true,
        volumes: asked.volumes,
        adopt: asked.adopt,
        leave: asked.leave,
    };
    plan(&desired, &observed, &options)
}

/// Compares a scenario's plan with its `plan.snap`.
fn check(scenario: &str) {
    let plan = planned(scenario);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder(scenario));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("plan", shown::text(&plan)));
}

macro_rules! scenarios {
    ($($name:ident)*) => {
        const SCENARIOS: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*
    };
}

scenarios! {
    changed_in_the_cluster
    developed
    first_time
    foreign_service
    next_version
    nothing_to_do
    service_removed
    taken_down
}

#[test]
fn every_folder_is_a_scenario_that_runs() {
    let folders: BTreeSet<String> = fs::read_dir(folder(""))
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    let run: BTreeSet<String> = SCENARIOS.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(folders, run);
}
