//! What holds for every stack and every cluster.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::super::{Action, Plan, down};
use super::fixture::{WORKTREE, World};
use crate::manifest::fixture::{name, service, stack};
use crate::manifest::{MANAGED_BY, MANAGER, PART_OF};
use crate::model::{
    Condition, ConfigFile, Need, Secret, SecretSource, Service, Volume, VolumeKind,
};
use crate::observed::label;

const NAMES: [&str; 5] = ["alpha", "beta", "gamma", "delta", "epsilon"];

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        Just(Condition::Ready),
        Just(Condition::Started),
        Just(Condition::Eventually)
    ]
}

fn described(index: usize) -> impl Strategy<Value = Service> {
    let needs = prop::collection::vec((0..NAMES.len(), condition()), 0..3);
    let parts = any::<[bool; 3]>();
    (needs, parts, 0..3_u32).prop_map(move |(needs, [file, secret, volume], replicas)| {
        let mut service = service(NAMES[index], 8000);
        service.replicas = replicas;
        service.needs = needs
            .into_iter()
            .map(|(need, condition)| Need {
                service: name(NAMES[need]),
                condition,
            })
            .collect();
        if file {
            service.files.push(ConfigFile {
                path: "/etc/a".to_owned(),
                text: "a".to_owned(),
                container: "main".to_owned(),
                map: "config".to_owned(),
            });
        }
        if secret {
            service
                .secrets
                .insert("KEY".to_owned(), SecretSource::Given(Secret::new("value")));
        }
        if volume {
            service.volumes.push(Volume {
                name: "data".to_owned(),
                kind: VolumeKind::Persistent {
                    size: "1Gi".to_owned(),
                },
            });
        }
        service
    })
}

/// A stack of some services that need each other in any way.
fn worlds() -> impl Strategy<Value = World> {
    let services = (
        described(0),
        described(1),
        described(2),
        described(3),
        described(4),
    );
    (services, any::<[bool; 5]>()).prop_map(|((a, b, c, d, e), present)| {
        let mut stack = stack();
        stack.services = [a, b, c, d, e]
            .into_iter()
            .zip(present)
            .filter(|(_, present)| *present)
            .map(|(service, _)| (service.name.clone(), service))
            .collect();
        World::new(stack)
    })
}

/// Something that happens to an object in the cluster.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    Gone,
    Changed,
    Going,
    Unlabelled,
    Unready,
}

fn mishaps() -> impl Strategy<Value = Vec<(prop::sample::Index, Mishap)>> {
    let mishap = prop_oneof![
        Just(Mishap::Gone),
        Just(Mishap::Changed),
        Just(Mishap::Going),
        Just(Mishap::Unlabelled),
        Just(Mishap::Unready)
    ];
    prop::collection::vec((any::<prop::sample::Index>(), mishap), 0..6)
}

fn befall(world: &mut World, mishaps: Vec<(prop::sample::Index, Mishap)>) {
    for (index, mishap) in mishaps {
        let ids: Vec<_> = world.observed.objects.keys().cloned().collect();
        if ids.is_empty() {
            return;
        }
        let id = index.get(&ids).clone();
        let live = world.observed.objects.get_mut(&id).expect("it is a key");
        match mishap {
            Mishap::Gone => {
                world.observed.objects.remove(&id);
            }
            Mishap::Changed => live["metadata"]["labels"]["app"] = json!("changed"),
            Mishap::Going => live["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
            Mishap::Unlabelled => live["metadata"]["labels"] = json!({}),
            Mishap::Unready => live["status"] = json!({}),
        }
    }
}

fn deletes_only_what_is_ours(world: &World, plan: &Plan) -> Result<(), TestCaseError> {
    for step in &plan.steps {
        if let Action::Delete { id } = &step.action {
            let live = &world.observed.objects[id];
            prop_assert_eq!(label(live, MANAGED_BY), Some(MANAGER));
            prop_assert_eq!(label(live, PART_OF), Some(world.stack.name.as_str()));
            prop_assert!(
                id.kind != "PersistentVolumeClaim"
                    || live["metadata"].get("deletionTimestamp").is_some()
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_cut_off_anywhere_is_completed_by_the_next_run(mut world in worlds(), cut in any::<prop::sample::Index>()) {
        let mut plan = world.plan();
        if !plan.steps.is_empty() {
            plan.steps.truncate(cut.index(plan.steps.len()));
        }
        world.execute(&plan);
        world.up();
        prop_assert!(world.plan().is_empty());
    }

    #[test]
    fn planning_twice_gives_equal_plans(mut world in worlds(), mishaps in mishaps()) {
        world.up();
        befall(&mut world, mishaps);
        prop_assert_eq!(world.plan(), world.plan());
    }

    #[test]
    fn the_plan_after_an_executed_one_is_empty(mut world in worlds(), mishaps in mishaps()) {
        world.up();
        prop_assert!(world.plan().is_empty(), "{:#?}", world.plan());
        befall(&mut world, mishaps);
        world.up();
        prop_assert!(world.plan().is_empty(), "{:#?}", world.plan());
    }

    #[test]
    fn a_step_stands_behind_those_it_waits_for(world in worlds()) {
        for (index, step) in world.plan().steps.iter().enumerate() {
            prop_assert_eq!(step.id, index);
            prop_assert!(step.after.iter().all(|earlier| *earlier < index));
        }
    }

    #[test]
    fn a_workload_waits_for_what_its_service_needs(world in worlds()) {
        let plan = world.plan();
        prop_assume!(plan.holds.is_empty());
        for step in &plan.steps {
            let (Action::Apply(object), Some(service)) = (&step.action, &step.service) else {
                continue;
            };
            if object.id().kind != "Deployment" {
                continue;
            }
            let waited: BTreeSet<_> = step
                .after
                .iter()
                .filter_map(|earlier| match &plan.steps[*earlier].action {
                    Action::Await { service, condition } => {
                        Some((service.as_str(), format!("{condition:?}")))
                    }
                    _ => None,
                })
                .collect();
            for need in &world.stack.services[service].needs {
                let wanted = (need.service.as_str(), format!("{:?}", need.condition));
                let must = need.condition != Condition::Eventually
                    && world.stack.services.contains_key(&need.service);
                prop_assert!(!must || waited.contains(&wanted), "{wanted:?}");
            }
        }
    }

    #[test]
    fn only_what_is_ours_is_deleted_and_never_data(mut world in worlds(), mishaps in mishaps()) {
        world.up();
        befall(&mut world, mishaps);
        world.stack.services.pop_first();
        deletes_only_what_is_ours(&world, &world.plan())?;
        deletes_only_what_is_ours(&world, &down(&world.observed, &world.stack, WORKTREE, false))?;
    }
}
