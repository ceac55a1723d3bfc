//! `.pipeline/config.yaml` of PipelineLib: which variants its pipelines build, run, publish and deploy.
//! Source: PipelineLib's schema, `pipelines.v0`.

use std::path::Path;

use super::super::node::{Node, Tree};
use super::super::reader;
use super::super::repository::Files;
use super::scalar;
use crate::problem::{Problem, Rule};

/// Where it is.
pub(crate) const FILE: &str = ".pipeline/config.yaml";

/// One pipeline.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    /// Its Blubber file, relative to the repository.
    pub(crate) blubber: String,
    pub(crate) stages: Vec<Stage>,
}

/// One stage, as far as a local run is concerned.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) name: String,
    /// The variant that it builds.
    pub(crate) variant: Option<Node>,
    /// Whether it runs what it built.
    pub(crate) runs: bool,
    /// What it gives the command that it runs.
    pub(crate) arguments: Vec<Node>,
    /// Whether what it built is published.
    pub(crate) publishes: bool,
}

/// Reads the pipelines in their order.
pub(crate) fn read(file: &Path, text: &str) -> Result<Vec<Pipeline>, Vec<Problem>> {
    let tree = reader::tree(file, text)?;
    let Some(pipelines) = tree.get("pipelines") else {
        let problem = Problem::new("`pipelines` is missing").rule(Rule::MissingKey);
        return Err(vec![problem.at(tree.at.location())]);
    };
    let mut problems = Vec::new();
    let mut all = Vec::new();
    for entry in pipelines.entries() {
        let own = entry.value.get("blubberfile").and_then(Node::text);
        let own = own.map_or_else(|| format!("{}/blubber.yaml", entry.key), ToOwned::to_owned);
        let mut stages = Vec::new();
        let listed = entry.value.get("stages");
        for stage in listed.map(Node::items).unwrap_or_default() {
            if let Some(stage) = self::stage(stage) {
                stages.push(stage);
            } else {
                let problem = Problem::new("a stage needs a `name`").rule(Rule::MissingKey);
                problems.push(problem.at(stage.at.location()));
            }
        }
        all.push(Pipeline {
            blubber: format!(".pipeline/{}", own.trim_start_matches("./")),
            stages,
        });
    }
    if problems.is_empty() {
        Ok(all)
    } else {
        Err(problems)
    }
}

fn stage(node: &Node) -> Option<Stage> {
    let name = node.get("name").and_then(Node::text)?.to_owned();
    let named = |variant: &Node| {
        // `${.stage}` is the stage's own name.
        let own = variant.text() == Some("${.stage}");
        if own {
            node.get("name").cloned()
        } else {
            Some(variant.clone())
        }
    };
    let alone = ![
        "build", "run", "copy", "publish", "promote", "deploy", "exports", "trigger",
    ]
    .iter()
    .any(|step| node.get(step).is_some());
    let variant = match node.get("build") {
        Some(build) => match &build.tree {
            Tree::Text(_) => named(build),
            _ => build
                .get("variant")
                .map_or_else(|| node.get("name").cloned(), named),
        },
        // A stage with only a name builds and runs the variant of that name.
        None if alone => node.get("name").cloned(),
        None => None,
    };
    let run = node.get("run");
    let runs = alone || run.is_some_and(|run| run.tree != Tree::Bool(false));
    let arguments = run.and_then(|run| run.get("arguments"));
    Some(Stage {
        name,
        variant,
        runs,
        arguments: arguments.map_or(Vec::new(), |it| it.items().to_vec()),
        publishes: node.get("publish").is_some(),
    })
}

/// Which variants the pipelines mean, and in which Blubber file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    pub(crate) blubber: Option<String>,
    pub(crate) production: Option<String>,
    pub(crate) test: Option<String>,
    pub(crate) test_arguments: Vec<Node>,
}

/// What the pipelines of a repository mean: production is what is published, test is what only runs.
pub(crate) fn choice(files: &Files<'_>) -> Choice {
    let Some(pipelines) = files.read_all(FILE, read) else {
        return Choice::default();
    };
    let mut choice = Choice::default();
    for pipeline in &pipelines {
        if choice.blubber.is_none() && files.text(&pipeline.blubber).is_some() {
            choice.blubber = Some(pipeline.blubber.clone());
        }
        for stage in &pipeline.stages {
            let variant = stage.variant.as_ref().and_then(scalar);
            if stage.publishes && choice.production.is_none() {
                choice.production.clone_from(&variant);
            }
            let tests = stage.runs && !stage.publishes && stage.name != "production";
            if tests && choice.test.is_none() {
                choice.test = variant;
                choice.test_arguments.clone_from(&stage.arguments);
            }
        }
    }
    choice
}
