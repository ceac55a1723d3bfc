//! DaemonSets: one pod on every node that fits, replaced in turns when the template changes.
//!
//! An update takes old pods away first; `maxSurge` is not carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec, DaemonSetStatus};
use k8s_openapi::api::core::v1::{
    Affinity, Node, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod,
    Toleration,
};
use kube::ResourceExt;

use crate::action::{Action, Announcement, Note, Severity, Target};
use crate::claim::{claim, selector, would_take};
use crate::controller::{Context, Controller};
use crate::deployment;
use crate::observed::{Change, Key, Kind, Object, Observed, controller_of, reference_to};
use crate::pods;
use crate::revisions::{self, Revisions};
use crate::scheduler;

/// The controller's name.
pub(crate) const NAME: &str = "daemonset-controller";

/// The label with the revision's hash, of pods and revisions.
const HASH: &str = "controller-revision-hash";

/// The controller.
pub(crate) static CONTROLLER: Controller = Controller {
    name: NAME,
    reads: &[
        Kind::DaemonSet,
        Kind::Pod,
        Kind::Node,
        Kind::ControllerRevision,
    ],
    traces_all: false,
    wakes,
    reconcile,
};

fn wakes(change: &Change, observed: &Observed) -> Vec<Key> {
    let object = change.object();
    let namespace = object.key().namespace;
    let all = |namespace: Option<&str>| -> Vec<Key> {
        (observed.daemon_sets.iter().map(|set| Key::of(set.as_ref())))
            .filter(|key| namespace.is_none_or(|namespace| key.namespace == namespace))
            .collect()
    };
    match object {
        Object::DaemonSet(set) => vec![Key::of(set.as_ref())],
        Object::Node(_) => all(None),
        Object::Pod(pod) if controller_of(&pod.metadata).is_none() => {
            let wants = |key: &Key| {
                let spec = (observed.daemon_sets.get(key)).and_then(|set| set.spec.as_ref());
                spec.is_some_and(|spec| would_take(&spec.selector, pod.as_ref()))
            };
            all(Some(&namespace)).into_iter().filter(wants).collect()
        }
        Object::Pod(_) | Object::ControllerRevision(_) => change.controllers("DaemonSet"),
        _ => Vec::new(),
    }
}

fn reconcile(context: &Context<'_>, key: &Key) -> Vec<Action> {
    let observed = context.observed;
    let Some(set) = observed.daemon_sets.get(key).map(AsRef::as_ref) else {
        return Vec::new();
    };
    let Some(spec) = &set.spec else {
        return Vec::new();
    };
    let Some(selector) = selector(&spec.selector) else {
        return Vec::new();
    };
    let claim = claim(set, &selector, observed.pods.in_namespace(&key.namespace));
    if !claim.actions.is_empty() {
        return claim.actions;
    }
    let collisions = set
        .status
        .as_ref()
        .and_then(|status| status.collision_count);
    let revisions = match revisions::revisions(observed, set, &spec.template, HASH, collisions) {
        Ok(revisions) => revisions,
        Err(action) => return vec![*action],
    };
    let daemons = Daemons::sort(context, set, spec, claim.ours, &revisions);
    let mut actions = Vec::new();
    let status = daemons.status();
    if set.status.as_ref() != Some(&status) {
        let mut set = set.clone();
        set.status = Some(status);
        actions.push(Action::UpdateStatus(set.into()));
    }
    if set.metadata.deletion_timestamp.is_none() {
        let mut steps = daemons.settle();
        if steps.is_empty() {
            steps = daemons.update();
        }
        actions.extend(steps);
        actions.extend(revisions::tidy(
            &revisions,
            spec.revision_history_limit,
            |revision| {
                let hash = revision.labels().get(HASH);
                daemons.all().any(|pod| pod.labels().get(HASH) == hash)
            },
        ));
    }
    actions.extend(
        (daemons.all())
            .filter_map(|pod| pods::available_from(pod, daemons.min_ready()))
            .filter(|time| *time > context.now)
            .map(Action::WakeAt),
    );
    actions
}

/// A set's pods, by the node they are for.
struct Daemons<'a> {
    context: &'a Context<'a>,
    set: &'a DaemonSet,
    spec: &'a DaemonSetSpec,
    hash: String,
    /// The nodes that should have one.
    wanted: BTreeSet<String>,
    by_node: BTreeMap<String, Vec<Arc<Pod>>>,
}

