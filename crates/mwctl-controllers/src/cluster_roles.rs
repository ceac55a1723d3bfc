//! Roles that are made of others: a `ClusterRole` with an aggregation rule has the rules of all those that it selects by their labels.

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use kube::ResourceExt;
use serde_json::json;

use crate::action::{Action, Target};
use crate::claim::{matches, selector};
use crate::controller::{Context, Controller};
use crate::observed::{Change, Key, Kind, Object, Observed};

/// The controller's name.
pub(crate) const NAME: &str = "clusterrole-aggregation-controller";

/// The controller.
pub(crate) static CONTROLLER: Controller = Controller {
    name: NAME,
    reads: &[Kind::ClusterRole],
    traces_all: false,
    wakes,
    reconcile,
};

fn wakes(change: &Change, observed: &Observed) -> Vec<Key> {
    match change.object() {
        Object::ClusterRole(_) => (observed.cluster_roles.iter())
            .filter(|role| role.aggregation_rule.is_some())
            .map(|role| Key::of(role.as_ref()))
            .collect(),
        _ => Vec::new(),
    }
}

fn reconcile(context: &Context<'_>, key: &Key) -> Vec<Action> {
    let observed = context.observed;
    let Some(role) = observed.cluster_roles.get(key) else {
        return Vec::new();
    };
    let Some(rules) = aggregated(observed, role) else {
        return Vec::new();
    };
    if rules == role.rules.as_deref().unwrap_or_default() {
        return Vec::new();
    }
    vec![Action::Patch {
        target: Target::of(role.as_ref()),
        subresource: None,
        patch: json!({"rules": rules}),
        announcement: None,
    }]
}

/// The rules of all that a role selects, each once, by the names of the roles that they are from; nothing for a role that selects none.
fn aggregated(observed: &Observed, role: &ClusterRole) -> Option<Vec<PolicyRule>> {
    let selectors = role.aggregation_rule.as_ref()?;
    let mut rules: Vec<PolicyRule> = Vec::new();
    for wanted in (selectors.cluster_role_selectors.iter().flatten()).filter_map(selector) {
        let others = (observed.cluster_roles.iter())
            .filter(|other| other.name_any() != role.name_any())
            .filter(|other| matches(&wanted, other.as_ref()));
        for rule in others.flat_map(|other| other.rules.iter().flatten()) {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
    }
    Some(rules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    #[test]
    fn a_role_has_the_rules_of_those_that_it_selects() {
        let mut world = World::with(&[NAME]);
        let key = world.create::<ClusterRole>(json!({
            "metadata": {"name": "all"},
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"part": "yes"}}]},
        }));
        let rule = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]});
        for name in ["b", "a"] {
            world.create::<ClusterRole>(json!({
                "metadata": {"name": name, "labels": {"part": "yes"}},
                "rules": [rule, {"nonResourceURLs": [format!("/{name}")], "verbs": ["get"]}],
            }));
        }
        world.create::<ClusterRole>(json!({"metadata": {"name": "other"}, "rules": [rule]}));
        let rules = |world: &World| json!(world.get::<ClusterRole>(&key).unwrap().rules);
        let other = |name: &str| json!({"nonResourceURLs": [name], "verbs": ["get"]});
        assert_eq!(rules(&world), json!([rule, other("/a"), other("/b")]));
        world.delete::<ClusterRole>(&Key::cluster("a"), None);
        assert_eq!(rules(&world), json!([rule, other("/b")]));
    }
}
