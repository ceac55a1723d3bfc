//! One step: what it does to the image in the making, and whether its layer is there already.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::accounts::Accounts;
use super::files::{Layer, absent_owner};
use super::state::{Inputs, State};
use super::{Explained, Shared, StepError, Told, passed_on};
use crate::digest::Digest;
use crate::plan::{Action, Owner, Stage, Step, expand};

/// What a slot had the last time. A slot is a step's place in its stage and folder.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Last {
    /// What the step was; nothing where that wasn't written down.
    #[serde(default)]
    pub step: String,
    pub inputs: BTreeMap<String, String>,
    pub layer: Option<Digest>,
    /// What was copied: path → content, mode and owner.
    pub files: BTreeMap<String, String>,
}

/// Where a step stands.
pub(super) struct Place<'a> {
    pub shared: &'a Shared<'a>,
    pub stage: &'a Stage,
    pub index: usize,
    /// Whether nothing is to be made.
    pub explains: bool,
}

/// How a step went.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Whether its layer was there; `None` where it makes none.
    pub cached: Option<bool>,
    pub why: Option<String>,
}

/// A step of which nothing is known.
pub(super) fn unknown(stage: &Stage, step: &Step, why: &str) -> Explained {
    let makes_a_layer = matches!(
        step.action,
        Action::Account { .. }
            | Action::Copy(_)
            | Action::File { .. }
            | Action::Folder { .. }
            | Action::Run(_)
    );
    Explained {
        stage: stage.name.clone(),
        line: step.line,
        step: step.action.to_string(),
        cached: makes_a_layer.then_some(false),
        why: makes_a_layer.then(|| why.to_owned()),
    }
}