impl<'a> Daemons<'a> {
    fn sort(
        context: &'a Context<'a>,
        set: &'a DaemonSet,
        spec: &'a DaemonSetSpec,
        mut ours: Vec<Arc<Pod>>,
        revisions: &Revisions,
    ) -> Self {
        let wanted = (context.observed.nodes.iter())
            .filter(|node| should_run(set, spec, node))
            .map(|node| node.name_any())
            .collect();
        ours.sort_by_key(|pod| (pod.creation_timestamp(), pod.name_any()));
        let mut by_node: BTreeMap<String, Vec<Arc<Pod>>> = BTreeMap::new();
        for pod in ours {
            by_node.entry(destination(&pod)).or_default().push(pod);
        }
        let hash = revisions
            .update
            .labels()
            .get(HASH)
            .cloned()
            .unwrap_or_default();
        Self {
            context,
            set,
            spec,
            hash,
            wanted,
            by_node,
        }
    }

    fn min_ready(&self) -> i32 {
        self.spec.min_ready_seconds.unwrap_or_default()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.by_node.values().flatten()
    }

    fn is_updated(&self, pod: &Pod) -> bool {
        pod.labels().get(HASH) == Some(&self.hash)
    }

    fn is_available(&self, pod: &Pod) -> bool {
        pods::is_active(pod) && pods::is_available(pod, self.min_ready(), self.context.now)
    }

    /// Brings every node its pod, and takes away what is too much, has ended, or is in the wrong place.
    fn settle(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for node in &self.wanted {
            let present = self.by_node.get(node).map_or(&[][..], Vec::as_slice);
            let mut kept = 0;
            for pod in present {
                let is_deleting = pod.metadata.deletion_timestamp.is_some();
                if pods::is_finished(pod) && !is_deleting {
                    actions.push(Action::Record(self.replaced(pod, node)));
                    actions.push(self.delete(pod));
                } else if kept > 0 && !is_deleting {
                    actions.push(self.delete(pod));
                }
                kept += 1;
            }
            if kept == 0 {
                actions.push(self.create(node));
            }
        }
        let misplaced = (self.by_node.iter()).filter(|(node, _)| !self.wanted.contains(*node));
        actions.extend(
            (misplaced.flat_map(|(_, pods)| pods))
                .filter(|pod| pod.metadata.deletion_timestamp.is_none())
                .map(|pod| self.delete(pod)),
        );
        actions
    }

    /// Takes old pods away as far as enough others serve.
    fn update(&self) -> Vec<Action> {
        let strategy = self.spec.update_strategy.as_ref();
        if strategy.is_some_and(|it| it.type_.as_deref() == Some("OnDelete")) {
            return Vec::new();
        }
        let rolling = strategy.and_then(|it| it.rolling_update.as_ref());
        let total = i32::try_from(self.wanted.len()).unwrap_or(i32::MAX);
        let most = match rolling.and_then(|it| it.max_unavailable.as_ref()) {
            None => 1,
            some => deployment::share(some, total, true),
        };
        let (mut idle, mut serving) = (Vec::new(), Vec::new());
        let mut unavailable = 0;
        for node in &self.wanted {
            let Some(pod) = self.by_node.get(node).and_then(|pods| pods.first()) else {
                unavailable += 1;
                continue;
            };
            let is_old = !self.is_updated(pod) && pod.metadata.deletion_timestamp.is_none();
            match (is_old, self.is_available(pod)) {
                (true, true) => serving.push(pod),
                // What doesn't serve can go without anybody's missing it.
                (true, false) => idle.push(pod),
                (false, is_available) => unavailable += i32::from(!is_available),
            }
        }
        let room = most - unavailable - i32::try_from(idle.len()).unwrap_or(i32::MAX);
        let more = usize::try_from(room).unwrap_or_default();
        (idle.into_iter().chain(serving.into_iter().take(more)))
            .map(|pod| self.delete(pod))
            .collect()
    }

    fn status(&self) -> DaemonSetStatus {
        let first = |node: &String| self.by_node.get(node).and_then(|pods| pods.first());
        let on_wanted: Vec<&Arc<Pod>> = self.wanted.iter().filter_map(first).collect();
        let number = |is: &dyn Fn(&Pod) -> bool| {
            i32::try_from(on_wanted.iter().filter(|pod| is(pod)).count()).unwrap_or(i32::MAX)
        };
        let some = |number: i32| (number > 0).then_some(number);
        let desired = i32::try_from(self.wanted.len()).unwrap_or(i32::MAX);
        let available = number(&|pod| self.is_available(pod));
        let misscheduled = (self.by_node.iter())
            .filter(|(node, pods)| !self.wanted.contains(*node) && !pods.is_empty())
            .count();
        let old = self.set.status.clone().unwrap_or_default();
        DaemonSetStatus {
            observed_generation: self.set.metadata.generation,
            desired_number_scheduled: desired,
            current_number_scheduled: number(&|_| true),
            number_misscheduled: i32::try_from(misscheduled).unwrap_or(i32::MAX),
            number_ready: number(&pods::is_ready),
            updated_number_scheduled: some(number(&|pod| self.is_updated(pod))),
            number_available: some(available),
            number_unavailable: some(desired - available),
            collision_count: old.collision_count,
            conditions: old.conditions,
        }
    }

