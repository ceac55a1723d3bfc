//! Plans from values: one promise per test.

mod down;
mod fixture;
mod property;

use serde_json::{Value, json};

use super::*;
use crate::manifest::fixture::{name, service, stack};
use crate::manifest::{
    AgentBundle, MANAGED_BY, ObjectId, PART_OF, WORKTREE, agent_config_map, develop_form,
};
use crate::model::{Condition, Need, VolumeKind};
use fixture::World;

const AGENT: AgentBundle<'static> = AgentBundle {
    loader: b"loader",
    packed: b"packed",
    digest: "0123456789abcdef",
};

/// The steps of a plan without their reasons.
fn steps(plan: &Plan) -> Vec<String> {
    plan.steps
        .iter()
        .map(|step| {
            let (verb, object) = render::describe(&step.action);
            format!("{verb} {object}")
        })
        .collect()
}

fn place(plan: &Plan, step: &str) -> usize {
    let found = steps(plan).iter().position(|other| other == step);
    found.unwrap_or_else(|| panic!("no `{step}` in {:#?}", steps(plan)))
}

/// Whether `later` waits for `earlier`, directly or not.
fn waits(plan: &Plan, later: &str, earlier: &str) -> bool {
    let goal = place(plan, earlier);
    let mut open = vec![place(plan, later)];
    while let Some(step) = open.pop() {
        if step == goal {
            return true;
        }
        open.extend(&plan.steps[step].after);
    }
    false
}

fn need(service: &str, condition: Condition) -> Need {
    Need {
        service: name(service),
        condition,
    }
}

/// Mathoid in its develop form.
fn developed(world: &World) -> Vec<Object> {
    let mathoid = &world.stack.services["mathoid"];
    let image = "mwctl.local/mathoid:0123456789ab";
    develop_form(
        &world.stack,
        mathoid,
        image,
        None,
        &AGENT,
        fixture::WORKTREE,
    )
    .unwrap()
}

/// Puts mathoid into its develop form, as another `mwctl` would.
fn develop(world: &mut World) {
    for object in developed(world) {
        world.apply(&object.stamped());
    }
    world.become_ready(&name("mathoid"));
}

#[test]
fn an_empty_cluster_gets_everything_in_order() {
    let plan = World::new(stack()).plan();
    insta::assert_snapshot!(render::text(&plan));
    assert!(waits(
        &plan,
        "apply deployment/mathoid-main",
        "await redis ready"
    ));
    assert!(waits(
        &plan,
        "apply deployment/mathoid-main",
        "deliver mwctl.local/mathoid:0123456789ab"
    ));
    assert!(!waits(
        &plan,
        "apply configmap/mathoid-main-config",
        "await redis ready"
    ));
}

#[test]
fn a_second_time_there_is_nothing_to_do() {
    let world = World::running(stack());
    let plan = world.plan();
    assert!(plan.is_empty() && plan.holds.is_empty(), "{plan:#?}");
    assert_eq!(render::text(&plan), "nothing to do, 10 objects unchanged\n");
}

#[test]
fn what_was_changed_in_the_cluster_is_put_back_and_named() {
    let mut world = World::running(stack());
    world.deployment("mathoid")["spec"]["replicas"] = json!(0);
    let plan = world.plan();
    assert_eq!(
        steps(&plan),
        ["apply deployment/mathoid-main", "await mathoid ready"]
    );
    assert_eq!(
        plan.steps[0].reason,
        "was changed in the cluster: `spec.replicas` is 0 in the cluster, 1 here"
    );
}

#[test]
fn a_new_image_is_made_delivered_and_rolled_out() {
    let mut world = World::running(stack());
    let build = world.builds.get_mut("mathoid").unwrap();
    build.reference = "mwctl.local/mathoid:new".to_owned();
    build.built = false;
    let plan = world.up();
    insta::assert_snapshot!(render::text(&plan));
    assert!(world.plan().is_empty());
}

