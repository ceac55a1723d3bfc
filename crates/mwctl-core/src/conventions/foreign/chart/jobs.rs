//! The cron jobs of a chart: services of their own that run the service's image at given times.

use super::super::super::node::{Node, Tree};
use super::super::container;
use super::super::{Said, plain, put, text};
use crate::name;

/// What of the service's own a run has no use for.
const WITHOUT: [&str; 6] = [
    "/container/ports",
    "/container/probes",
    "/helpers",
    "/develop",
    "/test",
    "/replicas",
];

/// The jobs that are on, each as keys over the service's.
pub(super) fn take(said: &mut Said, values: &Node) {
    let jobs = values.get("cronjobs").map(Node::entries);
    for job in jobs.unwrap_or_default() {
        let off = job.value.get("enabled").map(|it| &it.tree) == Some(&Tree::Bool(false));
        if off || !matches!(job.value.tree, Tree::Map(_)) {
            continue;
        }
        let (name, at) = (name::slug(&job.key), &job.at);
        let command = job.value.get("command").filter(|it| !it.items().is_empty());
        let (Some(name), Some(command)) = (name, command) else {
            let told = format!(
                "the cron job `{}` isn't taken over: it names no command",
                job.key
            );
            said.note(told, at);
            continue;
        };
        let mut keys = Node::empty(at.clone());
        let mut set = |pointer: &str, value: Node| put(&mut keys, pointer, value);
        set("/workload/kind", text("cronJob", at));
        set("/workload/retries", super::super::number(1, at));
        if let Some(schedule) = job.value.get("schedule").filter(|it| it.text().is_some()) {
            set("/workload/schedule", plain(schedule));
        }
        if let Some(node) = job.value.get("concurrency")
            && let Some(concurrency) = node.text()
        {
            set(
                "/workload/concurrency",
                text(concurrency.to_lowercase(), &node.at),
            );
        }
        if let Some(node) = job.value.get("activeDeadlineSeconds")
            && let Tree::Number(seconds) = &node.tree
        {
            set("/workload/deadline", text(format!("{seconds}s"), &node.at));
        }
        set("/container/command", plain(command));
        for pointer in WITHOUT {
            let tree = Tree::Null;
            set(
                pointer,
                Node {
                    at: at.clone(),
                    tree,
                },
            );
        }
        for (key, node) in ["requests", "limits"]
            .into_iter()
            .filter_map(|key| Some((key, job.value.pointer(&format!("/resources/{key}"))?)))
        {
            let mut own = Said::new("", "", at.clone());
            container::quantities(&mut own, &format!("/container/resources/{key}"), node);
            if let Some(taken) = own.keys.pointer(&format!("/container/resources/{key}")) {
                set(&format!("/container/resources/{key}"), taken.clone());
            }
            said.notes.append(&mut own.notes);
        }
        for key in ["volumes", "volumeMounts"] {
            if let Some(node) = job.value.get(key).filter(|it| !it.items().is_empty()) {
                let told = format!("`{key}` of the cron job `{}` aren't taken over", job.key);
                said.note(told, &node.at);
            }
        }
        said.jobs.push((name, keys));
    }
}
