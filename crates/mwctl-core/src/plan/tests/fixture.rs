//! A cluster made of values: it does what a plan says, as a real one would.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use serde_json::{Value, json};

use super::super::{Action, Desired, ImageBuild, Plan, PlanOptions, plan};
use crate::manifest::fixture::{images, name};
use crate::manifest::{Form, Object, ObjectId, render};
use crate::model::Stack;
use crate::name::ServiceName;
use crate::observed::{ImageState, Observed, ObservedPod};

/// Whose checkout the tests deploy.
pub(super) const WORKTREE: &str = "checkout";

/// A stack, a cluster, and how one is brought to the other.
#[derive(Debug)]
pub(super) struct World {
    pub(super) stack: Stack,
    pub(super) builds: BTreeMap<ServiceName, ImageBuild>,
    pub(super) observed: Observed,
    pub(super) options: PlanOptions,
    /// Objects that are wanted in the place of planned ones.
    pub(super) instead: Vec<Object>,
}

impl World {
    /// A cluster with nothing in it.
    pub(super) fn new(stack: Stack) -> Self {
        let builds = images()
            .into_iter()
            .filter(|(name, _)| stack.services.contains_key(name))
            .map(|(name, reference)| {
                let built = false;
                (name, ImageBuild { reference, built })
            })
            .collect();
        Self {
            stack,
            builds,
            observed: Observed::default(),
            options: PlanOptions {
                prune: true,
                ..PlanOptions::default()
            },
            instead: Vec::new(),
        }
    }

    /// A cluster in which the stack runs.
    pub(super) fn running(stack: Stack) -> Self {
        let mut world = Self::new(stack);
        world.up();
        world
    }

    pub(super) fn objects(&self) -> Vec<Object> {
        let images = self
            .builds
            .iter()
            .map(|(name, build)| (name.clone(), build.reference.clone()))
            .collect();
        let mut objects = render(&self.stack, &images, WORKTREE);
        objects.retain(|object| !self.instead.iter().any(|other| other.id() == object.id()));
        objects.extend(self.instead.iter().cloned());
        objects.sort_by_key(Object::id);
        objects
    }

    pub(super) fn plan(&self) -> Plan {
        let objects = self.objects();
        let desired = Desired {
            stack: &self.stack,
            objects: &objects,
            builds: &self.builds,
            worktree: WORKTREE,
        };
        plan(&desired, &self.observed, &self.options)
    }

    /// Plans and executes.
    pub(super) fn up(&mut self) -> Plan {
        let plan = self.plan();
        self.execute(&plan);
        plan
    }

    pub(super) fn execute(&mut self, plan: &Plan) {
        for step in &plan.steps {
            match &step.action {
                Action::Build { service, .. } => {
                    self.builds.get_mut(service).unwrap().built = true;
                }
                Action::Deliver { reference, .. } => {
                    let state = ImageState { on_node: true };
                    self.observed.images.insert(reference.clone(), state);
                }
                Action::Apply(object) => self.apply(object),
                Action::Delete { id } => self.delete(id),
                Action::Await { service, .. } => self.become_ready(service),
            }
        }
    }

    /// Puts an object into the cluster as an API server would: what it adds by itself included.
    pub(super) fn apply(&mut self, object: &Object) {
        let id = object.id();
        let before = self.observed.objects.remove(&id);
        let mut live = object.to_value();
        let text = |number: u64| number.to_string();
        live["metadata"]["uid"] = json!(text(self.observed.objects.len() as u64));
        if object.is::<Deployment>() || object.is::<StatefulSet>() {
            let before = before.unwrap_or(Value::Null);
            let generation = before["metadata"]["generation"].as_i64().unwrap_or(0);
            live["metadata"]["generation"] = json!(generation + 1);
            live["status"] = before["status"].clone();
            live["spec"]["progressDeadlineSeconds"] = json!(600);
            for container in live["spec"]["template"]["spec"]["containers"]
                .as_array_mut()
                .unwrap()
            {
                container["terminationMessagePath"] = json!("/dev/termination-log");
            }
        }
        self.observed.objects.insert(id, live);
    }

    fn delete(&mut self, id: &ObjectId) {
        self.observed.objects.remove(id).expect("it was there");
        if id.kind == "Namespace" {
            let inside = |other: &ObjectId| other.namespace.as_ref() == Some(&id.name);
            self.observed.objects.retain(|other, _| !inside(other));
        }
    }

    /// The controllers catch up with a service's Deployment.
    pub(super) fn become_ready(&mut self, service: &ServiceName) {
        let kind = self.stack.services[service].workload.kind().to_lowercase();
        let live = self.live(&format!("{kind}/{service}-main"));
        let generation = live["metadata"]["generation"].clone();
        let replicas = live["spec"]["replicas"].clone();
        live["status"] = json!({
            "observedGeneration": generation,
            "replicas": replicas,
            "updatedReplicas": replicas,
            "availableReplicas": replicas,
        });
    }

    /// A service's live Deployment.
    pub(super) fn deployment(&mut self, service: &str) -> &mut Value {
        self.live(&format!("deployment/{service}-main"))
    }

    /// A live object by what it is shown as.
    pub(super) fn live(&mut self, shown: &str) -> &mut Value {
        let mut objects = self.observed.objects.iter_mut();
        let found = objects.find(|(id, _)| id.to_string() == shown);
        found.unwrap_or_else(|| panic!("no {shown}")).1
    }

    /// One of the stack's services.
    pub(super) fn service(&mut self, service: &str) -> &mut crate::model::Service {
        self.stack.services.get_mut(&name(service)).unwrap()
    }
}

/// A pod in which a service's tests run.
pub(super) fn pod_of_a_test(service: &str) -> ObservedPod {
    ObservedPod {
        name: format!("{service}-main-test-1"),
        service: Some(name(service)),
        phase: "Running".to_owned(),
        ready: true,
        terminating: false,
        form: Form::Test,
        node: None,
        architecture: None,
        unschedulable: None,
        containers: Vec::new(),
    }
}
