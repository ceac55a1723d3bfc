//! Taking a stack down: what is ours goes, data stays unless it was asked for.

use super::judge::is_going;
use super::owner::Owner;
use super::prune::is_own;
use super::step::Steps;
use super::{Action, Hold, HoldKind, Plan};
use crate::manifest::{ObjectId, service_of};
use crate::model::Stack;
use crate::observed::Observed;

/// What every namespace has of its own: kind and name.
const BORN_WITH_A_NAMESPACE: [(&str, &str); 2] = [
    ("ConfigMap", "kube-root-ca.crt"),
    ("ServiceAccount", "default"),
];

/// Decides what has to be deleted so that nothing of the stack is left; with `volumes` its data too.
///
/// The namespace goes last, and only where nothing else was seen in it.
pub fn down(observed: &Observed, stack: &Stack, worktree: &str, volumes: bool) -> Plan {
    let owner = Owner::new(stack, worktree);
    let mut plan = Plan::default();
    let mut steps = Steps::default();
    let mut staying: Vec<&ObjectId> = Vec::new();
    let mut gone: Vec<usize> = Vec::new();
    // Pods and workloads stand last in the order of kinds, the namespace first.
    for (id, live) in observed.objects.iter().rev() {
        if !is_own(&owner, live) {
            let made = live.pointer("/metadata/ownerReferences").is_some();
            let born = BORN_WITH_A_NAMESPACE.contains(&(id.kind.as_str(), id.name.as_str()));
            if !made && !born {
                staying.push(id);
            }
            continue;
        }
        let service = service_of(live);
        if id.kind == "PersistentVolumeClaim" && !volumes && !is_going(live) {
            plan.holds.push(Hold::data(
                service,
                id,
                format!("`{id}` is kept, because it holds data"),
                "to delete it too: `mwctl down --volumes`".to_owned(),
            ));
            staying.push(id);
            continue;
        }
        let mut reason = "belongs to the stack".to_owned();
        let mut after = Vec::new();
        if id.kind == "Namespace" {
            let inside = staying
                .iter()
                .find(|other| other.namespace.as_ref() == Some(&id.name));
            if let Some(other) = inside {
                plan.holds.push(Hold {
                    kind: HoldKind::Namespace,
                    service: None,
                    object: Some(id.clone()),
                    reason: format!("`{id}` is kept, because `{other}` is in it"),
                    hint: None,
                });
                continue;
            }
            "was made for the stack".clone_into(&mut reason);
            after.clone_from(&gone);
        } else if id.kind == "PersistentVolumeClaim" {
            // A claim in use isn't deleted before its pods.
            after.clone_from(&gone);
        }
        let delete = Action::Delete { id: id.clone() };
        gone.push(steps.push(delete, service.as_ref(), reason, &after));
    }
    plan.steps = steps.into_vec();
    plan
}
