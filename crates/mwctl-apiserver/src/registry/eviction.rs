//! Evictions: deletions of pods that disruption budgets must allow. How much a budget allows is its controller's to say; here it is spent.

use super::subresource::selector;
use super::{DeleteOptions, Deleted, Registry, Target, WriteOptions, stamp, text};
use crate::access::User;
use crate::selector::LabelSelector;
use crate::status::{Cause, Status};
use crate::storage::{GroupResource, Object, Query};
use serde_json::{Value, json};
use std::sync::Arc;

const VIOLATED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

/// What an eviction comes to.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// No budget has anything to say.
    Allowed,
    /// The budget of this name allows it, and one less afterwards.
    Spends(String),
    /// It is refused.
    Refused(Status),
}

impl Registry {
    /// Deletes a pod as its eviction asks, if its disruption budget allows it.
    pub fn evict(
        &self,
        target: &Target,
        eviction: &Value,
        options: &WriteOptions,
        user: &User,
    ) -> Result<Deleted, Status> {
        let pod = self.get(target)?;
        self.admit(
            target,
            Some(user),
            "create",
            Some(eviction),
            Some(pod.value()),
        )?;
        let mut deletion = match &eviction["deleteOptions"] {
            Value::Null => DeleteOptions::default(),
            options => DeleteOptions::parse(options)?,
        };
        deletion.dry_run |= options.dry_run;
        let pods = Target {
            subresource: String::new(),
            ..target.clone()
        };
        deletion.preconditions.hold(&pods, &pod)?;
        match verdict(pod.value(), &self.budgets(&target.namespace)) {
            Verdict::Allowed => {}
            Verdict::Refused(refusal) => return Err(refusal),
            Verdict::Spends(name) => {
                self.spend(&target.namespace, &name, pod.name(), deletion.dry_run)?;
            }
        }
        self.delete(&pods, &deletion)
    }

    fn budgets(&self, namespace: &str) -> Vec<Arc<Object>> {
        let query = Query {
            namespace: Some(namespace),
            ..Query::all()
        };
        let budgets = GroupResource::new("policy", "poddisruptionbudgets");
        let page = self.store.list(&budgets, &query);
        page.map(|page| page.objects).unwrap_or_default()
    }

    /// Notes in a budget that this pod goes.
    fn spend(&self, namespace: &str, name: &str, pod: &str, dry_run: bool) -> Result<(), Status> {
        let budgets = self.resource("policy", "v1", "poddisruptionbudgets");
        let target = Target {
            resource: budgets.ok_or_else(|| Status::internal("there are no budgets"))?,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: "status".to_owned(),
        };
        let options = WriteOptions {
            manager: "mwctl".to_owned(),
            dry_run,
            ..WriteOptions::default()
        };
        self.edit(&target, &options, |budget| {
            // Somebody else may have spent it meanwhile.
            if let Some(refusal) = refusal(budget) {
                return Err(refusal);
            }
            let allowed = number(budget, "disruptionsAllowed");
            budget["status"]["disruptionsAllowed"] = json!(allowed - 1);
            budget["status"]["disruptedPods"][pod] = json!(stamp::now());
            Ok(())
        })?;
        Ok(())
    }
}

/// Whether a pod may go, by the budgets of its namespace.
fn verdict(pod: &Value, budgets: &[Arc<Object>]) -> Verdict {
    let running = text(pod, "/status/phase") == "Running";
    let leaves = !text(pod, "/metadata/deletionTimestamp").is_empty();
    if !running || leaves {
        return Verdict::Allowed;
    }
    let labels = pod.pointer("/metadata/labels").and_then(Value::as_object);
    let mut covering = budgets
        .iter()
        .map(|budget| budget.value())
        .filter(|budget| {
            let wanted = &budget["spec"]["selector"];
            // Nothing said selects nothing, and nothing asked for selects everything.
            let selector = LabelSelector::parse(&selector(wanted)).ok();
            !wanted.is_null() && selector.is_some_and(|selector| selector.matches(labels))
        });
    let Some(budget) = covering.next() else {
        return Verdict::Allowed;
    };
    if covering.next().is_some() {
        let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        return Verdict::Refused(Status::internal(message));
    }
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    if !ready {
        let (healthy, wanted) = (
            number(budget, "currentHealthy"),
            number(budget, "desiredHealthy"),
        );
        let always = text(budget, "/spec/unhealthyPodEvictionPolicy") == "AlwaysAllow";
        if always || healthy >= wanted && wanted > 0 {
            return Verdict::Allowed;
        }
    }
    match refusal(budget) {
        Some(refusal) => Verdict::Refused(refusal),
        None => Verdict::Spends(text(budget, "/metadata/name").to_owned()),
    }
}

