//! Amounts of resources: of a container, of a pod, and sums of them.

use super::items;
use crate::decode::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeMap;

/// Amounts by the name of the resource.
pub(crate) type Amounts = BTreeMap<String, Quantity>;

/// What a map such as `resources.requests` says.
pub(crate) fn read(map: &Value) -> Amounts {
    let fields = map.as_object().into_iter().flatten();
    let amount = |value: &Value| match value {
        Value::String(text) => Quantity::parse(text),
        Value::Number(number) => Quantity::parse(&number.to_string()),
        _ => None,
    };
    fields
        .filter_map(|(name, value)| Some((name.clone(), amount(value)?)))
        .collect()
}

/// Adds amounts to others.
pub(crate) fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let known = sum.get(name).copied();
        sum.insert(
            name.clone(),
            known.map_or(*amount, |known| known.plus(*amount)),
        );
    }
}

/// Raises amounts to others, where those are larger.
fn raise(most: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let known = most.entry(name.clone()).or_insert(*amount);
        if amount.nano() > known.nano() {
            *known = *amount;
        }
    }
}

/// What a pod needs at once of its `requests` or `limits`: all its containers together, or the largest of those that come before them.
pub(crate) fn of_pod(spec: &Value, kind: &str) -> Amounts {
    let own = |container: &Value| read(&container["resources"][kind]);
    let mut together = Amounts::new();
    for container in items(&spec["containers"]) {
        add(&mut together, &own(container));
    }
    let (mut beside, mut before) = (Amounts::new(), Amounts::new());
    for container in items(&spec["initContainers"]) {
        if container["restartPolicy"] == "Always" {
            add(&mut together, &own(container));
            add(&mut beside, &own(container));
            raise(&mut before, &beside);
        } else {
            let mut now = own(container);
            add(&mut now, &beside);
            raise(&mut before, &now);
        }
    }
    raise(&mut together, &before);
    let overhead = read(&spec["overhead"]);
    if kind == "requests" {
        add(&mut together, &overhead);
    } else {
        // Who has no limit has none with more on top.
        let limited: Amounts = (overhead.into_iter())
            .filter(|(name, _)| together.contains_key(name))
            .collect();
        add(&mut together, &limited);
    }
    together
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_needs_what_runs_at_once() {
        let cpu = |amount: &str| json!({"resources": {"requests": {"cpu": amount}}});
        let mut side = cpu("100m");
        side["restartPolicy"] = json!("Always");
        let spec = json!({"containers": [cpu("200m"), cpu("300m")], "initContainers": [side, cpu("2")], "overhead": {"cpu": "10m"}});
        assert_eq!(of_pod(&spec, "requests")["cpu"].to_string(), "2110m");
        let spec = json!({"containers": [cpu("200m")], "initContainers": [cpu("100m")]});
        assert_eq!(of_pod(&spec, "requests")["cpu"].to_string(), "200m");
    }
}
