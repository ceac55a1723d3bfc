//! What has to be done so that the cluster is as the stack says: steps, reasons, and what is held back.
//!
//! A plan leaves no choice to whoever executes it, and `mwctl plan` prints the very value that `up`
//! executes. Planning is total and reads nothing but its arguments: planning twice gives equal plans,
//! and the plan after an executed one is empty.

mod applied;
mod change;
mod difference;
mod down;
mod hold;
mod judge;
mod order;
mod owner;
mod planner;
mod prune;
pub mod render;
mod step;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use self::applied::{applied, rollback};
pub use self::change::{Change, ChangeKind, Line, changes};
pub use self::down::down;
pub use self::hold::{Hold, HoldKind};
pub use self::step::{Action, Step};

use self::judge::Judge;
use self::owner::Owner;
use self::planner::Planner;
use self::prune::Prune;
use crate::manifest::Object;
use crate::model::Stack;
use crate::name::ServiceName;
use crate::observed::Observed;

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
    let (mut steps, mut plan) = Planner::new(desired, &judge, cycles).run(&order);
    if options.prune {
        let prune = Prune {
            desired,
            observed,
            owner: &owner,
            options,
            selected: &order,
        };
        prune.run(&mut steps, &mut plan);
    }
    plan.steps = steps.into_vec();
    plan
}

#[cfg(test)]
mod tests;
