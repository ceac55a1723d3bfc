//! What stages are called. Capitals don't count, and of several with one name the last one before a
//! reference is meant, as with `BuildKit`.

use std::collections::BTreeMap;

use crate::plan::{Action, Base, Mounted, Origin, Stage};

/// What a stage is called in the text.
pub(super) struct Name {
    /// `None` where it has only its number.
    pub text: Option<String>,
    /// Its line.
    pub line: usize,
}

/// The number of the stage that a name means.
pub(super) fn called(names: &[Name], name: &str) -> Option<usize> {
    let is = |it: &Name| (it.text.as_ref()).is_some_and(|text| text.eq_ignore_ascii_case(name));
    names.iter().rposition(is)
}

/// Calls stages, which had numbers so far, by their names; those that no name means any more by their lines, too.
pub(super) fn name(stages: &mut [Stage], names: &[Name]) {
    let name = |(number, name): (usize, &Name)| {
        let text = match &name.text {
            Some(text) if called(names, text) == Some(number) => text.clone(),
            Some(text) => format!("{text} (line {})", name.line),
            None => number.to_string(),
        };
        (number.to_string(), text)
    };
    let names: BTreeMap<String, String> = names.iter().enumerate().map(name).collect();
    let rename = |name: &mut String| {
        if let Some(text) = names.get(name) {
            name.clone_from(text);
        }
    };
    for stage in stages {
        rename(&mut stage.name);
        if let Base::Stage(name) = &mut stage.base {
            rename(name);
        }
        for step in &mut stage.steps {
            let origins: Vec<&mut Origin> = match &mut step.action {
                Action::Copy(copy) => vec![&mut copy.origin],
                Action::Run(run) => {
                    let mounts = run.mounts.iter_mut();
                    let files = mounts.filter_map(|mount| match &mut mount.what {
                        Mounted::Files { origin, .. } => Some(origin),
                        _ => None,
                    });
                    files.collect()
                }
                _ => continue,
            };
            for origin in origins {
                if let Origin::Stage(name) = origin {
                    rename(name);
                }
            }
        }
    }
}
