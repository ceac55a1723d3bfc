//! The roles and bindings that every cluster begins with.
//!
//! They are data, `data/rbac.json`: what a real cluster labels `kubernetes.io/bootstrapping=rbac-defaults`, without what each cluster fills in
//! itself (uids, times, revisions).

use serde_json::Value;

const OBJECTS: &str = include_str!("../../data/rbac.json");

/// The objects to create in a new cluster; those with a namespace live in `kube-system` and `kube-public`.
///
/// # Panics
/// When the committed file is damaged, which a test excludes.
pub fn bootstrap_objects() -> Vec<Value> {
    serde_json::from_str(OBJECTS)
        .expect("the roles are a part of this program, and a test reads them")
}
