//! The cells of pods: a status made of everything its containers say, and how often and when they were started anew.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Shown, age, items, number, or_none, text};

/// The cell of a column.
pub(super) fn cell(column: &str, shown: Shown<'_>) -> Option<Value> {
    let pod = shown.object;
    Some(match column {
        "Ready" => {
            let summary = Summary::of(pod);
            json!(format!("{}/{}", summary.ready, summary.total))
        }
        "Status" => json!(Summary::of(pod).status),
        "Restarts" => json!(Summary::of(pod).restarts_text(shown.now)),
        "IP" => or_none(text(&pod["status"]["podIPs"][0]["ip"])),
        "Node" => or_none(text(&pod["spec"]["nodeName"])),
        "Nominated Node" => or_none(text(&pod["status"]["nominatedNodeName"])),
        "Readiness Gates" => gates(pod),
        _ => return None,
    })
}

/// What a row says of a pod that has ended.
pub(super) fn condition(pod: &Value) -> Option<Value> {
    match text(&pod["status"]["phase"]) {
        "Succeeded" => Some(
            json!({"type": "Completed", "status": "True", "reason": "Succeeded",
            "message": "The pod has completed successfully."}),
        ),
        "Failed" => Some(
            json!({"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."}),
        ),
        _ => None,
    }
}

fn gates(pod: &Value) -> Value {
    let gates = items(&pod["spec"]["readinessGates"]);
    let (mut total, mut open) = (0, 0);
    for gate in gates {
        total += 1;
        let mut conditions = items(&pod["status"]["conditions"]);
        let met = conditions.any(|condition| {
            condition["type"] == gate["conditionType"] && condition["status"] == "True"
        });
        open += i32::from(met);
    }
    if total == 0 {
        json!("<none>")
    } else {
        json!(format!("{open}/{total}"))
    }
}

/// A pod in a few words.
#[derive(Debug)]
struct Summary {
    status: String,
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

impl Summary {
    fn of(pod: &Value) -> Self {
        let (spec, status) = (&pod["spec"], &pod["status"]);
        let mut summary = Self {
            status: initial(pod),
            ready: 0,
            total: items(&spec["containers"]).count(),
            restarts: 0,
            last_restart: None,
        };
        let initializing = summary.initializers(spec, status);
        if !initializing || has_condition(status, "Initialized") {
            summary.containers(status);
        }
        if !pod["metadata"]["deletionTimestamp"].is_null() {
            let lost = status["reason"] == "NodeLost";
            let ended = ["Succeeded", "Failed"].contains(&text(&status["phase"]));
            if lost {
                "Unknown".clone_into(&mut summary.status);
            } else if !ended {
                "Terminating".clone_into(&mut summary.status);
            }
        }
        summary
    }

    /// Looks at what runs first; whether that isn't over yet.
    fn initializers(&mut self, spec: &Value, status: &Value) -> bool {
        let all = items(&spec["initContainers"]).count();
        let is_sidecar = |name: &Value| {
            items(&spec["initContainers"]).any(|container| {
                container["name"] == *name && container["restartPolicy"] == "Always"
            })
        };
        self.total += items(&spec["initContainers"])
            .filter(|container| container["restartPolicy"] == "Always")
            .count();
        let (mut sidecar_restarts, mut sidecar_last) = (0, None);
        for (index, container) in items(&status["initContainerStatuses"]).enumerate() {
            let sidecar = is_sidecar(&container["name"]);
            self.count(container);
            if sidecar {
                sidecar_restarts += number(&container["restartCount"]);
                sidecar_last = sidecar_last.max(last_end(container));
            }
            let terminated = &container["state"]["terminated"];
            let waiting = text(&container["state"]["waiting"]["reason"]);
            if !terminated.is_null() && number(&terminated["exitCode"]) == 0 {
                continue;
            }
            if sidecar && container["started"] == true {
                self.ready += usize::from(container["ready"] == true);
                continue;
            }
            self.status = if !terminated.is_null() {
                format!("Init:{}", ending(terminated))
            } else if !waiting.is_empty() && waiting != "PodInitializing" {
                format!("Init:{waiting}")
            } else {
                format!("Init:{index}/{all}")
            };
            return true;
        }
        // Of those that have run, only the ones that go on count from here on.
        (self.restarts, self.last_restart) = (sidecar_restarts, sidecar_last);
        false
    }

    fn containers(&mut self, status: &Value) {
        let mut running = false;
        let statuses: Vec<&Value> = items(&status["containerStatuses"]).collect();
        for container in statuses.into_iter().rev() {
            self.count(container);
            let state = &container["state"];
            let waiting = text(&state["waiting"]["reason"]);
            if !waiting.is_empty() {
                waiting.clone_into(&mut self.status);
            } else if !state["terminated"].is_null() {
                self.status = ending(&state["terminated"]);
            } else if container["ready"] == true && !state["running"].is_null() {
                running = true;
                self.ready += 1;
            }
        }
        // A pod that goes on although something in it has ended.
        if self.status == "Completed" && running {
            let ready = has_condition(status, "Ready");
            if ready { "Running" } else { "NotReady" }.clone_into(&mut self.status);
        }
    }

    fn count(&mut self, container: &Value) {
        self.restarts += number(&container["restartCount"]);
        self.last_restart = self.last_restart.max(last_end(container));
    }

    fn restarts_text(&self, now: Timestamp) -> String {
        match self.last_restart {
            Some(then) if self.restarts > 0 => {
                let ago = age::of(now.as_second() - then.as_second());
                format!("{} ({ago} ago)", self.restarts)
            }
            _ => self.restarts.to_string(),
        }
    }
}

/// What the pod itself says.
fn initial(pod: &Value) -> String {
    let status = &pod["status"];
    let reason = text(&status["reason"]);
    if !reason.is_empty() {
        return reason.to_owned();
    }
    let gated = items(&status["conditions"]).any(|condition| {
        condition["type"] == "PodScheduled" && condition["reason"] == "SchedulingGated"
    });
    if gated {
        return "SchedulingGated".to_owned();
    }
    text(&status["phase"]).to_owned()
}

/// How a container ended.
fn ending(terminated: &Value) -> String {
    let reason = text(&terminated["reason"]);
    if !reason.is_empty() {
        reason.to_owned()
    } else if number(&terminated["signal"]) != 0 {
        format!("Signal:{}", number(&terminated["signal"]))
    } else {
        format!("ExitCode:{}", number(&terminated["exitCode"]))
    }
}

fn last_end(container: &Value) -> Option<Timestamp> {
    text(&container["lastState"]["terminated"]["finishedAt"])
        .parse()
        .ok()
}

fn has_condition(status: &Value, kind: &str) -> bool {
    items(&status["conditions"])
        .any(|condition| condition["type"] == kind && condition["status"] == "True")
}
