//! `mwctl cluster`: finds, starts, stops and diagnoses local clusters.

use mwctl_core::cluster::{Choice, Context};
use serde::Serialize;

use crate::args::Cluster;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::ui::style::{dim, good};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    #[serde(flatten)]
    context: Context,
    local: bool,
    running: bool,
    chosen: bool,
}

pub(super) async fn run(run: &Invocation, arguments: &Cluster) -> Result<Exit, CommandError> {
    match arguments {
        Cluster::List => list(run).await,
        Cluster::Start { profile, driver } => {
            minikube::start(run, profile, driver.as_deref()).await
        }
        Cluster::Stop { profile } => minikube::stop(run, profile).await,
        Cluster::Diagnose { profile } => minikube::diagnose(run, profile).await,
    }
}

mod minikube;

async fn list(run: &Invocation) -> Result<Exit, CommandError> {
    let found = run.clusters().await?;
    let choice = found.choose(
        run.global.cluster.as_deref(),
        None,
        &run.global.allow_context,
    );
    let chosen = match choice {
        Ok(Choice::Context(context, _)) => Some(context.name),
        _ => None,
    };
    let rows: Vec<Row> = found
        .kubeconfig
        .contexts
        .iter()
        .map(|context| Row {
            local: context.kind.is_local(),
            running: found.running.contains(&context.name),
            chosen: chosen.as_ref() == Some(&context.name),
            context: context.clone(),
        })
        .collect();
    run.ui.answer(&rows, || text(&rows));
    Ok(Exit::Success)
}

fn text(rows: &[Row]) -> String {
    if rows.is_empty() {
        return format!("no contexts {}\n", dim("(the kubeconfig names none)"));
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["CONTEXT", "KIND", "STATE", "SERVER"]);
    for row in rows {
        let state = match (row.local, row.running) {
            (false, _) => "not local: needs --allow-context",
            (true, true) => "running",
            (true, false) => "doesn't answer",
        };
        let mark = if row.chosen {
            good(" *")
        } else {
            String::new()
        };
        let name = format!("{}{mark}", row.context.name);
        table.add_row([&name, row.context.kind.label(), state, &row.context.server]);
    }
    format!("{}\n", table.trim_fmt())
}