impl Place<'_> {
    /// Carries a step out.
    pub(super) fn carry_out(&self, step: &Step, state: &mut State) -> Result<Outcome, StepError> {
        let expand = |state: &State, text: &str| {
            expand::dockerfile(text, &|name| state.variable(name)).map_err(StepError::Variable)
        };
        match &step.action {
            Action::Argument { name, default } => {
                let given = self.shared.build.arguments.get(name).cloned();
                let platform = crate::dockerfile::platform(crate::oci::architecture());
                let value = match (given, default) {
                    (Some(given), _) => Some(given),
                    (None, Some(default)) => Some(expand(state, default)?),
                    (None, None) => platform.get(name).cloned(),
                };
                if let Some(value) = value {
                    state.arguments.insert(name.clone(), value);
                }
            }
            Action::Environment(variables) => {
                let mut values = Vec::new();
                for (name, value) in variables {
                    values.push((name, expand(state, value)?));
                }
                for (name, value) in values {
                    state.set_environment(name, value);
                }
            }
            Action::User(user) => state.user = expand(state, user)?,
            Action::Directory { path, make } => {
                let path = expand(state, path)?;
                state.directory = state.absolute(&path);
                if *make && !is_folder(state) {
                    let path = state.directory.clone();
                    let owner = super::run::user(state)?;
                    return self.folder(state, step, &path, owner, owner);
                }
            }
            Action::Entrypoint(words) => {
                state.config.insert("Entrypoint".to_owned(), json!(words));
                // The base's arguments belong to the base's entrypoint.
                if !state.own_command {
                    state.config.remove("Cmd");
                }
            }
            Action::Command(words) => {
                state.own_command = true;
                if words.is_empty() {
                    state.config.remove("Cmd");
                } else {
                    state.config.insert("Cmd".to_owned(), json!(words));
                }
            }
            Action::Shell(words) => {
                state.config.insert("Shell".to_owned(), json!(words));
            }
            Action::Label { name, value } => {
                let (name, value) = (expand(state, name)?, expand(state, value)?);
                state.set_in("Labels", &name, json!(value));
            }
            Action::Port(port) => {
                for port in ports(&expand(state, port)?) {
                    state.set_in("ExposedPorts", &port, json!({}));
                }
            }
            Action::Volume(path) => {
                let path = expand(state, path)?;
                state.set_in("Volumes", &path, json!({}));
            }
            Action::StopSignal(signal) => {
                let signal = expand(state, signal)?;
                state.config.insert("StopSignal".to_owned(), json!(signal));
            }
            Action::Healthcheck(check) => {
                state.config.insert("Healthcheck".to_owned(), check.clone());
            }
            Action::Account { name, uid, gid } => {
                let (name, uid, gid) = (
                    expand(state, name)?,
                    expand(state, uid)?,
                    expand(state, gid)?,
                );
                return self.account(state, step, &name, &uid, &gid);
            }
            Action::Folder { path, owner } => {
                let path = expand(state, path)?;
                let owner = self::owner(state, owner)?;
                return self.folder(state, step, &path, owner, absent_owner());
            }
            Action::File { path, text } => {
                let mut inputs = Inputs::default();
                inputs.add("the file", format!("{path}\n{text}"));
                return self.layer(state, step, &inputs, None, |state, layer, _| {
                    layer.file(
                        &state.view(),
                        Path::new(path),
                        text.as_bytes(),
                        (0, 0),
                        0o644,
                    )
                });
            }
            Action::Run(run) => return self.run(state, step, run),
            Action::Copy(copy) => return self.copy(state, step, copy),
        }
        Ok(Outcome::default())
    }

    /// Makes a folder of an owner; those that lead to it and are new, too, belong to whom `above` names.
    fn folder(
        &self,
        state: &mut State,
        step: &Step,
        path: &str,
        owner: (u32, u32),
        above: (u32, u32),
    ) -> Result<Outcome, StepError> {
        let mut inputs = Inputs::default();
        inputs.add("the folder", format!("{path} {owner:?} {above:?}"));
        self.layer(state, step, &inputs, None, |state, layer, _| {
            let place = layer.folder(&state.view(), Path::new(path), above)?;
            layer.own(&place, owner)
        })
    }

    fn account(
        &self,
        state: &mut State,
        step: &Step,
        name: &str,
        uid: &str,
        gid: &str,
    ) -> Result<Outcome, StepError> {
        let known = Accounts::of(&state.view());
        let (accounts, is_new) = known.with(name, uid, gid);
        if accounts.passwd == known.passwd && accounts.group == known.group {
            return Ok(Outcome::default());
        }
        let mut inputs = Inputs::default();
        inputs.add("the base's users", accounts.passwd.clone());
        inputs.add("the base's groups", accounts.group.clone());
        self.layer(state, step, &inputs, None, |state, layer, _| {
            let view = state.view();
            let root = (0, 0);
            for (path, text) in [
                ("/etc/passwd", &accounts.passwd),
                ("/etc/group", &accounts.group),
            ] {
                layer.file(&view, Path::new(path), text.as_bytes(), root, 0o644)?;
            }
            if is_new {
                let owner = accounts.owner(uid, Some(gid))?;
                let home = format!("/home/{name}");
                let place = layer.folder(&view, Path::new(&home), absent_owner())?;
                layer.own(&place, owner)?;
            }
            Ok(())
        })
    }

    /// Tells what of a step is probably meant in another way.
    pub(super) fn warns(&self, step: &Step, what: &str) {
        let place = match step.line {
            Some(line) => format!("line {line}"),
            None => format!("`{}`: {}", self.stage.name, step.action),
        };
        (self.shared.build.report)(Told::Warns {
            what: format!("{place}: {what}"),
        });
    }

    /// Given by the user, and no part of a key.
    pub(super) fn passed_on(&self) -> BTreeMap<String, String> {
        let names = passed_on();
        let given = self.shared.build.arguments.iter();
        given
            .filter(|(name, _)| names.contains(name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    fn slot(&self) -> String {
        let place = format!(
            "{}\n{}\n{}",
            self.shared.local.root().display(),
            self.stage.name,
            self.index
        );
        Digest::of(place.as_bytes()).hex()[..24].to_owned()
    }

    /// Makes the step's layer, unless it is there.
    pub(super) fn layer(
        &self,
        state: &mut State,
        step: &Step,
        inputs: &Inputs,
        files: Option<BTreeMap<String, String>>,
        fill: impl FnOnce(&State, &mut Layer<'_>, &Last) -> Result<(), StepError>,
    ) -> Result<Outcome, StepError> {
        let store = self.shared.build.store;
        let key = inputs.key(&state.key);
        let text = step.action.to_string();
        if let Some(made) = store.step(&key)? {
            state.add(store, key, &made, text);
            return Ok(Outcome {
                cached: Some(true),
                why: None,
            });
        }
        let slot = self.slot();
        let last: Last = store.note_of("slots", &slot).unwrap_or_default();
        let mut now: BTreeMap<String, String> = inputs
            .0
            .iter()
            .map(|(what, value)| {
                (
                    what.clone(),
                    Digest::of(value.as_bytes()).short().to_owned(),
                )
            })
            .collect();
        now.insert("what comes before".to_owned(), state.key.clone());
        let files = files.unwrap_or_default();
        let why = why(&last, &text, &now, &files);
        if self.explains {
            return Ok(Outcome {
                cached: Some(false),
                why: Some(why),
            });
        }
        (self.shared.build.report)(Told::Begins {
            stage: self.stage.name.clone(),
            step: text.clone(),
            why: why.clone(),
        });
        let made = store.make_step::<StepError>(&key, |work| {
            let mut layer = Layer::new(work, store)?;
            fill(state, &mut layer, &last)?;
            layer.finish()
        })?;
        let note = Last {
            step: text.clone(),
            inputs: now,
            layer: Some(made.diff_id.clone()),
            files,
        };
        store.write_note("slots", &slot, &note)?;
        state.add(store, key, &made, text);
        Ok(Outcome {
            cached: Some(false),
            why: Some(why),
        })
    }
}

/// The ports that `EXPOSE` means by one word: one, or all of a range.
fn ports(word: &str) -> Vec<String> {
    let (numbers, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    let protocol = protocol.to_lowercase();
    let range = numbers
        .split_once('-')
        .and_then(|(first, last)| Some(first.parse::<u16>().ok()?..=last.parse().ok()?));
    match range {
        Some(range) => range.map(|port| format!("{port}/{protocol}")).collect(),
        None => vec![format!("{numbers}/{protocol}")],
    }
}

fn is_folder(state: &State) -> bool {
    let (_, found) = state.view().find(Path::new(&state.directory));
    matches!(found, crate::view::Found::Folder(_))
}

/// The ids of an owner whose names may be variables.
pub(super) fn owner(state: &State, owner: &Owner) -> Result<(u32, u32), StepError> {
    let expand = |text: &str| {
        expand::dockerfile(text, &|name| state.variable(name)).map_err(StepError::Variable)
    };
    let expand = |text: &str| {
        let name = expand(text)?;
        if name.is_empty() {
            let text = if text.is_empty() {
                "the owner's name is empty".to_owned()
            } else {
                format!("the owner `{text}` is empty: its variable isn't set, or says nothing")
            };
            return Err(StepError::Variable(text));
        }
        Ok(name)
    };
    let user = expand(&owner.user)?;
    let group = owner.group.as_deref().map(expand).transpose()?;
    let accounts = Accounts::of(&state.view());
    Ok(accounts.owner(&user, group.as_deref())?)
}

/// What a program of this step finds in its environment.
pub(super) fn variables(state: &State) -> BTreeMap<String, String> {
    let mut variables = state.arguments.clone();
    variables.extend(state.environment.iter().cloned());
    // What is made at no particular time can be made again.
    variables.insert("SOURCE_DATE_EPOCH".to_owned(), "0".to_owned());
    variables
}

/// Why a step isn't known, from what it had the last time.
fn why(
    last: &Last,
    step: &str,
    now: &BTreeMap<String, String>,
    files: &BTreeMap<String, String>,
) -> String {
    /// The longest step that is shown whole.
    const WIDTH: usize = 50;
    if last.inputs.is_empty() {
        return "it wasn't made here before".to_owned();
    }
    // Then nothing that went into it says more.
    if !last.step.is_empty() && last.step != step {
        let old = match last.step.char_indices().nth(WIDTH) {
            Some((end, _)) => format!("{}…", &last.step[..end]),
            None => last.step.clone(),
        };
        return format!("another step than last time: `{old}`");
    }
    let mut changed: Vec<String> = Vec::new();
    let paths = files.keys().chain(last.files.keys());
    let differing: std::collections::BTreeSet<&String> = paths
        .filter(|path| files.get(*path) != last.files.get(*path))
        .collect();
    if !differing.is_empty() {
        let shown: Vec<&str> = differing.iter().take(3).map(|path| path.as_str()).collect();
        let more = differing.len() - shown.len();
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        changed.push(format!("{}{more}", shown.join(", ")));
    }
    let names = now.keys().chain(last.inputs.keys());
    let names: std::collections::BTreeSet<&String> = names
        .filter(|name| now.get(*name) != last.inputs.get(*name))
        .collect();
    // Which files they are was told already.
    let told = !changed.is_empty();
    let others = names.into_iter().filter(|name| *name != "files" || !told);
    changed.extend(others.cloned());
    if changed.is_empty() {
        return "its layer was removed".to_owned();
    }
    format!("changed: {}", changed.join(", "))
}
