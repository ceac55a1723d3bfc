//! What somebody may do, as `SelfSubjectRulesReview` lists it.

use super::{Policy, User};
use serde_json::{Value, json};

/// The `status` of a review of everything that `user` may do in `namespace`.
pub fn rules_review(policy: &Policy, user: &User, namespace: &str) -> Value {
    let rules = policy.grants(user, namespace).flat_map(|grant| grant.rules);
    let (paths, resources): (Vec<_>, Vec<_>) = rules.partition(|rule| !rule.paths.is_empty());
    let told = |rules: Vec<&super::rule::Rule>| -> Value {
        rules.iter().map(|rule| rule.write()).collect()
    };
    json!({"resourceRules": told(resources), "nonResourceRules": told(paths), "incomplete": false})
}
