//! Converts and checks what makes a service's pods, their annotations, and patches.

use std::collections::BTreeMap;

use super::super::check::Check;
use super::super::node::escape;
use super::super::wire::{self, Scalar, WorkloadKind};
use crate::model::{Concurrency, Patch, Run, Workload};

/// The words that stand for a schedule.
const SCHEDULES: [&str; 7] = [
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
];

pub(super) fn workload(wire: wire::Workload, check: &mut Check<'_>) -> Workload {
    let ends = matches!(wire.kind, WorkloadKind::Job | WorkloadKind::CronJob);
    let stray = [
        (
            "schedule",
            wire.schedule.is_some() && wire.kind != WorkloadKind::CronJob,
        ),
        (
            "concurrency",
            wire.concurrency.is_some() && wire.kind != WorkloadKind::CronJob,
        ),
        ("retries", wire.retries.is_some() && !ends),
        ("deadline", wire.deadline.is_some() && !ends),
    ];
    for (key, _) in stray.into_iter().filter(|(_, stray)| *stray) {
        let message = format!("`{key}` means nothing for this kind of workload");
        let hint = match key {
            "retries" | "deadline" => "it belongs to a `job` or a `cronJob`",
            _ => "it belongs to a `cronJob`",
        };
        check.hinted(&format!("/workload/{key}"), message, Some(hint.to_owned()));
    }
    let retries = wire
        .retries
        .map_or(1, |it| check.number("/workload/retries", &it.0, 0, 100));
    let deadline_seconds = wire.deadline.map(|text| {
        let at = "/workload/deadline";
        super::container::seconds(at, &text, 1, check)
    });
    let run = Run {
        retries,
        deadline_seconds,
    };
    match wire.kind {
        WorkloadKind::Deployment => Workload::Deployment,
        WorkloadKind::StatefulSet => Workload::StatefulSet,
        WorkloadKind::DaemonSet => Workload::DaemonSet,
        WorkloadKind::Job => Workload::Job(run),
        WorkloadKind::CronJob => Workload::CronJob {
            schedule: schedule(wire.schedule, check),
            concurrency: match wire.concurrency {
                Some(wire::Concurrency::Allow) => Concurrency::Allow,
                Some(wire::Concurrency::Replace) => Concurrency::Replace,
                Some(wire::Concurrency::Forbid) | None => Concurrency::Forbid,
            },
            run,
        },
    }
}

fn schedule(text: Option<String>, check: &mut Check<'_>) -> String {
    let Some(text) = text else {
        return "@daily".to_owned();
    };
    let legal = |field: &str| {
        field
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "*/,-?".contains(c))
    };
    let fields: Vec<&str> = text.split_whitespace().collect();
    let is_one = SCHEDULES.contains(&text.as_str())
        || (fields.len() == 5 && fields.iter().all(|field| legal(field)));
    if !is_one {
        let hint =
            "five fields (minute, hour, day, month, weekday) such as `*/5 * * * *`, or `@daily`";
        let message = format!("`{text}` isn't a schedule");
        check.hinted("/workload/schedule", message, Some(hint.to_owned()));
    }
    text
}

pub(super) fn annotations(
    at: &str,
    wire: &BTreeMap<String, Scalar>,
    check: &mut Check<'_>,
) -> BTreeMap<String, String> {
    for key in wire.keys() {
        let name = key.split_once('/').map_or(key.as_str(), |(_, name)| name);
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 63 || !name.chars().all(legal) {
            let message = format!("`{key}` can't be an annotation's name");
            let hint = Some("such as `example.org/owner`".to_owned());
            check.hinted(&format!("{at}/{}", escape(key)), message, hint);
        }
    }
    let pairs = wire
        .iter()
        .map(|(key, value)| (key.clone(), value.0.clone()));
    pairs.collect()
}

pub(super) fn patches(wire: Vec<wire::Patch>, check: &mut Check<'_>) -> Vec<Patch> {
    let mut patches = Vec::new();
    for (index, patch) in wire.into_iter().enumerate() {
        if !patch.merge.is_object() {
            check.fail(&format!("/patches/{index}/merge"), "`merge` must be a map");
        }
        patches.push(Patch {
            kind: patch.kind,
            name: patch.name,
            merge: patch.merge,
        });
    }
    patches
}