#[test]
fn a_secret_value_is_named_nowhere_in_a_plan() {
    let mut world = World::running(stack());
    let live = world.live("secret/mathoid-main-secret-config");
    live["data"]["API_KEY"] = json!("b2xkIHZhbHVl");
    let plan = world.plan();
    let shown = format!(
        "{plan:?}{}{}",
        serde_json::to_string(&plan).unwrap(),
        render::text(&plan)
    );
    assert!(shown.contains("`data.API_KEY` differs"));
    for value in ["aHVudGVyMg==", "b2xkIHZhbHVl", "hunter2"] {
        assert!(!shown.contains(value), "{value} is shown");
    }
}

#[test]
fn what_others_added_is_no_difference() {
    let mut world = World::running(stack());
    let live = world.deployment("mathoid");
    live["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("3");
    let containers = &mut live["spec"]["template"]["spec"]["containers"];
    containers[0]["env"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({"name": "INJECTED", "value": "1"}));
    containers[0]["resources"]["limits"]["cpu"] = json!("1000m");
    assert!(world.plan().is_empty());
}

#[test]
fn a_field_that_is_no_longer_wanted_is_a_change_too() {
    let mut world = World::running(stack());
    world.service("mathoid").main.liveness = None;
    let plan = world.plan();
    assert_eq!(
        plan.steps[0].reason,
        "has less than what was applied before"
    );
}

#[test]
fn an_object_of_somebody_else_stops_its_service_and_those_that_wait_for_it() {
    let mut world = World::new(stack());
    let objects = world.objects();
    let redis = objects
        .iter()
        .find(|o| o.id().to_string() == "service/redis-main");
    world.apply(redis.unwrap());
    world.live("service/redis-main")["metadata"]["labels"] = json!({"app": "redis"});
    let plan = world.plan();
    insta::assert_snapshot!(render::text(&plan));
    assert_eq!(plan.obstacles().count(), 2);
    world.options.adopt = true;
    let plan = world.up();
    assert_eq!(plan.obstacles().count(), 0);
    assert!(world.plan().is_empty());
}

#[test]
fn a_stack_of_another_checkout_is_not_taken_over() {
    for (label, value) in [
        (WORKTREE, "elsewhere"),
        (PART_OF, "other"),
        (MANAGED_BY, "Helm"),
    ] {
        let mut world = World::running(stack());
        world.service("mathoid").replicas = 2;
        world.deployment("mathoid")["metadata"]["labels"][label] = json!(value);
        let plan = world.plan();
        assert_eq!(steps(&plan), Vec::<String>::new());
        assert_eq!(plan.holds[0].kind, HoldKind::Foreign);
        let shown = &plan.holds[0].reason;
        assert!(label == MANAGED_BY || shown.contains(value), "{shown}");
    }
}

#[test]
fn a_namespace_that_was_there_before_is_used_as_it_is() {
    let mut world = World::running(stack());
    world.live("namespace/math")["metadata"]["labels"] = json!({});
    let plan = world.plan();
    assert!(plan.is_empty());
    assert_eq!(plan.holds[0].kind, HoldKind::Namespace);
    assert_eq!(plan.obstacles().count(), 0);
}

#[test]
fn what_is_no_longer_wanted_goes_but_data_stays_unless_asked_for() {
    let mut both = stack();
    both.services.get_mut("mathoid").unwrap().needs.clear();
    let mut world = World::running(both);
    world.stack.services.remove("redis");
    let plan = world.plan();
    insta::assert_snapshot!(render::text(&plan));
    world.options.volumes = true;
    let plan = world.up();
    assert!(steps(&plan).contains(&"delete persistentvolumeclaim/redis-main-data".to_owned()));
    assert!(world.plan().is_empty() && world.plan().holds.is_empty());
    world.options.prune = false;
    world.service("mathoid").files.clear();
    assert!(!render::text(&world.plan()).contains("delete"));
}

#[test]
fn pruning_leaves_what_is_not_ours() {
    let mut world = World::running(stack());
    let extra = |world: &mut World, name: &str, change: &dyn Fn(&mut Value)| {
        let mut live = world.live("configmap/mathoid-main-config").clone();
        live["metadata"]["name"] = json!(name);
        change(&mut live);
        world
            .observed
            .objects
            .insert(ObjectId::of(&live).unwrap(), live);
    };
    extra(&mut world, "other-stack", &|live| {
        live["metadata"]["labels"][PART_OF] = json!("other");
    });
    extra(&mut world, "other-checkout", &|live| {
        live["metadata"]["labels"][WORKTREE] = json!("x");
    });
    extra(&mut world, "unlabelled", &|live| {
        live["metadata"]["labels"] = json!({});
    });
    extra(&mut world, "half-labelled", &|live| {
        live["metadata"]["labels"] = json!({MANAGED_BY: "mwctl", PART_OF: "math"});
    });
    extra(&mut world, "made-by-a-controller", &|live| {
        live["metadata"]["ownerReferences"] = json!([{"kind": "Deployment", "name": "x"}]);
    });
    extra(&mut world, "going", &|live| {
        live["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    });
    assert!(world.plan().is_empty());
    extra(&mut world, "leftover", &|_| {});
    assert_eq!(steps(&world.plan()), ["delete configmap/leftover"]);
}

#[test]
fn services_asked_for_bring_those_they_need_and_leave_the_others() {
    let mut world = World::new(stack());
    let mut other = service("other", 80);
    other.needs = vec![need("redis", Condition::Eventually)];
    world.stack.services.insert(name("other"), other);
    world.options.services = [name("other")].into();
    let plan = world.up();
    assert!(steps(&plan).contains(&"apply deployment/redis-main".to_owned()));
    assert!(!steps(&plan).iter().any(|step| step.contains("mathoid")));
    assert!(!waits(
        &plan,
        "apply deployment/other-main",
        "await redis ready"
    ));
    world.options.services = [name("mathoid")].into();
    world.up();
    // What the service that wasn't asked for has too much is left for another time.
    world.stack.services.remove("other");
    assert!(world.plan().is_empty());
    world.options.services.clear();
    assert!(!world.plan().is_empty());
}

#[test]
fn a_developed_service_keeps_its_form_while_its_other_objects_are_applied() {
    let mut world = World::running(stack());
    develop(&mut world);
    let mathoid = world.service("mathoid");
    mathoid.replicas = 3;
    mathoid.files[0].text = "num_workers: 1\n".to_owned();
    let build = world.builds.get_mut("mathoid").unwrap();
    build.reference = "mwctl.local/mathoid:new".to_owned();
    let plan = world.up();
    insta::assert_snapshot!(render::text(&plan));
    assert!(world.plan().is_empty());
    world.options.leave = [name("mathoid")].into();
    let plan = world.up();
    assert!(steps(&plan).contains(&"apply deployment/mathoid-main".to_owned()));
    assert!(world.plan().is_empty());
}

#[test]
fn a_develop_form_that_is_wanted_is_planned_like_anything_else() {
    let mut world = World::running(stack());
    world.instead = developed(&world);
    let plan = world.up();
    let agent = "apply configmap/mwctl-agent-0123456789ab";
    assert_eq!(
        steps(&plan),
        [
            agent,
            "apply deployment/mathoid-main",
            "await mathoid ready"
        ]
    );
    assert!(waits(&plan, "apply deployment/mathoid-main", agent));
    assert!(world.plan().is_empty() && world.plan().holds.is_empty());
    world.service("mathoid").files[0].text = "num_workers: 1\n".to_owned();
    world.instead = developed(&world);
    assert_eq!(
        steps(&world.plan()),
        [
            "apply configmap/mathoid-main-config",
            "apply deployment/mathoid-main",
            "await mathoid ready"
        ]
    );
}

#[test]
fn the_agent_of_another_stack_in_the_namespace_serves_too() {
    let mut world = World::running(stack());
    develop(&mut world);
    world.instead = developed(&world);
    let agent = world.live("configmap/mwctl-agent-0123456789ab");
    agent["metadata"]["labels"][PART_OF] = json!("other");
    assert!(!world.plan().steps.iter().any(|step| step.service.is_none()));
    assert!(world.plan().holds.is_empty());
    let agent = world.live("configmap/mwctl-agent-0123456789ab");
    agent["binaryData"]["agent"] = json!("b3RoZXI=");
    assert_eq!(world.plan().obstacles().count(), 1);
    assert!(world.plan().is_empty());
}

#[test]
fn the_agent_stays_as_long_as_somebody_uses_it() {
    let mut world = World::running(stack());
    develop(&mut world);
    assert!(world.plan().is_empty());
    world.options.leave = [name("mathoid")].into();
    let plan = world.up();
    assert!(waits(
        &plan,
        "delete configmap/mwctl-agent-0123456789ab",
        "apply deployment/mathoid-main"
    ));
    world.options.leave.clear();
    let agent = agent_config_map(&world.stack, &AGENT, fixture::WORKTREE);
    world.apply(&agent.stamped());
    world.observed.pods.push(fixture::pod_of_a_test("mathoid"));
    assert!(world.plan().is_empty());
}

#[test]
fn who_needs_a_service_started_waits_only_for_that() {
    let mut world = World::new(stack());
    world.service("mathoid").needs = vec![need("redis", Condition::Started)];
    let plan = world.plan();
    let deploy = "apply deployment/mathoid-main";
    assert!(waits(&plan, deploy, "await redis started"));
    assert!(!waits(&plan, deploy, "await redis ready"));
    assert!(steps(&plan).contains(&"await redis ready".to_owned()));
}

#[test]
fn services_that_only_talk_to_each_other_are_deployed_side_by_side() {
    let mut world = World::new(stack());
    world.service("mathoid").needs = vec![need("redis", Condition::Eventually)];
    world.service("redis").needs = vec![need("mathoid", Condition::Ready)];
    let plan = world.plan();
    assert!(plan.holds.is_empty());
    assert!(waits(
        &plan,
        "apply deployment/redis-main",
        "await mathoid ready"
    ));
    assert!(!waits(
        &plan,
        "apply deployment/mathoid-main",
        "await redis ready"
    ));
}

#[test]
fn services_that_wait_for_each_other_are_deployed_all_the_same_and_named() {
    let mut world = World::new(stack());
    world.service("redis").needs = vec![need("mathoid", Condition::Ready)];
    let plan = world.up();
    assert_eq!(plan.holds.len(), 1);
    assert_eq!(
        plan.holds[0].reason,
        "services wait for each other: `mathoid` → `redis` → `mathoid`"
    );
    assert!(world.plan().is_empty());
}

#[test]
fn a_service_that_is_as_wanted_but_not_ready_is_waited_for() {
    let mut world = World::running(stack());
    world.deployment("redis")["status"]["availableReplicas"] = json!(0);
    let plan = world.plan();
    assert_eq!(steps(&plan), ["await redis ready"]);
    // An answer about an earlier generation counts for nothing.
    let mut world = World::running(stack());
    world.deployment("redis")["metadata"]["generation"] = json!(9);
    assert_eq!(steps(&world.plan()), ["await redis ready"]);
}

#[test]
fn a_service_of_no_pods_is_ready() {
    let mut world = World::running(stack());
    world.service("mathoid").replicas = 0;
    world.up();
    assert!(world.plan().is_empty());
}

#[test]
fn a_namespace_that_is_being_deleted_is_waited_for_and_made_anew() {
    let mut world = World::running(stack());
    world.live("namespace/math")["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let plan = world.up();
    assert_eq!(
        &steps(&plan)[..2],
        ["delete namespace/math", "apply namespace/math"]
    );
    assert!(waits(
        &plan,
        "apply configmap/mathoid-main-config",
        "delete namespace/math"
    ));
    assert!(steps(&plan).contains(&"apply deployment/redis-main".to_owned()));
    assert!(world.plan().is_empty());
}

#[test]
fn an_object_that_is_being_deleted_is_waited_for_and_made_anew() {
    let mut world = World::running(stack());
    let live = world.live("service/redis-main");
    live["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(
        steps(&world.up()),
        ["delete service/redis-main", "apply service/redis-main"]
    );
    assert!(world.plan().is_empty());
}

#[test]
fn a_selector_can_not_be_changed_in_place() {
    let mut world = World::running(stack());
    let live = world.deployment("mathoid");
    live["spec"]["selector"]["matchLabels"]["tier"] = json!("old");
    let plan = world.up();
    assert_eq!(
        steps(&plan),
        [
            "delete deployment/mathoid-main",
            "apply deployment/mathoid-main",
            "await mathoid ready"
        ]
    );
    assert!(waits(
        &plan,
        "apply deployment/mathoid-main",
        "delete deployment/mathoid-main"
    ));
    assert_eq!(
        plan.steps[0].reason,
        "can't be changed in place: `spec.selector` differs"
    );
}

#[test]
fn a_volume_of_another_size_is_held_and_replaced_only_where_data_may_go() {
    let mut world = World::running(stack());
    world.service("redis").volumes[0].kind = VolumeKind::Persistent {
        size: "2Gi".to_owned(),
    };
    let plan = world.plan();
    assert!(plan.is_empty());
    assert_eq!(plan.holds[0].kind, HoldKind::Data);
    assert_eq!(
        plan.holds[0].reason,
        "`persistentvolumeclaim/redis-main-data` can't be changed in place: \
         `spec.resources.requests.storage` is 1Gi in the cluster, 2Gi here"
    );
    world.options.volumes = true;
    let plan = world.up();
    let claim = "persistentvolumeclaim/redis-main-data";
    assert!(waits(
        &plan,
        &format!("delete {claim}"),
        "delete deployment/redis-main"
    ));
    assert!(waits(
        &plan,
        &format!("apply {claim}"),
        &format!("delete {claim}")
    ));
    assert!(waits(
        &plan,
        "apply deployment/redis-main",
        &format!("apply {claim}")
    ));
    assert!(world.plan().is_empty());
}

#[test]
fn a_plan_as_json_names_action_reason_and_order() {
    let mut world = World::running(stack());
    world.deployment("redis")["spec"]["replicas"] = json!(0);
    let mut plan = serde_json::to_value(world.plan()).unwrap();
    let applied = &mut plan["steps"][0]["action"]["apply"];
    assert_eq!(applied["kind"], "Deployment");
    *applied = json!("…");
    insta::assert_json_snapshot!(plan);
}

#[test]
fn a_set_of_pods_is_replaced_and_its_data_stays() {
    let mut described = stack();
    let redis = described.services.get_mut("redis").unwrap();
    redis.workload = crate::model::Workload::StatefulSet;
    let mut world = World::running(described);
    // The claim that the controller made for the first pod, from the set's own description.
    let set = world.live("statefulset/redis-main").clone();
    let mut claim = set["spec"]["volumeClaimTemplates"][0].clone();
    claim["apiVersion"] = "v1".into();
    claim["kind"] = "PersistentVolumeClaim".into();
    claim["metadata"]["name"] = "data-redis-main-0".into();
    claim["metadata"]["namespace"] = "math".into();
    let id = crate::manifest::ObjectId::of(&claim).unwrap();
    world.observed.objects.insert(id, claim);
    assert!(world.plan().is_empty(), "{:?}", steps(&world.plan()));
    world.service("redis").volumes[0].kind = crate::model::VolumeKind::Persistent {
        size: "2Gi".to_owned(),
    };
    let plan = world.plan();
    let steps = steps(&plan);
    assert!(
        steps.contains(&"delete statefulset/redis-main".to_owned()),
        "{steps:?}"
    );
    assert!(
        !steps.iter().any(|step| step.contains("claim")),
        "{steps:?}"
    );
    assert!(render::text(&plan).contains("their volumes stay"));
}

#[test]
fn a_job_that_failed_is_tried_again_and_one_that_ended_is_left() {
    let mut described = stack();
    let run = crate::model::Run {
        retries: 1,
        deadline_seconds: None,
    };
    let mathoid = described.services.get_mut("mathoid").unwrap();
    mathoid.workload = crate::model::Workload::Job(run);
    let mut world = World::running(described);
    let done = serde_json::json!([{ "type": "Complete", "status": "True" }]);
    world.live("job/mathoid-main")["status"]["conditions"] = done;
    assert!(world.plan().is_empty(), "{:?}", steps(&world.plan()));
    let failed = serde_json::json!([{ "type": "Failed", "status": "True" }]);
    world.live("job/mathoid-main")["status"]["conditions"] = failed;
    let steps = steps(&world.plan());
    assert!(
        steps.contains(&"delete job/mathoid-main".to_owned()),
        "{steps:?}"
    );
    assert!(
        steps.contains(&"await mathoid completed".to_owned()),
        "{steps:?}"
    );
}