/// Why a budget allows no disruption now.
fn refusal(budget: &Value) -> Option<Status> {
    let name = text(budget, "/metadata/name");
    let generation = budget["metadata"]["generation"]
        .as_i64()
        .unwrap_or_default();
    let refused = |message: &str, cause: String, retry: Option<u32>| {
        let mut status = Status::new(429, "TooManyRequests", message).because(vec![Cause {
            reason: "DisruptionBudget",
            message: cause,
            field: String::new(),
        }]);
        status.details.get_or_insert_default().retry_after_seconds = retry;
        Some(status)
    };
    if number(budget, "observedGeneration") < generation {
        let cause = format!("The disruption budget {name} is still being processed by the server.");
        return refused(VIOLATED, cause, Some(10));
    }
    if number(budget, "disruptionsAllowed") > 0 {
        return None;
    }
    let cause = format!(
        "The disruption budget {name} needs {} healthy pods and has {} currently",
        number(budget, "desiredHealthy"),
        number(budget, "currentHealthy")
    );
    refused(VIOLATED, cause, None)
}

fn number(budget: &Value, field: &str) -> i64 {
    budget["status"][field].as_i64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(selector: &Value, status: &Value) -> Arc<Object> {
        let mut budget = json!({"metadata": {"name": "b", "generation": 1}, "spec": {"selector": selector}, "status": {"observedGeneration": 1}});
        budget["status"]
            .as_object_mut()
            .unwrap()
            .extend(status.as_object().unwrap().clone());
        Arc::new(Object::unstored(budget))
    }

    fn pod(ready: &str) -> Value {
        json!({"metadata": {"labels": {"a": "b"}}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}})
    }

    #[test]
    fn a_budget_is_spent_until_nothing_is_left() {
        let one = budget(&json!({}), &json!({"disruptionsAllowed": 1}));
        assert_eq!(
            verdict(&pod("True"), &[one]),
            Verdict::Spends("b".to_owned())
        );
        let none = budget(
            &json!({"matchLabels": {"a": "b"}}),
            &json!({"desiredHealthy": 2, "currentHealthy": 2}),
        );
        let Verdict::Refused(refusal) = verdict(&pod("True"), std::slice::from_ref(&none)) else {
            panic!("nothing is left")
        };
        assert_eq!(refusal.code, 429);
        let cause = "The disruption budget b needs 2 healthy pods and has 2 currently";
        assert_eq!(refusal.details.unwrap().causes[0].message, cause);
        // One that is broken anyway may go while there are enough others.
        assert_eq!(verdict(&pod("False"), &[none]), Verdict::Allowed);
    }

    #[test]
    fn budgets_of_others_and_pods_that_do_not_run_are_free() {
        let others = budget(&json!({"matchLabels": {"a": "c"}}), &json!({}));
        assert_eq!(verdict(&pod("True"), &[others]), Verdict::Allowed);
        let mut pending = pod("True");
        pending["status"]["phase"] = json!("Pending");
        assert_eq!(
            verdict(&pending, &[budget(&json!({}), &json!({}))]),
            Verdict::Allowed
        );
        let nobodys = budget(&Value::Null, &json!({}));
        assert_eq!(verdict(&pod("True"), &[nobodys]), Verdict::Allowed);
    }

    #[test]
    fn a_budget_that_nobody_has_looked_at_allows_nothing_yet() {
        let new = budget(
            &json!({}),
            &json!({"observedGeneration": 0, "disruptionsAllowed": 5}),
        );
        let Verdict::Refused(refusal) = verdict(&pod("True"), &[new]) else {
            panic!("it is not known yet")
        };
        assert_eq!(refusal.details.unwrap().retry_after_seconds, Some(10));
    }
}
