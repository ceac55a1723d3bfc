//! What has to be done so that the cluster is as the stack says: steps, reasons, and what is held back.
//!
//! A plan leaves no choice to whoever executes it, and `mwctl plan` prints the very value that `up`
//! executes. Planning is total and reads nothing but its arguments: planning twice gives equal plans,
//! and the plan after an executed one is empty.

mod difference;
mod down;
mod hold;
mod judge;
mod order;
mod owner;
mod prune;
pub mod render;
mod step;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use self::down::down;
pub use self::hold::{Hold, HoldKind};
pub use self::step::{Action, Step};

use self::judge::{Judge, Verdict};
use self::owner::Owner;
use self::step::Steps;
use crate::manifest::{Form, Object, ObjectId};
use crate::model::{Condition, Stack};
use crate::name::ServiceName;
use crate::observed::{Observed, Progress};

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Desired<'a> {
    /// The stack: its needs give the order.
    pub stack: &'a Stack,
    /// All of its objects, as `manifest::render` makes them.
    pub objects: &'a [Object],
    /// The images that are made on this machine.
    pub builds: &'a BTreeMap<ServiceName, ImageBuild>,
    /// Whose checkout this is, as it was given to `manifest::render`.
    pub worktree: &'a str,
}

/// An image that is made on this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImageBuild {
    /// Its reference, which changes with its content.
    pub reference: String,
    /// Whether it has been made already.
    pub built: bool,
}

/// What a plan should go into.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PlanOptions {
    /// The services asked for, to which those they need are added; all where it is empty.
    pub services: BTreeSet<ServiceName>,
    /// Whether own objects that are no longer wanted are deleted.
    pub prune: bool,
    /// Whether data may be deleted with that.
    pub volumes: bool,
    /// Whether objects of the same name that belong to somebody else are taken over.
    pub adopt: bool,
    /// Services that leave their develop form; the others keep it.
    pub leave: BTreeSet<ServiceName>,
}

/// What has to be done.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// The steps; each stands behind those it waits for.
    pub steps: Vec<Step>,
    /// What is not done, and why.
    pub holds: Vec<Hold>,
    /// How many objects are as they should be.
    pub unchanged: usize,
}

impl Plan {
    /// Whether nothing has to be done.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The holds that keep a service from running as it is described: who executes the plan has
    /// something to report as a failure.
    pub fn obstacles(&self) -> impl Iterator<Item = &Hold> {
        self.holds.iter().filter(|hold| hold.kind.is_obstacle())
    }
}

/// Decides what has to be done so that `observed` becomes `desired`.
pub fn plan(desired: &Desired<'_>, observed: &Observed, options: &PlanOptions) -> Plan {
    let owner = Owner::new(desired.stack, desired.worktree);
    let (order, cycles) = order::order(desired.stack, &options.services);
    let judge = Judge {
        owner: &owner,
        observed,
        options,
    };
    let mut planner = Planner {
        desired,
        observed,
        options,
        judge: &judge,
        steps: Steps::default(),
        plan: Plan {
            holds: cycles,
            ..Plan::default()
        },
        reached: BTreeMap::new(),
    };
    let namespace = planner.stack_objects();
    let parts: BTreeMap<&ServiceName, Part> = order
        .iter()
        .map(|name| (name, planner.part(name)))
        .collect();
    let stopped = planner.stopped(&order, &parts);
    for name in order.iter().filter(|name| !stopped.contains(*name)) {
        planner.service(name, &parts[name], &order, &namespace);
    }
    let Planner {
        mut steps,
        mut plan,
        ..
    } = planner;
    if options.prune {
        prune::prune(
            desired, observed, &owner, options, &order, &mut steps, &mut plan,
        );
    }
    plan.steps = steps.into_vec();
    plan
}

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

struct Planner<'a> {
    desired: &'a Desired<'a>,
    observed: &'a Observed,
    options: &'a PlanOptions,
    judge: &'a Judge<'a>,
    steps: Steps,
    plan: Plan,
    /// The steps after which a service has reached something that others wait for.
    reached: BTreeMap<(ServiceName, Milestone), Vec<usize>>,
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
    /// The objects that belong to no service: the namespace above all. Returns the steps that
    /// everything else waits for.
    fn stack_objects(&mut self) -> Vec<usize> {
        let mut before = Vec::new();
        for object in self
            .desired
            .objects
            .iter()
            .filter(|o| o.service().is_none())
        {
            let verdict = self.judge.judge(object);
            if let Verdict::Hold(hold) = verdict {
                self.plan.holds.push(hold);
                continue;
            }
            let steps = self.carry_out(object, &verdict, None, &before, &before);
            if matches!(object, Object::Namespace(_)) {
                before.extend(steps);
            }
        }
        before
    }

    /// Looks at all objects of a service.
    fn part(&self, name: &ServiceName) -> Part<'a> {
        let mut part = Part {
            workload: None,
            others: Vec::new(),
            holds: Vec::new(),
            developed: false,
        };
        let own = |object: &&Object| object.service().as_ref() == Some(name);
        for object in self.desired.objects.iter().filter(own) {
            let id = object.id();
            let verdict = self.judge.judge(object);
            if let Verdict::Hold(hold) = verdict {
                part.holds.push(hold);
            } else if !matches!(object, Object::Deployment(_)) {
                part.others.push((object, verdict));
            } else if self.observed.form(&id) == Some(Form::Develop)
                && !self.options.leave.contains(name)
            {
                part.developed = true;
                part.holds.push(Hold::developing(name, &id));
            } else {
                part.workload = Some((object, verdict));
            }
        }
        part
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
                order::blocking_needs(self.desired.stack, name).find(|need| stopped.contains(*need))
            {
                self.plan.holds.push(Hold::waiting(name, needed));
                stopped.insert(name.clone());
            }
        }
        stopped
    }

    /// The steps of one service; those it needs were planned before.
    fn service(
        &mut self,
        name: &ServiceName,
        part: &Part<'_>,
        order: &[ServiceName],
        namespace: &[usize],
    ) {
        let mut before = namespace.to_vec();
        if !part.developed {
            before.extend(self.image(name));
        }
        let mut removed = Vec::new();
        let objects = || part.workload.iter().chain(part.others.iter().rev());
        for (object, verdict) in objects() {
            if let Verdict::Replace(reason) = verdict {
                let mut after = namespace.to_vec();
                after.extend(removed.last());
                let delete = Action::Delete { id: object.id() };
                removed.push(self.steps.push(delete, Some(name), reason.clone(), &after));
            }
        }
        let mut configured = before.clone();
        for (object, verdict) in &part.others {
            let steps = self.carry_out(object, verdict, Some(name), namespace, &removed);
            if matches!(object, Object::Service(_)) {
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
    fn image(&mut self, name: &ServiceName) -> Option<usize> {
        let build = self.desired.builds.get(name)?;
        let state = self.observed.images.get(&build.reference);
        if state.is_some_and(|state| state.on_node) {
            return None;
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
        Some(self.steps.push(action, Some(name), reason, &after))
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
                Condition::Ready => &[Milestone::Addressed, Milestone::Ready],
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
        let progress = if applied.is_empty() {
            self.observed.progress(id)
        } else {
            Progress::Missing
        };
        let reason = match progress {
            Progress::Ready => return,
            Progress::Missing => "is new",
            Progress::Starting => "is still starting",
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
        await_condition(Condition::Ready, Milestone::Ready);
    }
}

#[cfg(test)]
mod tests;
