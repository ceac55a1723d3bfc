//! Who belongs to whom: an owner adopts what its selector matches and nobody controls, and releases what it no longer matches.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, OwnerReference};
use kube::core::{Selector, SelectorExt};
use serde_json::json;

use crate::action::{Action, Target};
use crate::observed::{Watched, controller_of, owner_reference};

/// What an owner has, and what is to be changed about that first.
#[derive(Debug)]
pub(crate) struct Claim<T> {
    /// The objects that are the owner's.
    pub(crate) ours: Vec<Arc<T>>,
    /// Adoptions and releases. Counting has to wait for them: an orphan must be neither missed nor made twice.
    pub(crate) actions: Vec<Action>,
}

/// A selector that can be asked; nothing if it makes no sense, and then it matches nothing.
pub(crate) fn selector(selector: &LabelSelector) -> Option<Selector> {
    Selector::try_from(selector.clone()).ok()
}

/// Whether a selector matches an object's labels.
pub(crate) fn matches(selector: &Selector, object: &impl Watched) -> bool {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    selector.matches(object.meta().labels.as_ref().unwrap_or(&NONE))
}

/// Whether an owner with this selector would take an object that nobody controls.
pub(crate) fn would_take(wanted: &LabelSelector, object: &impl Watched) -> bool {
    selector(wanted).is_some_and(|wanted| matches(&wanted, object))
}

/// Claims what is the owner's among the candidates, which lie in its namespace.
pub(crate) fn claim<'a, T: Watched>(
    owner: &impl Watched,
    selector: &Selector,
    candidates: impl Iterator<Item = &'a Arc<T>>,
) -> Claim<T> {
    let uid = owner.meta().uid.as_deref().unwrap_or_default();
    let may_adopt = owner.meta().deletion_timestamp.is_none() && !selector.selects_all();
    let mut claim = Claim {
        ours: Vec::new(),
        actions: Vec::new(),
    };
    for candidate in candidates {
        let is_match = matches(selector, candidate.as_ref());
        let is_deleting = candidate.meta().deletion_timestamp.is_some();
        match controller_of(candidate.meta()) {
            Some(controller) if controller.uid != uid => {}
            Some(_) if is_match => claim.ours.push(Arc::clone(candidate)),
            Some(_) if !is_deleting && owner.meta().deletion_timestamp.is_none() => {
                let others = owners(candidate.as_ref());
                let others: Vec<_> = (others.iter())
                    .filter(|it| it.uid != uid)
                    .cloned()
                    .collect();
                claim.actions.push(own(candidate.as_ref(), &others));
            }
            None if is_match && may_adopt && !is_deleting => {
                let mut owners = owners(candidate.as_ref()).to_vec();
                owners.retain(|it| it.uid != uid);
                owners.push(owner_reference(owner));
                claim.actions.push(own(candidate.as_ref(), &owners));
            }
            Some(_) | None => {}
        }
    }
    claim
}

fn owners(object: &impl Watched) -> &[OwnerReference] {
    object
        .meta()
        .owner_references
        .as_deref()
        .unwrap_or_default()
}

/// Gives an object other owners. Its version is part of the patch, for a list is replaced as a whole.
fn own(object: &impl Watched, owners: &[OwnerReference]) -> Action {
    Action::Patch {
        target: Target::of(object),
        subresource: None,
        patch: json!({"metadata": {
            "ownerReferences": owners,
            "resourceVersion": object.meta().resource_version,
        }}),
        announcement: None,
    }
}
