//! Quotas of a namespace: what objects use of them, and whether another one fits.

mod usage;

use super::amounts::{self, Amounts};
use super::{items, text};
use crate::decode::quantity::Quantity;
use serde_json::{Map, Value, json};

pub(crate) use usage::{Counted, usage};

/// Why an object doesn't fit into a quota; none if it does. `used` is what the others use, `own` what the object does, `before` what it did.
pub(crate) fn complaint(
    quota: &Value,
    object: Counted<'_>,
    before: Option<Counted<'_>>,
    used: &Amounts,
) -> Option<String> {
    let name = text(quota, "/metadata/name");
    let hard = amounts::read(&quota["spec"]["hard"]);
    if !covers(quota, object) {
        return None;
    }
    if before.is_none()
        && let Some(missing) = unspecified(object, &hard)
    {
        return Some(format!("failed quota: {name}: must specify {missing}"));
    }
    let own = usage(object, &hard);
    let before = before.filter(|before| covers(quota, *before));
    let before = before
        .map(|before| usage(before, &hard))
        .unwrap_or_default();
    let amount =
        |amounts: &Amounts, name: &str| amounts.get(name).map_or(0, |amount| amount.nano());
    let exceeded = hard.iter().filter(|(name, most)| {
        let (more, less) = (amount(&own, name), amount(&before, name));
        more > less && amount(used, name) + more > most.nano()
    });
    let exceeded: Vec<(&String, &Quantity)> = exceeded.collect();
    if exceeded.is_empty() {
        return None;
    }
    let zero = Quantity::whole(0);
    let told = |amounts: &Amounts| {
        let one = |(name, _): &(&String, &Quantity)| {
            format!("{name}={}", amounts.get(*name).unwrap_or(&zero))
        };
        exceeded.iter().map(one).collect::<Vec<_>>().join(",")
    };
    let mut all = used.clone();
    amounts::add(&mut all, &before);
    Some(format!(
        "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
        told(&own),
        told(&all),
        told(&hard)
    ))
}

/// What all these objects use of a quota.
pub(crate) fn used<'a>(quota: &Value, objects: impl Iterator<Item = Counted<'a>>) -> Amounts {
    let hard = amounts::read(&quota["spec"]["hard"]);
    let mut sum: Amounts = hard
        .keys()
        .map(|name| (name.clone(), Quantity::whole(0)))
        .collect();
    for object in objects.filter(|object| covers(quota, *object)) {
        amounts::add(&mut sum, &usage(object, &hard));
    }
    sum
}

/// The status of a quota of which this much is used.
pub(crate) fn status(quota: &Value, used: &Amounts) -> Value {
    let used: Map<String, Value> = used
        .iter()
        .map(|(name, amount)| (name.clone(), json!(amount.to_string())))
        .collect();
    json!({"hard": quota["spec"]["hard"], "used": used})
}

/// The compute resources that a quota limits and a container of the pod says nothing of.
fn unspecified(object: Counted<'_>, hard: &Amounts) -> Option<String> {
    if object.plural != "pods" {
        return None;
    }
    let spec = &object.value["spec"];
    let mut missing = Vec::new();
    for name in hard.keys() {
        let (field, resource) = match name.as_str() {
            "cpu" | "memory" => ("requests", name.as_str()),
            name => match name.split_once('.') {
                Some((field @ ("requests" | "limits"), resource)) => (field, resource),
                _ => continue,
            },
        };
        if !["cpu", "memory", "ephemeral-storage"].contains(&resource) {
            continue;
        }
        let silent = items(&spec["containers"]).chain(items(&spec["initContainers"]));
        let silent = silent.filter(|container| container["resources"][field][resource].is_null());
        let silent: Vec<&str> = silent.map(|container| text(container, "/name")).collect();
        if !silent.is_empty() {
            missing.push(format!("{name} for: {}", silent.join(",")));
        }
    }
    (!missing.is_empty()).then(|| missing.join("; "))
}

