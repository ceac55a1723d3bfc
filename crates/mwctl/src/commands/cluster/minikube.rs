//! Starting, stopping and diagnosing a minikube profile, with its own words as progress.

use std::fmt::Write as _;

use mwctl_core::minikube::{Event, Finding, StartOptions};
use mwctl_engine::cluster::minikube::{Minikube, MinikubeError};
use serde::Serialize;

use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::ui::style::{accent, bad, good};

/// The driver of a new profile where none is named: what nearly every installation has.
const USUAL_DRIVER: &str = "docker";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    what: String,
    cure: Option<String>,
}

fn failed(error: MinikubeError) -> CommandError {
    let hints = error.hints();
    CommandError {
        hints,
        ..CommandError::environment(error)
    }
}

fn tell(run: &Invocation, event: &Event) {
    match event {
        Event::Download { artifact } => {
            run.ui
                .events()
                .notice(None, format!("downloading {artifact}"));
        }
        Event::Step { message, .. } | Event::Warning { message } => {
            run.ui.events().notice(None, message.trim());
        }
        other => tracing::debug!("{other:?}"),
    }
}

pub(super) async fn start(
    run: &Invocation,
    profile: &str,
    driver: Option<&str>,
) -> Result<Exit, CommandError> {
    let minikube = Minikube::new(Invocation::runner(), run.minikube_home());
    let known = minikube.profile(profile).await.is_some();
    let driver = match driver {
        Some(driver) => Some(driver.to_owned()),
        // Its own choice would delete the profile and try another driver when the first fails.
        None => (!known).then(|| USUAL_DRIVER.to_owned()),
    };
    let options = StartOptions {
        driver,
        ..StartOptions::default()
    };
    let on_event = |event: &Event| tell(run, event);
    let starting = minikube.start(profile, &options, &on_event);
    tokio::select! {
        result = starting => result.map_err(failed)?,
        () = run.interrupt.finish.cancelled() => return Err(CommandError::interrupted()),
    }
    run.ui.say(&format!(
        "{profile} runs; {} deploys to it",
        accent("mwctl up")
    ));
    Ok(Exit::Success)
}

pub(super) async fn stop(run: &Invocation, profile: &str) -> Result<Exit, CommandError> {
    let minikube = Minikube::new(Invocation::runner(), run.minikube_home());
    if minikube.profile(profile).await.is_none() {
        let error = format!(
            "there is no cluster `{profile}` that can be stopped: no embedded one, and no profile of minikube"
        );
        return Err(CommandError::environment(error).hint("mwctl cluster list"));
    }
    minikube
        .stop(profile, &|event| tell(run, event))
        .await
        .map_err(failed)?;
    run.ui.say(&format!("{profile} is stopped"));
    Ok(Exit::Success)
}

pub(super) async fn diagnose(run: &Invocation, profile: &str) -> Result<Exit, CommandError> {
    let minikube = Minikube::new(Invocation::runner(), run.minikube_home());
    let findings = minikube.diagnose(profile, None).await;
    let rows: Vec<Row> = findings
        .into_iter()
        .map(|Finding { what, cure, .. }| Row { what, cure })
        .collect();
    let healthy = rows.iter().all(|row| row.cure.is_none());
    run.ui.answer(&rows, || text(&rows));
    Ok(if healthy {
        Exit::Success
    } else {
        Exit::Environment
    })
}

fn text(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let mark = if row.cure.is_some() {
            bad("✗")
        } else {
            good("✓")
        };
        let _infallible = writeln!(text, "{mark} {}", row.what);
        if let Some(cure) = &row.cure {
            let _infallible = writeln!(text, "  {} {cure}", accent("try:"));
        }
    }
    text
}
