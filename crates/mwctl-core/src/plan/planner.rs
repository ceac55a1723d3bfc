//! The steps of a plan in their order: images, then each service behind those it waits for.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Service};

use super::judge::{Judge, Verdict};
use super::order::blocking_needs;
use super::step::Steps;
use super::{Action, Desired, Hold, Plan};
use crate::manifest::{Form, Object, ObjectId, workload_id};
use crate::model::{Condition, Workload};
use crate::name::ServiceName;
use crate::observed::Progress;

/// A service's objects with what is to become of each.
struct Part<'a> {
    /// The workload, if it is to be touched.
    workload: Option<(&'a Object, Verdict)>,
    /// The others, in the order of their ids.
    others: Vec<(&'a Object, Verdict)>,
    /// The holds on any of them.
    holds: Vec<Hold>,
    /// Whether it stays in its develop form.
    developed: bool,
}

pub(super) struct Planner<'a> {
    desired: &'a Desired<'a>,
    judge: &'a Judge<'a>,
    steps: Steps,
    plan: Plan,
    /// The steps that bring images to the node.
    delivered: BTreeMap<ServiceName, usize>,
    /// The steps after which a service has reached something that others wait for.
    reached: BTreeMap<(ServiceName, Milestone), Vec<usize>>,
}

/// The steps for what belongs to the stack as a whole.
#[derive(Default)]
struct Base {
    /// Everything waits for the namespace.
    namespace: Vec<usize>,
    /// Workloads wait for the others: the agent is mounted into some.
    others: Vec<usize>,
}

/// What others wait for in a service.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Milestone {
    /// It has an address, so that its variables are put into later pods.
    Addressed,
    Started,
    Ready,
}

impl<'a> Planner<'a> {
    pub(super) fn new(desired: &'a Desired<'a>, judge: &'a Judge<'a>, holds: Vec<Hold>) -> Self {
        Self {
            desired,
            judge,
            steps: Steps::default(),
            plan: Plan {
                holds,
                ..Plan::default()
            },
            delivered: BTreeMap::new(),
            reached: BTreeMap::new(),
        }
    }

    /// The steps for the services in `order`, and the plan without them.
    pub(super) fn run(mut self, order: &[ServiceName]) -> (Steps, Plan) {
        let parts: BTreeMap<&ServiceName, Part<'_>> =
            order.iter().map(|name| (name, self.part(name))).collect();
        let stopped = self.stopped(order, &parts);
        let of_stack = self.stack_verdicts();
        if self.plan.obstacles().any(|hold| hold.service.is_none()) {
            return (self.steps, self.plan);
        }
        let going = || order.iter().filter(|name| !stopped.contains(*name));
        // Images take longest: they are made while everything else goes on.
        for name in going().filter(|name| !parts[*name].developed) {
            self.image(name);
        }
        let base = self.stack_objects(&of_stack);
        for name in going() {
            self.service(name, &parts[name], order, &base);
        }
        (self.steps, self.plan)
    }

    /// Looks at the objects that belong to no service: the namespace above all.
    fn stack_verdicts(&mut self) -> Vec<(&'a Object, Verdict)> {
        let mut verdicts = Vec::new();
        let objects = self.desired.objects.iter();
        for object in objects.filter(|object| object.service().is_none()) {
            match self.judge.judge(object) {
                Verdict::Hold(hold) => self.plan.holds.push(hold),
                verdict => verdicts.push((object, verdict)),
            }
        }
        verdicts
    }

    /// The steps for these objects.
    fn stack_objects(&mut self, verdicts: &[(&Object, Verdict)]) -> Base {
        let mut base = Base::default();
        for (object, verdict) in verdicts {
            let steps = self.carry_out(object, verdict, None, &base.namespace, &[]);
            if object.is::<Namespace>() {
                base.namespace.extend(steps);
            } else {
                base.others.extend(steps);
            }
        }
        base
    }

