//! `mwctl cluster`: finds, starts, stops and diagnoses local clusters.

use std::path::PathBuf;

use mwctl_core::cluster::{Choice, Context, EMBEDDED};
use serde::Serialize;

use crate::args::Cluster;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::ui::style::dim;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    #[serde(flatten)]
    context: Context,
    local: bool,
    running: bool,
    chosen: bool,
    /// The kubeconfig of a disposable cluster, which is no part of the user's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    kubeconfig: Option<PathBuf>,
}

pub(super) async fn run(run: &Invocation, arguments: &Cluster) -> Result<Exit, CommandError> {
    match arguments {
        Cluster::Create {
            name,
            disposable,
            ttl,
            persist,
        } => {
            let options = disposable::options(run, disposable, *ttl, *persist)?;
            disposable::create(run, name, options).await
        }
        Cluster::Delete { names } => disposable::delete(run, names).await,
        Cluster::Kubeconfig { name } => disposable::kubeconfig(run, name),
        Cluster::Run {
            disposable,
            command,
        } => disposable::with(run, disposable, command).await,
        Cluster::Serve {
            name,
            disposable,
            ttl,
            persist,
        } => {
            let options = disposable::options(run, disposable, *ttl, *persist)?;
            disposable::serve(run, name, options).await
        }
        Cluster::List => list(run).await,
        Cluster::Start {
            profile, allowed, ..
        } if profile == EMBEDDED => {
            disposable::allow(run, allowed)?;
            disposable::start_embedded(run)
                .await
                .map(|()| Exit::Success)
        }
        Cluster::Start { allowed, .. } if !allowed.is_empty() => {
            let message = "`--host-port` and `--host-folder` are for the embedded cluster";
            Err(CommandError::usage(message)
                .hint("minikube has `minikube mount` and `host.minikube.internal`"))
        }
        Cluster::Start {
            profile, driver, ..
        } => minikube::start(run, profile, driver.as_deref()).await,
        Cluster::Stop { profile } => match run.disposable().find(profile) {
            Some(known) => disposable::stop(run, &known).await,
            None if run.disposable().keeps(profile) => {
                run.ui
                    .say(&format!("{profile} doesn't run; its objects are kept"));
                Ok(Exit::Success)
            }
            None => minikube::stop(run, profile).await,
        },
        Cluster::Diagnose { profile } => minikube::diagnose(run, profile).await,
    }
}

mod disposable;
mod minikube;

pub(crate) use disposable::{end_other_version, start_embedded};

async fn list(run: &Invocation) -> Result<Exit, CommandError> {
    let found = run.clusters().await?;
    let chosen = match run.choose(&found) {
        Ok(Choice::Context(context, _)) => Some(context.name),
        _ => None,
    };
    let mut rows: Vec<Row> = found
        .kubeconfig
        .contexts
        .iter()
        .map(|context| Row {
            local: context.kind.is_local(),
            running: found.running.contains(&context.name),
            chosen: chosen.as_ref() == Some(&context.name),
            context: context.clone(),
            kubeconfig: None,
        })
        .collect();
    for known in disposable::list(run)? {
        let own = run.clusters_of(&known.kubeconfig).await?;
        let others = own.kubeconfig.contexts.into_iter();
        let unknown = others.filter(|context| found.kubeconfig.context(&context.name).is_none());
        rows.extend(unknown.map(|context| Row {
            local: true,
            running: own.running.contains(&context.name),
            chosen: false,
            kubeconfig: Some(known.kubeconfig.clone()),
            context,
        }));
    }
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
        // Without a style: the table would count its bytes as columns.
        let mark = if row.chosen { " *" } else { "" };
        let name = format!("{}{mark}", row.context.name);
        table.add_row([&name, row.context.kind.label(), state, &row.context.server]);
    }
    format!("{}\n", table.trim_fmt())
}
