//! Pods that were never made: a quota, a limit or a policy of the namespace forbids them.

use super::{Cause, after};
use crate::manifest::Form;
use crate::model::Service;
use crate::observed::{ObservedPod, Warning};

/// Why a service has no pod; `None` where nobody refused one.
pub(super) fn cause(
    service: &Service,
    pods: &[&ObservedPod],
    warnings: &[Warning],
) -> Option<Cause> {
    if pods.iter().any(|pod| pod.form != Form::Test) {
        return None;
    }
    let name = &service.name;
    let prefix = format!("{name}-");
    let warning = warnings
        .iter()
        .rev()
        .find(|w| w.reason == "FailedCreate" && w.name.starts_with(&prefix))?;
    let message = &warning.message;
    let limits = format!(
        "lower `container.resources` of `{name}` in `mwctl.yaml`, or look at `kubectl describe quota`"
    );
    let cause = if message.contains("exceeded quota") {
        let mut cause = Cause::new(
            format!("the namespace's quota leaves no room for `{name}`"),
            limits,
        );
        cause.detail.extend(room(message));
        cause
    } else if message.contains("must specify limits") || message.contains("failed quota") {
        Cause::new(
            format!(
                "the namespace's quota wants every container to state its resources, and `{name}` doesn't"
            ),
            format!(
                "write `container.resources` for `{name}` into `mwctl.yaml`, or `limits` for the stack"
            ),
        )
    } else if ["usage per Container is", "usage per Pod is"]
        .iter()
        .any(|words| message.contains(words))
    {
        Cause::new(
            format!("the namespace's limits don't admit the resources of `{name}`"),
            format!(
                "correct `container.resources` of `{name}` in `mwctl.yaml`, or look at `kubectl describe limits`"
            ),
        )
    } else if message.contains("PodSecurity") {
        Cause::new(
            format!("the namespace's Pod Security level doesn't admit `{name}`"),
            format!(
                "correct what the message names, see `mwctl render {name}`; or write `podSecurity: baseline` for the stack"
            ),
        )
    } else if message.contains("serviceaccount") && message.contains("not found") {
        Cause::new(
            format!("the account that `{name}` runs as isn't there"),
            format!("mwctl up {name}"),
        )
    } else if message.contains("is forbidden") {
        Cause::new(
            format!("the cluster forbids the pod of `{name}`"),
            format!("mwctl render {name}"),
        )
    } else {
        Cause::new(
            format!("the cluster refuses to make the pod of `{name}`"),
            format!("mwctl render {name}"),
        )
    };
    Some(cause.because([message]))
}

/// What is asked for, used and allowed, each in words, from `exceeded quota: q, requested: …, used: …, limited: …`.
fn room(message: &str) -> Vec<String> {
    let part = |mark: &str| -> Vec<(&str, &str)> {
        let rest = message.split_once(mark).map_or("", |(_, rest)| rest);
        let list = rest.split(", ").next().unwrap_or_default();
        list.split(',')
            .filter_map(|pair| pair.split_once('='))
            .collect()
    };
    let (requested, used, limited) = (part("requested: "), part("used: "), part("limited: "));
    let of = |list: &[(&str, &str)], name: &str| -> Option<String> {
        let found = list.iter().find(|(other, _)| *other == name)?;
        Some(found.1.to_owned())
    };
    let quota = after(message, "exceeded quota: ").unwrap_or_default();
    requested
        .iter()
        .filter_map(|(name, amount)| {
            let (used, limited) = (of(&used, name)?, of(&limited, name)?);
            Some(format!(
                "{name}: {amount} wanted, {used} of {limited} in use (quota {quota})"
            ))
        })
        .collect()
}
