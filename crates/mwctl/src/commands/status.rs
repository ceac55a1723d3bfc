//! `mwctl status`: what runs, in which form, and what is wrong with what doesn't.

use std::fmt::Write as _;

use futures::future::join_all;
use mwctl_core::manifest::{Form, workload_id};
use mwctl_core::model::{Service, Stack};
use mwctl_core::observed::{Cause, Observed, ObservedPod, Progress, diagnose, waits_for};
use mwctl_engine::kube::logs::last_lines;
use mwctl_engine::kube::{Cluster, observe};
use serde::Serialize;

use super::addresses;
use crate::args::Services;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::{Invocation, select, unreachable};
use crate::ui::log_line::readable;
use crate::ui::style::{accent, bad, dim, good};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    stack: String,
    namespace: String,
    context: String,
    services: Vec<Row>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    service: String,
    progress: Progress,
    form: Option<Form>,
    image: Option<String>,
    restarts: u32,
    pods: Vec<String>,
    /// Where it is reached from this machine, its own port first.
    urls: Vec<String>,
    cause: Option<Cause>,
}

pub(super) async fn run(run: &Invocation, arguments: &Services) -> Result<Exit, CommandError> {
    let workspace = run.workspace()?;
    let stack = &workspace.stack;
    let services = select(stack, &arguments.services)?;
    let cluster = run.connect(&stack.namespace).await?;
    let observed = observe::stack(&cluster, stack.name.as_str())
        .await
        .map_err(|error| unreachable(error, &cluster.context))?;
    let shown: Vec<&Service> = stack
        .services
        .values()
        .filter(|service| services.contains(&service.name))
        .collect();
    let deployed = shown.iter().copied();
    let deployed = deployed
        .filter(|service| observed.progress(&workload_id(stack, service)) != Progress::Missing);
    let mut urls = addresses::of(&cluster, stack, deployed).await;
    // Side by side: each service that isn't ready has its log read.
    let rows = shown.into_iter().map(|service| {
        let urls = urls.remove(&service.name).unwrap_or_default();
        row(&cluster, stack, service, &observed, urls)
    });
    let rows: Vec<Row> = join_all(rows).await;
    let healthy = rows.iter().all(|row| row.progress == Progress::Ready);
    let answer = Answer {
        stack: stack.name.to_string(),
        namespace: stack.namespace.clone(),
        context: cluster.context.clone(),
        services: rows,
    };
    run.ui.answer(&answer, || text(&answer));
    Ok(if healthy {
        Exit::Success
    } else {
        Exit::Failure
    })
}

async fn row(
    cluster: &Cluster,
    stack: &Stack,
    service: &Service,
    observed: &Observed,
    urls: Vec<String>,
) -> Row {
    let id = workload_id(stack, service);
    let pods: Vec<&ObservedPod> = observed
        .pods
        .iter()
        .filter(|pod| pod.service.as_ref() == Some(&service.name) && pod.form != Form::Test)
        .collect();
    let progress = observed.progress(&id);
    let mut cause = None;
    if progress != Progress::Ready {
        let lines = match pods.iter().find(|pod| !pod.ready) {
            Some(pod) => last_lines(cluster, pod).await,
            None => Vec::new(),
        };
        cause = diagnose(stack, service, &observed.pods, &observed.events, &lines)
            .or_else(|| waits_for(stack, service, observed));
    }
    let image = observed.objects.get(&id).and_then(|live| {
        live.pointer("/spec/template/spec/containers/0/image")?
            .as_str()
            .map(ToOwned::to_owned)
    });
    Row {
        service: service.name.to_string(),
        progress,
        form: observed.form(&id),
        image,
        restarts: pods
            .iter()
            .flat_map(|pod| &pod.containers)
            .map(|c| c.restarts)
            .sum(),
        pods: pods.iter().map(|pod| pod.name.clone()).collect(),
        urls,
        cause,
    }
}

fn text(answer: &Answer) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    let reached = answer.services.iter().any(|row| !row.urls.is_empty());
    let urls = if reached { Some("URL") } else { None };
    let header = ["SERVICE", "STATE", "FORM", "RESTARTS", "IMAGE"];
    table.set_header(header.into_iter().chain(urls));
    for row in &answer.services {
        let state = match row.progress {
            Progress::Ready => "ready",
            Progress::Started => "running",
            Progress::Starting => "starting",
            Progress::Missing => "not deployed",
        };
        let restarts = row.restarts.to_string();
        let urls = row.urls.join(" ");
        let cells = [
            row.service.as_str(),
            state,
            row.form.map_or("", Form::as_str),
            &restarts,
            row.image.as_deref().unwrap_or(""),
        ];
        table.add_row(cells.into_iter().chain(reached.then_some(urls.as_str())));
    }
    let place = format!("{} in {}", answer.namespace, answer.context);
    let mut text = format!("{} {}\n{}\n", answer.stack, dim(&place), table.trim_fmt());
    for row in &answer.services {
        let Some(cause) = &row.cause else { continue };
        let _infallible = writeln!(text, "\n{} {}", bad("error:"), cause.summary);
        for line in cause.detail.iter().flat_map(|line| readable(line)) {
            let _infallible = writeln!(text, "  {} {line}", dim("|"));
        }
        let _infallible = writeln!(text, "  {} {}", accent("try:"), cause.hint);
    }
    if answer
        .services
        .iter()
        .all(|row| row.progress == Progress::Ready)
    {
        let _infallible = writeln!(text, "{}", good("everything is ready"));
    }
    text
}
