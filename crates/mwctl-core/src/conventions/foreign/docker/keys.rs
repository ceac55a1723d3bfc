//! What a Dockerfile's last stage says, in our keys.

use super::super::super::repository::Files;
use super::super::{Said, Use, container, number, port, scalar, text};
use super::{Health, Stage, read};

const ABOUT: &str = "its image";

/// A repository's Dockerfile.
pub(crate) struct Found {
    name: &'static str,
    /// At least one.
    stages: Vec<Stage>,
}

/// Finds a repository's Dockerfile and reads it.
pub(crate) fn find(files: &Files<'_>) -> Option<Found> {
    let name = ["Dockerfile", "Containerfile"]
        .into_iter()
        .find(|name| files.text(name).is_some())?;
    let stages = files.read(name, read)?;
    (!stages.is_empty()).then_some(Found { name, stages })
}

/// What a repository's Dockerfile says about its service.
pub(crate) fn said(found: &Found, taken_for: Use) -> Said {
    let Found { name, stages } = found;
    let last = stages.len() - 1;
    match taken_for {
        Use::Base => keys(name, stages, last),
        Use::Image => whole(name, &stages[last]),
    }
}

/// What the last stage says where the image is built as the file says.
fn whole(file: &str, stage: &Stage) -> Said {
    let mut said = Said::new(file, ABOUT, stage.base.at.clone());
    said.set("/container/build/file", text(file, &stage.base.at));
    runs(&mut said, stage);
    around(&mut said, stage);
    said
}

/// Where it runs, what, and as whom.
fn runs(said: &mut Said, stage: &Stage) {
    if let Some(directory) = &stage.directory {
        said.set("/container/build/directory", directory.clone());
        said.set("/container/workingDirectory", directory.clone());
        said.fact("directory", directory.clone());
    }
    command(said, stage);
    user(said, stage);
}

/// What a stage says, in our keys.
pub(crate) fn keys(file: &str, stages: &[Stage], target: usize) -> Said {
    let stage = &stages[target];
    let mut said = Said::new(file, ABOUT, stage.base.at.clone());
    for (text, at) in &stage.left {
        said.note(text, at);
    }
    // The stage that the files are in: what runs is what lies beside them.
    let home = if stage.sources {
        Some(target)
    } else {
        let from = stage.copies_from.as_deref();
        from.and_then(|from| {
            let named = stages
                .iter()
                .position(|it| it.name.as_deref() == Some(from));
            named.or_else(|| from.parse().ok().filter(|index| *index < target))
        })
    };
    if let Some(home) = home.map(|index| root(stages, index)) {
        let base = &stages[home].base;
        match base.text() {
            Some("") => {}
            Some("scratch") => said.note("an empty base can't run the service's files", &base.at),
            _ => said.set("/container/build/base", base.clone()),
        }
    }
    let same = home == Some(target) && !stage.compiled;
    if same {
        runs(&mut said, stage);
    } else if let Some(node) = stage.entrypoint.as_ref().or(stage.command.as_ref()) {
        let text = "the command isn't taken: what it runs is made while the image is";
        said.note(text, &node.at);
    }
    around(&mut said, stage);
    said
}

/// Its variables, its port and its check.
fn around(said: &mut Said, stage: &Stage) {
    for (name, value) in &stage.environment {
        if name == "PORT"
            && let Some(number_of) = value.text().and_then(port)
        {
            said.fact("port", number(number_of, &value.at));
            continue;
        }
        let name = super::super::super::node::escape(name);
        said.set(&format!("/container/environment/{name}"), value.clone());
    }
    if let Some((node, number_of)) = stage
        .ports
        .iter()
        .find_map(|node| Some((node, port(node.text()?)?)))
    {
        said.facts.retain(|(name, _)| name != "port");
        said.fact("port", number(number_of, &node.at));
    }
    if let Some(health) = &stage.health {
        healthy(said, health);
    }
}

/// The first of the stages that a stage builds on.
fn root(stages: &[Stage], mut index: usize) -> usize {
    while let Some(parent) = stages[index].parent {
        index = parent;
    }
    index
}

fn command(said: &mut Said, stage: &Stage) {
    let both = [stage.entrypoint.as_ref(), stage.command.as_ref()];
    let mut parts = both.into_iter().flatten();
    let Some(first) = parts.next() else { return };
    let mut command = first.clone();
    if let super::super::super::node::Tree::List(items) = &mut command.tree {
        items.extend(parts.flat_map(|node| node.items().to_vec()));
    }
    said.set("/container/command", command);
}

fn user(said: &mut Said, stage: &Stage) {
    let Some(user) = &stage.user else { return };
    let named = user.text().unwrap_or_default();
    let number_of = named.split(':').next().unwrap_or_default().parse::<u32>();
    match number_of {
        Ok(0) => said.note(
            "the service doesn't run as root: production forbids it",
            &user.at,
        ),
        Ok(number_of) => said.set("/container/build/user", number(number_of, &user.at)),
        Err(_) if named == "root" => {
            said.note(
                "the service doesn't run as root: production forbids it",
                &user.at,
            );
        }
        Err(_) => {
            let text = format!("the user `{named}` has a number only inside the image");
            said.note(text, &user.at);
        }
    }
}

fn healthy(said: &mut Said, health: &Health) {
    let at = "/container/probes/readiness";
    let words: Vec<String> = health.command.items().iter().filter_map(scalar).collect();
    container::health(said, at, &words, &health.command.at);
    for (name, value) in &health.options {
        let (key, least) = match name.as_str() {
            "interval" => ("period", 1),
            "timeout" => ("timeout", 1),
            "start-period" => ("initialDelay", 0),
            "retries" => {
                said.set(&format!("{at}/failureThreshold"), value.clone());
                continue;
            }
            _ => continue,
        };
        if let Some(seconds) = value.text().and_then(|it| container::seconds(it, least)) {
            said.set(&format!("{at}/{key}"), text(seconds, &value.at));
        }
    }
}