/// Whether a quota is about an object: its scopes are about pods.
fn covers(quota: &Value, object: Counted<'_>) -> bool {
    let scopes = items(&quota["spec"]["scopes"]).map(|scope| (scope, "Exists", &Value::Null));
    let selected = items(&quota["spec"]["scopeSelector"]["matchExpressions"]);
    let selected =
        selected.map(|term| (&term["scopeName"], text(term, "/operator"), &term["values"]));
    let mut scopes = scopes.chain(selected).peekable();
    if scopes.peek().is_none() {
        return true;
    }
    if object.plural != "pods" {
        return false;
    }
    let spec = &object.value["spec"];
    let ends = !spec["activeDeadlineSeconds"].is_null();
    let quality = object
        .value
        .as_object()
        .map_or("", crate::decode::fresh::quality);
    let class = text(spec, "/priorityClassName");
    scopes.all(|(scope, operator, values)| match scope.as_str() {
        Some("Terminating") => ends,
        Some("NotTerminating") => !ends,
        Some("BestEffort") => quality == "BestEffort",
        Some("NotBestEffort") => quality != "BestEffort",
        Some("PriorityClass") => {
            let listed = items(values).any(|value| value == class);
            match operator {
                "In" => listed,
                "NotIn" => !listed,
                "DoesNotExist" => class.is_empty(),
                _ => !class.is_empty(),
            }
        }
        Some("CrossNamespacePodAffinity") => crosses(spec),
        _ => false,
    })
}

/// Whether a pod's affinity looks into other namespaces.
fn crosses(spec: &Value) -> bool {
    let lists = ["podAffinity", "podAntiAffinity"]
        .into_iter()
        .flat_map(|kind| {
            let kind = &spec["affinity"][kind];
            let required = items(&kind["requiredDuringSchedulingIgnoredDuringExecution"]);
            let preferred = items(&kind["preferredDuringSchedulingIgnoredDuringExecution"]);
            required.chain(preferred.map(|term| &term["podAffinityTerm"]))
        });
    let mut lists = lists;
    lists.any(|term| {
        items(&term["namespaces"]).next().is_some() || !term["namespaceSelector"].is_null()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(cpu: &str) -> Value {
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}, "status": {"phase": "Pending"}})
    }

    fn counted(value: &Value) -> Counted<'_> {
        Counted {
            group: "",
            plural: "pods",
            value,
        }
    }

    fn quota(hard: &Value) -> Value {
        json!({"metadata": {"name": "q"}, "spec": {"hard": hard}})
    }

    #[test]
    fn what_does_not_fit_is_told_with_what_is_used() {
        let quota = quota(&json!({"pods": "2", "requests.cpu": "1"}));
        let pods = [pod("300m"), pod("600m")];
        let sum = used(&quota, pods.iter().map(counted));
        assert_eq!(
            status(&quota, &sum)["used"],
            json!({"pods": "2", "requests.cpu": "900m"})
        );
        let one = used(&quota, pods[..1].iter().map(counted));
        assert_eq!(complaint(&quota, counted(&pod("700m")), None, &one), None);
        assert_eq!(
            complaint(&quota, counted(&pod("200m")), None, &sum).as_deref(),
            Some(
                "exceeded quota: q, requested: pods=1,requests.cpu=200m, used: pods=2,requests.cpu=900m, limited: pods=2,requests.cpu=1"
            )
        );
    }

    #[test]
    fn who_says_nothing_where_it_counts_is_refused() {
        let silent = json!({"spec": {"containers": [{"name": "c"}, {"name": "d"}]}});
        assert_eq!(
            complaint(
                &quota(&json!({"limits.memory": "1Gi"})),
                counted(&silent),
                None,
                &Amounts::new()
            )
            .as_deref(),
            Some("failed quota: q: must specify limits.memory for: c,d")
        );
    }

    #[test]
    fn a_change_that_takes_no_more_is_free_whatever_is_used() {
        let quota = quota(&json!({"requests.cpu": "1"}));
        let full = amounts::read(&json!({"requests.cpu": "5"}));
        let (before, after) = (pod("2"), pod("2"));
        assert_eq!(
            complaint(&quota, counted(&after), Some(counted(&before)), &full),
            None
        );
        let more = pod("3");
        assert!(complaint(&quota, counted(&more), Some(counted(&before)), &full).is_some());
    }

    #[test]
    fn a_scope_says_which_pods_count() {
        let mut quota = quota(&json!({"pods": "0"}));
        quota["spec"]["scopes"] = json!(["BestEffort"]);
        assert_eq!(
            complaint(&quota, counted(&pod("1")), None, &Amounts::new()),
            None
        );
        let silent = json!({"spec": {"containers": [{"name": "c"}]}});
        assert!(complaint(&quota, counted(&silent), None, &Amounts::new()).is_some());
    }
}