    /// Looks at all objects of a service.
    fn part(&self, name: &ServiceName) -> Part<'a> {
        let mut part = Part {
            workload: None,
            others: Vec::new(),
            holds: Vec::new(),
            developed: false,
        };
        let stack = self.desired.stack;
        let workload = stack
            .services
            .get(name)
            .map(|service| workload_id(stack, service));
        let own = |object: &&Object| object.service().as_ref() == Some(name);
        for object in self.desired.objects.iter().filter(own) {
            let id = object.id();
            let verdict = self.judge.judge(object);
            if let Verdict::Hold(hold) = verdict {
                part.holds.push(hold);
            } else if workload.as_ref() != Some(&id) {
                part.others.push((object, verdict));
            } else if self.keeps_developing(name, object) {
                part.developed = true;
                part.holds.push(Hold::developing(name, &id));
            } else {
                part.workload = Some((object, verdict));
            }
        }
        self.free_volumes(&mut part);
        part
    }

    /// Whether a service is in its develop form, and neither asked to leave it nor wanted in it.
    fn keeps_developing(&self, name: &ServiceName, wanted: &Object) -> bool {
        self.judge.observed.form(&wanted.id()) == Some(Form::Develop)
            && wanted.form() != Form::Develop
            && !self.judge.options.leave.contains(name)
    }

    /// A claim that is replaced has to be let go of first: its deletion waits for the pods.
    fn free_volumes(&self, part: &mut Part<'_>) {
        let is_replaced = |(object, verdict): &(&Object, Verdict)| {
            object.is::<PersistentVolumeClaim>() && matches!(verdict, Verdict::Replace(_))
        };
        if !part.others.iter().any(is_replaced) {
            return;
        }
        if part.developed {
            part.others.retain(|other| !is_replaced(other));
        }
        if let Some((workload, verdict)) = &mut part.workload
            && self.judge.observed.objects.contains_key(&workload.id())
        {
            *verdict = Verdict::Replace("lets go of its volume".to_owned());
        }
    }

    /// The services that can't be deployed: those with an obstacle, and those that wait for one.
    fn stopped(
        &mut self,
        order: &[ServiceName],
        parts: &BTreeMap<&ServiceName, Part<'_>>,
    ) -> BTreeSet<ServiceName> {
        let mut stopped = BTreeSet::new();
        for name in order {
            let holds = &parts[name].holds;
            self.plan.holds.extend(holds.iter().cloned());
            if holds.iter().any(|hold| hold.kind.is_obstacle()) {
                stopped.insert(name.clone());
            } else if let Some(needed) =
                blocking_needs(self.desired.stack, name).find(|need| stopped.contains(*need))
            {
                self.plan.holds.push(Hold::waiting(name, needed));
                stopped.insert(name.clone());
            }
        }
        stopped
    }

    /// The steps of one service; those it needs were planned before.
    fn service(&mut self, name: &ServiceName, part: &Part<'_>, order: &[ServiceName], base: &Base) {
        let namespace = &base.namespace;
        let mut removed = Vec::new();
        let objects = || part.workload.iter().chain(part.others.iter().rev());
        for (object, verdict) in objects() {
            if let Verdict::Replace(reason) = verdict {
                self.plan
                    .holds
                    .extend(Hold::replaced(name, &object.id(), reason));
                let mut after = namespace.clone();
                after.extend(removed.last());
                let delete = Action::Delete { id: object.id() };
                removed.push(self.steps.push(delete, Some(name), reason.clone(), &after));
            }
        }
        let mut configured = namespace.clone();
        configured.extend(&base.others);
        configured.extend(self.delivered.get(name));
        for (object, verdict) in &part.others {
            let steps = self.carry_out(object, verdict, Some(name), namespace, &removed);
            if object.is::<Service>() {
                self.reached
                    .insert((name.clone(), Milestone::Addressed), steps.clone());
            }
            configured.extend(steps);
        }
        let Some((workload, verdict)) = &part.workload else {
            return;
        };
        configured.extend(self.needed(name, order));
        let applied = self.carry_out(workload, verdict, Some(name), &configured, &removed);
        self.await_workload(name, &workload.id(), &applied);
    }

    /// Makes a service's image and brings it to the node, where that is missing.
    fn image(&mut self, name: &ServiceName) {
        let Some(build) = self.desired.builds.get(name) else {
            return;
        };
        let state = self.judge.observed.images.get(&build.reference);
        if state.is_some_and(|state| state.on_node) {
            return;
        }
        let reference = build.reference.clone();
        let mut after = Vec::new();
        if !build.built {
            let action = Action::Build {
                service: name.clone(),
                reference: reference.clone(),
            };
            let reason = "hasn't been made from these files yet".to_owned();
            after.push(self.steps.push(action, Some(name), reason, &[]));
        }
        let action = Action::Deliver {
            service: name.clone(),
            reference,
        };
        let reason = "isn't on the node".to_owned();
        let step = self.steps.push(action, Some(name), reason, &after);
        self.delivered.insert(name.clone(), step);
    }

    /// The steps that bring about a verdict. `removed` are the deletions that precede them.
    fn carry_out(
        &mut self,
        object: &Object,
        verdict: &Verdict,
        service: Option<&ServiceName>,
        after: &[usize],
        removed: &[usize],
    ) -> Vec<usize> {
        let apply = Action::Apply(Box::new(object.clone().stamped()));
        let mut after = after.to_vec();
        let reason = match verdict {
            Verdict::Hold(_) => return Vec::new(),
            Verdict::Unchanged => {
                self.plan.unchanged += 1;
                return Vec::new();
            }
            Verdict::Apply(reason) => reason.clone(),
            Verdict::Replace(_) if service.is_some() => {
                after.extend(removed);
                "takes the place of the deleted one".to_owned()
            }
            Verdict::Replace(reason) => {
                let delete = Action::Delete { id: object.id() };
                after = vec![self.steps.push(delete, None, reason.clone(), &after)];
                "takes the place of the deleted one".to_owned()
            }
        };
        vec![self.steps.push(apply, service, reason, &after)]
    }

    /// What a service's workload waits for in those it needs.
    fn needed(&self, name: &ServiceName, order: &[ServiceName]) -> Vec<usize> {
        let mut steps = Vec::new();
        let needs = self.desired.stack.services.get(name);
        for need in needs.into_iter().flat_map(|service| &service.needs) {
            if !order.contains(&need.service) {
                continue;
            }
            let milestones: &[Milestone] = match need.condition {
                Condition::Ready | Condition::Completed => {
                    &[Milestone::Addressed, Milestone::Ready]
                }
                Condition::Started => &[Milestone::Addressed, Milestone::Started],
                Condition::Eventually => &[],
            };
            for milestone in milestones {
                let key = (need.service.clone(), *milestone);
                steps.extend(self.reached.get(&key).into_iter().flatten());
            }
        }
        steps
    }

    /// Waits until a workload is ready, and before that until it runs, if somebody needs only that.
    fn await_workload(&mut self, name: &ServiceName, id: &ObjectId, applied: &[usize]) {
        let services = &self.desired.stack.services;
        let kind = services.get(name).map(|service| &service.workload);
        if matches!(kind, Some(Workload::CronJob { .. })) {
            // It runs when its time comes: there is nothing to wait for.
            self.reached
                .insert((name.clone(), Milestone::Ready), applied.to_vec());
            return;
        }
        let last = match kind {
            Some(Workload::Job(_)) => Condition::Completed,
            _ => Condition::Ready,
        };
        let progress = if applied.is_empty() {
            self.judge.observed.progress(id)
        } else {
            Progress::Missing
        };
        let reason = match progress {
            Progress::Ready => return,
            Progress::Missing if self.judge.observed.objects.contains_key(id) => "changes",
            Progress::Missing => "is new",
            Progress::Starting => "is still starting",
            Progress::Started if last == Condition::Completed => "runs, and has yet to end",
            Progress::Started => "runs, but isn't ready",
        };
        let mut await_condition = |condition: Condition, milestone: Milestone| {
            let action = Action::Await {
                service: name.clone(),
                condition,
            };
            let step = self
                .steps
                .push(action, Some(name), reason.to_owned(), applied);
            self.reached.insert((name.clone(), milestone), vec![step]);
        };
        let services = self.desired.stack.services.values();
        let started_is_needed = services
            .flat_map(|service| &service.needs)
            .any(|need| need.service == *name && need.condition == Condition::Started);
        if started_is_needed && progress < Progress::Started {
            await_condition(Condition::Started, Milestone::Started);
        }
        await_condition(last, Milestone::Ready);
    }
}
