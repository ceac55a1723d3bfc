//! Scenarios as feature files have them.

use std::path::Path;

use gherkin::{Feature, GherkinEnv};

use crate::step::Step;

/// One scenario, with its feature's background before it.
#[derive(Debug)]
pub(crate) struct Scenario {
    feature: String,
    name: String,
    pub(crate) steps: Vec<Step>,
}

impl Scenario {
    /// The file's name and its own, by which `differences` knows it.
    pub(crate) fn title(&self) -> String {
        format!("{}: {}", self.feature, self.name)
    }
}

/// All scenarios of a folder's files, in the order of their names.
pub(crate) fn all(folder: &Path) -> Vec<Scenario> {
    let entries =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|it| it == "feature"));
    files.sort();
    files.iter().flat_map(|file| read(file)).collect()
}

fn read(file: &Path) -> Vec<Scenario> {
    let feature = Feature::parse_path(file, GherkinEnv::default());
    let feature = feature.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let name = file.file_stem().unwrap().to_str().unwrap();
    let rules = feature.rules.iter().flat_map(|rule| &rule.scenarios);
    let before = feature.background.iter().flat_map(|it| &it.steps);
    let scenarios = feature.scenarios.iter().chain(rules).map(|scenario| {
        assert!(
            scenario.examples.is_empty(),
            "outlines aren't read: {}",
            scenario.name
        );
        let steps = before.clone().chain(&scenario.steps);
        let steps = steps.map(|step| {
            let rows = step.table.as_ref().map(|table| table.rows.clone());
            let step = Step::read(
                &step.value,
                step.docstring.as_deref(),
                &rows.unwrap_or_default(),
            );
            step.unwrap_or_else(|error| panic!("{name}: {}: {error}", scenario.name))
        });
        Scenario {
            feature: name.to_owned(),
            name: scenario.name.clone(),
            steps: steps.collect(),
        }
    });
    scenarios.collect()
}
