//! Classes by name: of priority for pods, of storage for claims. What an object gets from its class, or why it cannot have it.

use super::text;
use serde_json::{Value, json};

/// The classes of priority that every cluster has.
pub(crate) fn first_priorities() -> [Value; 2] {
    let class = |name: &str, value: i64, description: &str| json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value, "description": description});
    [
        class(
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
        ),
        class(
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
    ]
}

/// Gives a pod the priority of its class, or of the one that is for all.
pub(crate) fn give_priority<'a>(
    pod: &mut Value,
    classes: impl Iterator<Item = &'a Value>,
) -> Result<(), String> {
    let wanted = text(pod, "/spec/priorityClassName").to_owned();
    let fits = |class: &&Value| match wanted.as_str() {
        "" => class["globalDefault"] == true,
        name => class["metadata"]["name"] == name,
    };
    // Of several that are for all the least counts.
    let class = classes
        .filter(fits)
        .min_by_key(|class| class["value"].as_i64());
    if class.is_none() && !wanted.is_empty() {
        return Err(format!("no PriorityClass with name {wanted} was found"));
    }
    let spec = &mut pod["spec"];
    let value = class.map_or(0, |class| class["value"].as_i64().unwrap_or_default());
    let policy = class.map(|class| text(class, "/preemptionPolicy").to_owned());
    let policy = policy.filter(|policy| !policy.is_empty());
    if wanted.is_empty()
        && let Some(class) = class
    {
        spec["priorityClassName"] = class["metadata"]["name"].clone();
    }
    let told = spec["priority"].as_i64();
    if told.is_some_and(|told| told != value && !(wanted.is_empty() && told == 0)) {
        return Err(format!(
            "the integer value of priority ({}) must not be provided in pod spec; priority admission controller computed {value} from the given PriorityClass name",
            told.unwrap_or_default()
        ));
    }
    spec["priority"] = json!(value);
    spec["preemptionPolicy"] = json!(policy.as_deref().unwrap_or("PreemptLowerPriority"));
    Ok(())
}

/// Gives a claim that says nothing of its storage class the one that is for all.
pub(crate) fn give_storage<'a>(claim: &mut Value, classes: impl Iterator<Item = &'a Value>) {
    let older = claim["metadata"]["annotations"].get("volume.beta.kubernetes.io/storage-class");
    if !claim["spec"]["storageClassName"].is_null() || older.is_some() {
        return;
    }
    let is_usual = |class: &&Value| {
        let usual = |key: &str| class["metadata"]["annotations"][key] == "true";
        usual("storageclass.kubernetes.io/is-default-class")
            || usual("storageclass.beta.kubernetes.io/is-default-class")
    };
    // Of several the newest counts.
    let usual = classes
        .filter(is_usual)
        .max_by_key(|class| text(class, "/metadata/creationTimestamp"));
    if let Some(class) = usual {
        claim["spec"]["storageClassName"] = class["metadata"]["name"].clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn priority(spec: &Value, classes: &[Value]) -> Result<Value, String> {
        let mut pod = json!({"spec": spec});
        give_priority(&mut pod, classes.iter())?;
        Ok(pod["spec"].take())
    }

    #[test]
    fn a_pod_has_the_priority_of_its_class() {
        let classes = [
            json!({"metadata": {"name": "high"}, "value": 9, "preemptionPolicy": "Never"}),
            json!({"metadata": {"name": "usual"}, "value": 3, "globalDefault": true}),
        ];
        let high = priority(&json!({"priorityClassName": "high"}), &classes).unwrap();
        assert_eq!(
            (&high["priority"], &high["preemptionPolicy"]),
            (&json!(9), &json!("Never"))
        );
        let usual = priority(&json!({"priority": 0}), &classes).unwrap();
        assert_eq!(
            (&usual["priority"], &usual["priorityClassName"]),
            (&json!(3), &json!("usual"))
        );
        assert_eq!(priority(&json!({}), &[]).unwrap()["priority"], 0);
        let missing = priority(&json!({"priorityClassName": "no"}), &classes);
        assert_eq!(
            missing.unwrap_err(),
            "no PriorityClass with name no was found"
        );
        assert!(
            priority(
                &json!({"priorityClassName": "high", "priority": 5}),
                &classes
            )
            .is_err()
        );
    }

    #[test]
    fn a_claim_that_says_nothing_has_the_usual_storage() {
        let usual = json!({"metadata": {"name": "s", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}});
        let mut claim = json!({"spec": {}});
        give_storage(&mut claim, [&usual].into_iter());
        assert_eq!(claim["spec"]["storageClassName"], "s");
        let mut none = json!({"spec": {"storageClassName": ""}});
        give_storage(&mut none, [&usual].into_iter());
        assert_eq!(none["spec"]["storageClassName"], "");
    }
}
