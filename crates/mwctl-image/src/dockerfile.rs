//! Dockerfiles: the part of the language that services use → a [`Plan`].
//!
//! `lines` cuts the text into instructions, `words` cuts an instruction, `instruction` says what
//! it means. What isn't understood is refused by name and line, with the engine that can; nothing
//! is left out silently.

mod instruction;
mod lines;
mod words;

use std::collections::BTreeMap;

use self::lines::Line;
use crate::plan::{Base, Plan, Problem, Stage, expand};

/// What the builder tells a file of this machine, when it asks with `ARG`.
pub fn platform(architecture: &str) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    for prefix in ["BUILD", "TARGET"] {
        known.insert(format!("{prefix}PLATFORM"), format!("linux/{architecture}"));
        known.insert(format!("{prefix}OS"), "linux".to_owned());
        known.insert(format!("{prefix}ARCH"), architecture.to_owned());
        known.insert(format!("{prefix}VARIANT"), String::new());
    }
    known
}

/// What building a stage of a file means; the last one where none is named.
///
/// `arguments` are those that the user gives: they may choose the base.
pub fn plan(
    text: &str,
    target: Option<&str>,
    arguments: &BTreeMap<String, String>,
) -> Result<Plan, Vec<Problem>> {
    let file = File::read(text, arguments).map_err(|problem| vec![problem])?;
    if !file.problems.is_empty() {
        return Err(file.problems);
    }
    let Some(last) = file.stages.last() else {
        return Err(vec![Problem::new(1, "the file has no `FROM`")]);
    };
    let target = target.unwrap_or(&last.name).to_owned();
    let names = || {
        let names: Vec<&str> = file.stages.iter().map(|it| it.name.as_str()).collect();
        names.join(", ")
    };
    let found = file
        .stages
        .iter()
        .find(|stage| stage.name.eq_ignore_ascii_case(&target));
    if let Some(stage) = found {
        // A stage needs earlier ones only, so that there is a plan.
        return Ok(Plan::of(&file.stages, &stage.name).unwrap_or_default());
    }
    let problem = Problem::new(0, format!("the file has no stage `{target}`"));
    Err(vec![problem.hint(format!("its stages are: {}", names()))])
}

/// The stages of a file as far as they are understood, for what another engine builds: a line that isn't
/// is left out.
pub(crate) fn outline(text: &str, arguments: &BTreeMap<String, String>) -> Plan {
    let stages = File::read(text, arguments).map(|file| file.stages);
    Plan {
        stages: stages.unwrap_or_default(),
    }
}

struct File<'a> {
    stages: Vec<Stage>,
    /// Arguments before the first stage, which only `FROM` sees.
    global: BTreeMap<String, String>,
    arguments: &'a BTreeMap<String, String>,
    problems: Vec<Problem>,
    state: instruction::State,
    /// What the stages before said to those upon them.
    states: BTreeMap<String, instruction::State>,
}

impl<'a> File<'a> {
    /// Reads all of it, also what comes after a problem.
    fn read(text: &str, arguments: &'a BTreeMap<String, String>) -> Result<Self, Problem> {
        let mut file = Self {
            stages: Vec::new(),
            global: BTreeMap::new(),
            arguments,
            problems: Vec::new(),
            state: instruction::State::default(),
            states: BTreeMap::new(),
        };
        for line in &lines::read(text)? {
            file.add(line);
        }
        Ok(file)
    }

    fn add(&mut self, line: &Line) {
        let result = match line.word.as_str() {
            "FROM" => self.from(line),
            "ARG" if self.stages.is_empty() => self.global(line),
            _ if self.stages.is_empty() => {
                let message = format!("{} stands before the first `FROM`", line.word);
                Err(Problem::new(line.number, message))
            }
            _ => {
                let earlier: Vec<String> =
                    self.stages.iter().map(|stage| stage.name.clone()).collect();
                instruction::read(line, &earlier, &self.global, &mut self.state).map(|steps| {
                    if let Some(stage) = self.stages.last_mut() {
                        stage.steps.extend(steps);
                    }
                })
            }
        };
        if let Err(problem) = result {
            self.problems.push(problem);
        }
    }

    fn global(&mut self, line: &Line) -> Result<(), Problem> {
        for (name, default) in words::arguments(line)? {
            let given = self.arguments.get(&name).cloned();
            let value = match (given, default) {
                (Some(given), _) => given,
                (None, Some(default)) => self.expand(line, &default)?,
                (None, None) => continue,
            };
            self.global.insert(name, value);
        }
        Ok(())
    }

    fn expand(&self, line: &Line, text: &str) -> Result<String, Problem> {
        let value = |name: &str| self.global.get(name).cloned();
        expand::dockerfile(text, &value).map_err(|why| Problem::new(line.number, why))
    }

    fn from(&mut self, line: &Line) -> Result<(), Problem> {
        let (flags, rest) = words::flags(line)?;
        if let Some((flag, value)) = flags.first() {
            let value = self.expand(line, value)?;
            let own = format!("linux/{}", crate::oci::architecture());
            if flag != "platform" || value != own {
                let message = format!("`FROM --{flag}={value}` isn't built here");
                return Err(words::refused(line, message));
            }
        }
        let words = words::plain(line, rest)?;
        let (image, name) = match words.as_slice() {
            [image] => (image, self.stages.len().to_string()),
            [image, keyword, name] if keyword.eq_ignore_ascii_case("as") => (image, name.clone()),
            _ => {
                let problem = Problem::new(line.number, "`FROM` takes an image");
                return Err(problem.hint("write `FROM IMAGE` or `FROM IMAGE AS NAME`"));
            }
        };
        let image = self.expand(line, image)?;
        if image.is_empty() {
            let problem = Problem::new(line.number, "the name of the base is empty");
            return Err(problem.hint("give the argument a value: `--arg NAME=VALUE`"));
        }
        let earlier = self.stages.iter().find(|stage| stage.name == image);
        let base = match earlier {
            _ if image == "scratch" => Base::Scratch,
            Some(stage) => Base::Stage(stage.name.clone()),
            None => Base::Image(image),
        };
        if let Some(last) = self.stages.last() {
            let state = std::mem::take(&mut self.state);
            self.states.insert(last.name.clone(), state);
        }
        if let Base::Stage(below) = &base {
            self.state = self.states.get(below).cloned().unwrap_or_default();
        }
        self.stages.push(Stage {
            name,
            base,
            steps: Vec::new(),
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
