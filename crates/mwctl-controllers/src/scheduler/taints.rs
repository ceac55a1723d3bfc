//! Taints and tolerations, and what a node's conditions mean for pods that are to come.

use k8s_openapi::api::core::v1::{Node, Taint, Toleration};

use crate::node_taints::{NOT_READY, UNSCHEDULABLE, is_cordoned, is_ready, taint};

/// Whether a pod with these tolerations may be placed on a node; the reason if not.
pub(super) fn check(node: &Node, tolerations: &[&Toleration]) -> Result<(), String> {
    let tolerated = |taint: &Taint| tolerations.iter().any(|it| tolerates(it, taint));
    if is_cordoned(node) && !tolerated(&taint(UNSCHEDULABLE)) {
        return Err("node(s) were unschedulable".to_owned());
    }
    let spec = node.spec.as_ref();
    let mut taints = spec
        .and_then(|spec| spec.taints.clone())
        .unwrap_or_default();
    // Nobody may have tainted a node that isn't ready; nothing can run there all the same.
    if !is_ready(node) && !taints.iter().any(|taint| taint.key == NOT_READY) {
        taints.push(taint(NOT_READY));
    }
    let refused = (taints.iter())
        .filter(|taint| taint.effect != "PreferNoSchedule")
        .find(|taint| !tolerated(taint));
    match refused {
        None => Ok(()),
        Some(taint) => {
            let value = taint.value.as_deref().unwrap_or_default();
            Err(format!(
                "node(s) had untolerated taint {{{}: {value}}}",
                taint.key
            ))
        }
    }
}

/// Whether a toleration covers a taint.
pub(crate) fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.as_deref().unwrap_or_default();
    if !effect.is_empty() && effect != taint.effect {
        return false;
    }
    let key = toleration.key.as_deref().unwrap_or_default();
    if !key.is_empty() && key != taint.key {
        return false;
    }
    match toleration.operator.as_deref() {
        Some("Exists") => true,
        _ => {
            !key.is_empty()
                && toleration.value.as_deref().unwrap_or_default()
                    == taint.value.as_deref().unwrap_or_default()
        }
    }
}
