//! The namespace and a service's Deployment in its planned form.

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::{Namespace, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::label::{FORM, Form, object_labels, object_name, pod_labels, selector, stack_labels};
use super::network::containers;
use super::{config, pod, storage};
use crate::model::{Service, Stack};

/// How long a stateless process may take to stop: a developer waits for it.
const GRACE_SECONDS: i64 = 10;
/// How long one with data may take: Kubernetes' own default, since a killed database recovers slowly.
const GRACE_SECONDS_WITH_DATA: i64 = 30;
/// Old generations of pods that are kept; nobody rolls a developer's stack back further.
const HISTORY: i32 = 2;

/// The stack's namespace; only restricted pods are admitted to it.
pub(super) fn namespace(stack: &Stack, worktree: &str) -> Namespace {
    let mut labels = stack_labels(stack, worktree);
    for mode in ["enforce", "audit", "warn"] {
        labels.insert(
            format!("pod-security.kubernetes.io/{mode}"),
            "restricted".to_owned(),
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

/// The metadata of an object of a service.
pub(super) fn metadata(
    stack: &Stack,
    service: &Service,
    name: String,
    worktree: &str,
) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(stack.namespace.clone()),
        labels: Some(object_labels(stack, service, worktree)),
        ..Default::default()
    }
}

/// A service's Deployment.
pub(super) fn deployment(
    stack: &Stack,
    service: &Service,
    image: &str,
    worktree: &str,
) -> Deployment {
    let mut metadata = metadata(stack, service, object_name(stack, service), worktree);
    if let Some(labels) = &mut metadata.labels {
        labels.insert(FORM.to_owned(), Form::Planned.as_str().to_owned());
    }
    Deployment {
        metadata,
        spec: Some(DeploymentSpec {
            replicas: Some(service.replicas as i32),
            revision_history_limit: Some(HISTORY),
            selector: LabelSelector {
                match_labels: Some(selector(stack, service)),
                match_expressions: None,
            },
            strategy: Some(strategy(service, 1, 0)),
            template: template(stack, service, image),
            ..Default::default()
        }),
        status: None,
    }
}

/// How pods are replaced: one after the other without a gap, except that two pods can't share a
/// persistent volume.
pub(super) fn strategy(service: &Service, surge: i32, unavailable: i32) -> DeploymentStrategy {
    if storage::is_persistent(service) {
        return DeploymentStrategy {
            type_: Some("Recreate".to_owned()),
            rolling_update: None,
        };
    }
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(surge)),
            max_unavailable: Some(IntOrString::Int(unavailable)),
        }),
    }
}

/// A service's pod in its planned form.
fn template(stack: &Stack, service: &Service, image: &str) -> PodTemplateSpec {
    let annotations = config::checksums(service);
    let mut volumes = storage::volumes(stack, service);
    volumes.extend(config::volumes(stack, service));
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(pod_labels(stack, service, Form::Planned)),
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..Default::default()
        }),
        spec: Some(PodSpec {
            automount_service_account_token: Some(false),
            containers: containers(service)
                .map(|container| pod::container(stack, service, container, image))
                .collect(),
            security_context: pod::pod_security(service),
            termination_grace_period_seconds: Some(if storage::is_persistent(service) {
                GRACE_SECONDS_WITH_DATA
            } else {
                GRACE_SECONDS
            }),
            volumes: pod::some(volumes),
            ..Default::default()
        }),
    }
}
