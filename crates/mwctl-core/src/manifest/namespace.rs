//! The stack's namespace, and what it admits: Pod Security, a quota, limits.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    LimitRange, LimitRangeItem, LimitRangeSpec, Namespace, ResourceQuota, ResourceQuotaSpec,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::label::stack_labels;
use crate::model::{Quantities, Stack};

/// The names that production's namespaces have these objects under.
const QUOTA: &str = "quota-compute-resources";
const LIMITS: &str = "general-limits";

/// The stack's namespace; only pods that keep to its level are admitted to it.
pub(super) fn namespace(stack: &Stack, worktree: &str) -> Namespace {
    let mut labels = stack_labels(stack, worktree);
    for mode in ["enforce", "audit", "warn"] {
        labels.insert(
            format!("pod-security.kubernetes.io/{mode}"),
            stack.admission.pod_security.as_str().to_owned(),
        );
    }
    Namespace {
        metadata: ObjectMeta {
            name: Some(stack.namespace.clone()),
            labels: Some(labels),
            ..Default::default()
        },
        ..Default::default()
    }
}

/// What all pods together may ask for and use; `None` where nothing limits it.
pub(super) fn quota(stack: &Stack, worktree: &str) -> Option<ResourceQuota> {
    let quota = &stack.admission.quota;
    if quota.is_empty() {
        return None;
    }
    let hard = quota.iter().flat_map(|(resource, amount)| {
        ["requests", "limits"].map(|side| (format!("{side}.{resource}"), Quantity(amount.clone())))
    });
    Some(ResourceQuota {
        metadata: metadata(stack, QUOTA, worktree),
        spec: Some(ResourceQuotaSpec {
            hard: Some(hard.collect()),
            ..Default::default()
        }),
        status: None,
    })
}

/// What each container and each pod may ask for and use; `None` where nothing limits it.
pub(super) fn limits(stack: &Stack, worktree: &str) -> Option<LimitRange> {
    let limits = stack.admission.limits.as_ref()?;
    let mut items = vec![LimitRangeItem {
        type_: "Container".to_owned(),
        min: quantities(&limits.min),
        max: quantities(&limits.max),
        default: quantities(&limits.default),
        default_request: quantities(&limits.default_request),
        max_limit_request_ratio: None,
    }];
    if !limits.pod_max.is_empty() {
        items.push(LimitRangeItem {
            type_: "Pod".to_owned(),
            max: quantities(&limits.pod_max),
            ..Default::default()
        });
    }
    Some(LimitRange {
        metadata: metadata(stack, LIMITS, worktree),
        spec: Some(LimitRangeSpec { limits: items }),
    })
}

fn quantities(amounts: &Quantities) -> Option<BTreeMap<String, Quantity>> {
    let pairs = amounts
        .iter()
        .map(|(resource, amount)| (resource.clone(), Quantity(amount.clone())));
    (!amounts.is_empty()).then(|| pairs.collect())
}

fn metadata(stack: &Stack, name: &str, worktree: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(stack.namespace.clone()),
        labels: Some(stack_labels(stack, worktree)),
        ..Default::default()
    }
}
