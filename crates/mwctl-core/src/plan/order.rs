//! Which services a plan goes into, and in which order.

use std::collections::BTreeSet;

use super::{Hold, HoldKind};
use crate::model::{Condition, Stack};
use crate::name::ServiceName;

/// The services asked for and all they need, each behind those it waits for, and a hold for every
/// need that had to be ignored because services wait for each other.
pub(super) fn order(stack: &Stack, asked: &BTreeSet<ServiceName>) -> (Vec<ServiceName>, Vec<Hold>) {
    let mut walk = Walk {
        stack,
        selected: selected(stack, asked),
        done: Vec::new(),
        path: Vec::new(),
        holds: Vec::new(),
    };
    for name in walk.selected.clone() {
        walk.visit(&name);
    }
    (walk.done, walk.holds)
}

/// The services that must have reached something before `name` is deployed.
pub(super) fn blocking_needs<'a>(
    stack: &'a Stack,
    name: &ServiceName,
) -> impl Iterator<Item = &'a ServiceName> {
    let service = stack.services.get(name);
    service
        .into_iter()
        .flat_map(|service| &service.needs)
        .filter(|need| need.condition != Condition::Eventually)
        .map(|need| &need.service)
}

/// A service that is only talked to is deployed too: without it nothing would answer.
fn selected(stack: &Stack, asked: &BTreeSet<ServiceName>) -> BTreeSet<ServiceName> {
    if asked.is_empty() {
        return stack.services.keys().cloned().collect();
    }
    let mut selected = BTreeSet::new();
    let mut open: Vec<&ServiceName> = asked.iter().collect();
    while let Some(name) = open.pop() {
        let Some(service) = stack.services.get(name) else {
            continue;
        };
        if selected.insert(name.clone()) {
            open.extend(service.needs.iter().map(|need| &need.service));
        }
    }
    selected
}

struct Walk<'a> {
    stack: &'a Stack,
    selected: BTreeSet<ServiceName>,
    done: Vec<ServiceName>,
    path: Vec<ServiceName>,
    holds: Vec<Hold>,
}

impl Walk<'_> {
    fn visit(&mut self, name: &ServiceName) {
        if self.done.contains(name) || !self.selected.contains(name) {
            return;
        }
        self.path.push(name.clone());
        for need in blocking_needs(self.stack, name) {
            if let Some(start) = self.path.iter().position(|other| other == need) {
                let hold = cycle(&self.path[start..]);
                self.holds.push(hold);
            } else {
                self.visit(need);
            }
        }
        self.path.pop();
        self.done.push(name.clone());
    }
}

fn cycle(path: &[ServiceName]) -> Hold {
    let names: Vec<String> = path
        .iter()
        .chain(path.first())
        .map(|name| format!("`{name}`"))
        .collect();
    Hold {
        kind: HoldKind::Cycle,
        service: path.last().cloned(),
        object: None,
        reason: format!("services wait for each other: {}", names.join(" → ")),
        hint: Some("mark one of these needs `eventually` in `mwctl.yaml`".to_owned()),
    }
}
