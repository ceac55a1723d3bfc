//! Plans that take a stack down.

use serde_json::json;

use super::super::{HoldKind, down, render};
use super::fixture::{WORKTREE, World};
use super::{AGENT, develop, steps};
use crate::manifest::fixture::stack;
use crate::manifest::{ObjectId, WORKTREE as LABEL, agent_config_map};

#[test]
fn a_stack_without_data_leaves_nothing() {
    let mut world = World::new(stack());
    world.service("redis").volumes.clear();
    world.service("redis").main.mounts.clear();
    world.up();
    develop(&mut world);
    let plan = down(&world.observed, &world.stack, WORKTREE, false);
    assert!(plan.holds.is_empty());
    let last = plan.steps.last().unwrap();
    assert_eq!(
        render::describe(&last.action),
        ("delete", "namespace/math".to_owned())
    );
    assert_eq!(last.after.len(), plan.steps.len() - 1);
    world.execute(&plan);
    assert!(world.observed.objects.is_empty());
    assert!(down(&world.observed, &world.stack, WORKTREE, false).is_empty());
}

#[test]
fn data_is_kept_unless_it_was_asked_for() {
    let mut world = World::running(stack());
    let plan = down(&world.observed, &world.stack, WORKTREE, false);
    insta::assert_snapshot!(render::text(&plan));
    world.execute(&plan);
    assert!(down(&world.observed, &world.stack, WORKTREE, false).is_empty());
    let plan = down(&world.observed, &world.stack, WORKTREE, true);
    assert_eq!(
        steps(&plan),
        [
            "delete persistentvolumeclaim/redis-main-data",
            "delete namespace/math"
        ]
    );
}

#[test]
fn a_namespace_with_something_else_in_it_stays() {
    let mut world = World::running(stack());
    let mut other = world.live("configmap/mathoid-main-config").clone();
    other["metadata"]["name"] = json!("somebody-elses");
    other["metadata"]["labels"] = json!({});
    let id = ObjectId::of(&other).unwrap();
    world.observed.objects.insert(id.clone(), other);
    let born = ObjectId {
        name: "kube-root-ca.crt".to_owned(),
        ..id.clone()
    };
    world.observed.objects.insert(born, json!({}));
    let plan = down(&world.observed, &world.stack, WORKTREE, true);
    world.execute(&plan);
    assert!(world.observed.objects.contains_key(&id));
    let hold = plan
        .holds
        .iter()
        .find(|hold| hold.kind == HoldKind::Namespace)
        .unwrap();
    assert_eq!(
        hold.reason,
        "`namespace/math` is kept, because `configmap/somebody-elses` is in it"
    );
}

#[test]
fn what_every_namespace_is_born_with_keeps_none() {
    let mut world = World::running(stack());
    let map = ObjectId::of(world.live("configmap/mathoid-main-config")).unwrap();
    let born = [
        ("ConfigMap", "kube-root-ca.crt"),
        ("ServiceAccount", "default"),
    ];
    for (kind, name) in born {
        let id = ObjectId {
            kind: kind.to_owned(),
            name: name.to_owned(),
            ..map.clone()
        };
        world.observed.objects.insert(id, json!({}));
    }
    let plan = down(&world.observed, &world.stack, WORKTREE, true);
    assert!(plan.holds.is_empty(), "{:?}", plan.holds);
}

#[test]
fn what_another_checkout_deployed_stays() {
    let mut world = World::running(stack());
    let plan = down(&world.observed, &world.stack, "elsewhere", true);
    assert!(plan.is_empty());
    let agent = agent_config_map(&world.stack, &AGENT, "elsewhere");
    world.apply(&agent);
    let agent = world.live("configmap/mwctl-agent-0123456789ab").clone();
    assert_eq!(agent["metadata"]["labels"][LABEL], "elsewhere");
    let plan = down(&world.observed, &world.stack, WORKTREE, true);
    assert!(
        !steps(&plan)
            .iter()
            .any(|step| step.contains("agent") || step.contains("namespace"))
    );
}