    fn create(&self, node: &str) -> Action {
        let mut pod = pods::from_template(&self.spec.template, self.set);
        pod.metadata.generate_name = Some(format!("{}-", self.set.name_any()));
        let labels = pod.metadata.labels.get_or_insert_default();
        labels.insert(HASH.to_owned(), self.hash.clone());
        let generation = self.set.metadata.generation.unwrap_or_default();
        labels.insert("pod-template-generation".to_owned(), generation.to_string());
        let spec = pod.spec.get_or_insert_default();
        pin(spec.affinity.get_or_insert_default(), node);
        let tolerations = spec.tolerations.get_or_insert_default();
        tolerations.extend(added_tolerations(spec.host_network == Some(true)));
        let announcement = self.announcement(
            ("SuccessfulCreate", "Created pod: {name}"),
            ("FailedCreate", "Error creating: {error}"),
        );
        Action::Create(pod.into(), Some(announcement))
    }

    fn delete(&self, pod: &Pod) -> Action {
        Action::Delete {
            target: Target::of(pod),
            propagation: None,
            grace: None,
            announcement: Some(self.announcement(
                ("SuccessfulDelete", "Deleted pod: {name}"),
                ("FailedDelete", "Error deleting: {error}"),
            )),
        }
    }

    fn replaced(&self, pod: &Pod, node: &str) -> Note {
        let key = Key::of(pod);
        let (reason, state) = match pods::phase(pod) {
            "Failed" => ("FailedDaemonPod", "failed"),
            _ => ("SucceededDaemonPod", "succeeded"),
        };
        Note {
            about: reference_to(self.set),
            severity: Severity::Warning,
            reason,
            message: format!("Found {state} daemon pod {key} on node {node}, will try to kill it"),
            component: NAME,
        }
    }

