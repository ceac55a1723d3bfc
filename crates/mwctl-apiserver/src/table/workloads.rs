//! The cells of what makes pods.

use serde_json::{Value, json};

use super::{Shown, age, items, joined, labels, number, or_none, selector, text};

/// The cell of a column.
pub(super) fn cell(plural: &str, column: &str, shown: Shown<'_>) -> Option<Value> {
    let object = shown.object;
    let (spec, status) = (&object["spec"], &object["status"]);
    let template = match plural {
        "cronjobs" => &spec["jobTemplate"]["spec"]["template"],
        "podtemplates" => &object["template"],
        _ => &spec["template"],
    };
    let counts = |field: &str| json!(number(&status[field]));
    Some(match (plural, column) {
        (_, "Containers") => json!(joined(
            items(&template["spec"]["containers"]).map(|container| text(&container["name"]))
        )),
        (_, "Images") => json!(joined(
            items(&template["spec"]["containers"]).map(|container| text(&container["image"]))
        )),
        (_, "Pod Labels") => or_none(&labels(&template["metadata"]["labels"])),
        ("replicationcontrollers", "Selector") => or_none(&labels(&spec["selector"])),
        ("cronjobs", "Selector") => or_none(&selector(&spec["jobTemplate"]["spec"]["selector"])),
        (_, "Selector") => or_none(&selector(&spec["selector"])),
        ("deployments" | "statefulsets", "Ready") => {
            json!(format!(
                "{}/{}",
                number(&status["readyReplicas"]),
                number(&spec["replicas"])
            ))
        }
        ("deployments", "Up-to-date") => counts("updatedReplicas"),
        ("deployments", "Available") => counts("availableReplicas"),
        ("replicasets" | "replicationcontrollers", "Desired") => json!(number(&spec["replicas"])),
        ("replicasets" | "replicationcontrollers", "Current") => counts("replicas"),
        ("replicasets" | "replicationcontrollers", "Ready") => counts("readyReplicas"),
        ("daemonsets", "Desired") => counts("desiredNumberScheduled"),
        ("daemonsets", "Current") => counts("currentNumberScheduled"),
        ("daemonsets", "Ready") => counts("numberReady"),
        ("daemonsets", "Up-to-date") => counts("updatedNumberScheduled"),
        ("daemonsets", "Available") => counts("numberAvailable"),
        ("daemonsets", "Node Selector") => or_none(&labels(&template["spec"]["nodeSelector"])),
        ("jobs", _) => return job(column, shown),
        ("cronjobs", _) => return cron_job(column, shown),
        _ => return None,
    })
}

fn job(column: &str, shown: Shown<'_>) -> Option<Value> {
    let (spec, status) = (&shown.object["spec"], &shown.object["status"]);
    Some(match column {
        "Status" => {
            let has = |kind: &str| {
                items(&status["conditions"])
                    .any(|condition| condition["type"] == kind && condition["status"] == "True")
            };
            let known = [("Complete", "Complete"), ("Failed", "Failed")];
            let known = known
                .into_iter()
                .find(|(kind, _)| has(kind))
                .map(|(_, word)| word);
            let known = known.or_else(|| {
                (!shown.object["metadata"]["deletionTimestamp"].is_null()).then_some("Terminating")
            });
            let others = [
                ("Suspended", "Suspended"),
                ("FailureTarget", "FailureTarget"),
                ("SuccessCriteriaMet", "SuccessCriteriaMet"),
            ];
            let known = known.or_else(|| {
                others
                    .into_iter()
                    .find(|(kind, _)| has(kind))
                    .map(|(_, word)| word)
            });
            json!(known.unwrap_or("Running"))
        }
        "Completions" => {
            let done = number(&status["succeeded"]);
            let parallel = number(&spec["parallelism"]);
            json!(match spec["completions"].as_i64() {
                Some(wanted) => format!("{done}/{wanted}"),
                None if parallel > 1 => format!("{done}/1 of {parallel}"),
                None => format!("{done}/1"),
            })
        }
        "Duration" => {
            let start = &status["startTime"];
            let took = if start.is_null() {
                Some(String::new())
            } else if status["completionTime"].is_null() {
                Some(age::since(start, shown.now))
            } else {
                age::between(start, &status["completionTime"])
            };
            json!(took.unwrap_or_default())
        }
        _ => return None,
    })
}

fn cron_job(column: &str, shown: Shown<'_>) -> Option<Value> {
    let (spec, status) = (&shown.object["spec"], &shown.object["status"]);
    Some(match column {
        "Schedule" => spec["schedule"].clone(),
        "Timezone" => or_none(text(&spec["timeZone"])),
        "Suspend" => json!(if spec["suspend"] == true {
            "True"
        } else {
            "False"
        }),
        "Active" => json!(items(&status["active"]).count()),
        "Last Schedule" if status["lastScheduleTime"].is_null() => json!("<none>"),
        "Last Schedule" => json!(age::since(&status["lastScheduleTime"], shown.now)),
        _ => return None,
    })
}