    fn announcement(
        &self,
        done: (&'static str, &str),
        refused: (&'static str, &str),
    ) -> Announcement {
        Announcement {
            about: reference_to(self.set),
            component: NAME,
            done: Some((done.0, done.1.to_owned())),
            refused: Some((refused.0, refused.1.to_owned())),
        }
    }
}

/// Whether a node should have a pod of the set.
fn should_run(set: &DaemonSet, spec: &DaemonSetSpec, node: &Node) -> bool {
    let mut pod = pods::from_template(&spec.template, set);
    let spec = pod.spec.get_or_insert_default();
    let host_network = spec.host_network == Some(true);
    (spec.tolerations.get_or_insert_default()).extend(added_tolerations(host_network));
    let tolerations: Vec<&Toleration> = spec.tolerations.iter().flatten().collect();
    let taints = node
        .spec
        .iter()
        .flat_map(|spec| spec.taints.iter().flatten());
    let is_tolerated = taints
        .filter(|taint| taint.effect != "PreferNoSchedule")
        .all(|taint| tolerations.iter().any(|it| scheduler::tolerates(it, taint)));
    is_tolerated && scheduler::matches_node(&pod, node)
}

/// Every daemon lives with a node's troubles.
fn added_tolerations(host_network: bool) -> Vec<Toleration> {
    let toleration = |name: &str, effect: &str| Toleration {
        key: Some(format!("node.kubernetes.io/{name}")),
        operator: Some("Exists".to_owned()),
        effect: Some(effect.to_owned()),
        ..Toleration::default()
    };
    let mut tolerations = vec![
        toleration("not-ready", "NoExecute"),
        toleration("unreachable", "NoExecute"),
        toleration("disk-pressure", "NoSchedule"),
        toleration("memory-pressure", "NoSchedule"),
        toleration("pid-pressure", "NoSchedule"),
        toleration("unschedulable", "NoSchedule"),
    ];
    if host_network {
        tolerations.push(toleration("network-unavailable", "NoSchedule"));
    }
    tolerations
}

/// Binds a pod to a node by affinity, so that the scheduler places it.
fn pin(affinity: &mut Affinity, node: &str) {
    let requirement = NodeSelectorRequirement {
        key: "metadata.name".to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![node.to_owned()]),
    };
    let required = (affinity
        .node_affinity
        .get_or_insert_with(NodeAffinity::default))
    .required_during_scheduling_ignored_during_execution
    .get_or_insert_with(NodeSelector::default);
    if required.node_selector_terms.is_empty() {
        required
            .node_selector_terms
            .push(NodeSelectorTerm::default());
    }
    for term in &mut required.node_selector_terms {
        term.match_fields = Some(vec![requirement.clone()]);
    }
}

/// The node that a pod is on, or is for.
fn destination(pod: &Pod) -> String {
    let pinned = || {
        let affinity = pod
            .spec
            .as_ref()?
            .affinity
            .as_ref()?
            .node_affinity
            .as_ref()?;
        let required = affinity
            .required_during_scheduling_ignored_during_execution
            .as_ref()?;
        let fields = required
            .node_selector_terms
            .first()?
            .match_fields
            .as_ref()?;
        let field = fields.iter().find(|field| field.key == "metadata.name")?;
        field.values.as_ref()?.first().cloned()
    };
    (pods::node(pod).map(str::to_owned))
        .or_else(pinned)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::world::World;

    fn world() -> World {
        let mut world = World::with(&[NAME, "default-scheduler", "simulate"]);
        for name in ["n1", "n2", "n3"] {
            node(&mut world, name);
        }
        world
    }

    fn node(world: &mut World, name: &str) {
        world.create::<Node>(json!({
            "metadata": {"name": name, "labels": {"name": name}},
            "status": {"allocatable": {"pods": "10"},
                "conditions": [{"type": "Ready", "status": "True"}]},
        }));
    }

    fn set(spec: &Value) -> Value {
        let mut set = json!({
            "metadata": {"name": "agent", "namespace": "here"},
            "spec": {
                "selector": {"matchLabels": {"app": "agent"}},
                "template": {
                    "metadata": {"labels": {"app": "agent"}},
                    "spec": {"containers": [{"name": "main"}]},
                },
            },
        });
        for (name, value) in spec.as_object().unwrap() {
            set["spec"][name] = value.clone();
        }
        set
    }

    fn nodes(world: &World) -> Vec<String> {
        let mut nodes: Vec<String> = (world.list::<Pod>().iter())
            .filter_map(|pod| pods::node(pod).map(str::to_owned))
            .collect();
        nodes.sort();
        nodes
    }

    #[test]
    fn every_node_has_a_pod_also_those_that_come_later() {
        let mut world = world();
        let key = world.create::<DaemonSet>(set(&json!({})));
        assert_eq!(nodes(&world), ["n1", "n2", "n3"]);
        node(&mut world, "n4");
        assert_eq!(nodes(&world), ["n1", "n2", "n3", "n4"]);
        let status = world.get::<DaemonSet>(&key).unwrap().status.unwrap();
        assert_eq!(
            serde_json::to_value(status).unwrap(),
            json!({"currentNumberScheduled": 4, "desiredNumberScheduled": 4, "numberAvailable": 4,
                "numberMisscheduled": 0, "numberReady": 4, "observedGeneration": 1,
                "updatedNumberScheduled": 4})
        );
    }

    #[test]
    fn nodes_that_the_template_does_not_want_have_none() {
        let mut world = world();
        let key = world.create::<DaemonSet>(set(&json!({})));
        world.patch::<DaemonSet>(
            &key,
            &json!({"spec": {"template": {"spec": {"nodeSelector": {"name": "n2"}}}}}),
        );
        assert_eq!(nodes(&world), ["n2"]);
    }

    #[test]
    fn an_update_replaces_one_pod_at_a_time() {
        let mut world = world();
        let key = world.create::<DaemonSet>(set(&json!({})));
        world.events.clear();
        world.patch::<DaemonSet>(
            &key,
            &json!({"spec": {"template": {"metadata": {"labels": {"v": "2"}}}}}),
        );
        let turns: Vec<&str> = (world.events.iter())
            .filter_map(|text| text.split(": ").next())
            .filter(|reason| reason.starts_with("Successful"))
            .collect();
        assert_eq!(turns, ["SuccessfulDelete", "SuccessfulCreate"].repeat(3));
        assert!(
            world
                .list::<Pod>()
                .iter()
                .all(|pod| pod.labels().contains_key("v"))
        );
    }

    #[test]
    fn a_cordoned_node_keeps_its_daemon() {
        let mut world = world();
        world.create::<DaemonSet>(set(&json!({})));
        world.patch::<Node>(
            &Key::cluster("n1"),
            &json!({"spec": {"unschedulable": true, "taints": [
                {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]}}),
        );
        assert_eq!(nodes(&world), ["n1", "n2", "n3"]);
    }
}
