//! Dockerfiles: the part of the language that services use → a [`Plan`].
//!
//! `lines` cuts the text into instructions, `words` cuts an instruction, `instruction` says what
//! it means. What isn't understood is refused by name and line, with the engine that can; nothing
//! is left out silently.

mod instruction;
mod lines;
mod platform;
mod stages;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use self::lines::Line;
use self::stages::Name;
use crate::plan::{Base, Plan, Problem, Stage, expand};

pub(crate) use self::instruction::foreign;
pub(crate) use self::platform::known as platform;
pub(crate) use self::words::ELSEWHERE;

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
    let mut stages = file.stages.iter();
    let by_name = stages.find(|stage| stage.name.eq_ignore_ascii_case(&target));
    let by_number = target.parse::<usize>().ok();
    let found = by_name.or_else(|| file.stages.get(by_number?));
    if let Some(stage) = found {
        // A stage needs earlier ones only, so that there is a plan.
        let mut plan = Plan::of(&file.stages, &stage.name).unwrap_or_default();
        plan.declared = file.declared;
        return Ok(plan);
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
        ..Plan::default()
    }
}

struct File<'a> {
    /// While it is read, their names are their numbers.
    stages: Vec<Stage>,
    /// What the stages are called in the text, and on which line.
    names: Vec<Name>,
    /// Arguments before the first stage, which only `FROM` sees.
    global: BTreeMap<String, String>,
    arguments: &'a BTreeMap<String, String>,
    /// All that `ARG` names.
    declared: BTreeSet<String>,
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
            names: Vec::new(),
            global: BTreeMap::new(),
            arguments,
            declared: BTreeSet::new(),
            problems: Vec::new(),
            state: instruction::State::default(),
            states: BTreeMap::new(),
        };
        for line in &lines::read(text)? {
            file.add(line);
        }
        stages::name(&mut file.stages, &file.names);
        Ok(file)
    }

    fn add(&mut self, line: &Line) {
        if line.word == "ARG" {
            let named = words::arguments(line).unwrap_or_default();
            self.declared
                .extend(named.into_iter().map(|(name, _)| name));
        }
        let result = match line.word.as_str() {
            "FROM" => self.from(line),
            "ARG" if self.stages.is_empty() => self.global(line),
            _ if self.stages.is_empty() => {
                let message = format!("{} stands before the first `FROM`", line.word);
                Err(Problem::new(line.number, message))
            }
            _ => {
                let earlier = &self.names[..self.names.len().saturating_sub(1)];
                instruction::read(line, earlier, &self.global, &mut self.state).map(|steps| {
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

    /// What is known before the first stage also knows the platform.
    fn expand(&self, line: &Line, text: &str) -> Result<String, Problem> {
        let platform = platform::known(crate::oci::architecture());
        let value = |name: &str| {
            let given = || {
                self.arguments
                    .get(name)
                    .filter(|_| platform.contains_key(name))
            };
            let known = self.global.get(name).or_else(given);
            known.or_else(|| platform.get(name)).cloned()
        };
        expand::dockerfile(text, &value).map_err(|why| Problem::new(line.number, why))
    }

    /// Begins a stage, also where it is refused: what follows belongs to none before it.
    fn from(&mut self, line: &Line) -> Result<(), Problem> {
        if let Some(last) = self.stages.last() {
            let state = std::mem::take(&mut self.state);
            self.states.insert(last.name.clone(), state);
        }
        let (base, name, problem) = match self.base(line) {
            Ok((base, name)) => (base, name, self.platform(line).err()),
            Err(problem) => (Base::Scratch, None, Some(problem)),
        };
        if let Base::Stage(below) = &base {
            self.state = self.states.get(below).cloned().unwrap_or_default();
        }
        self.stages.push(Stage {
            name: self.stages.len().to_string(),
            base,
            steps: Vec::new(),
        });
        self.names.push(Name {
            text: name,
            line: line.number,
        });
        problem.map_or(Ok(()), Err)
    }

    /// Refuses a stage of another platform than the one that is built for, which is this machine's.
    fn platform(&self, line: &Line) -> Result<(), Problem> {
        let (flags, _) = words::flags(line)?;
        for (flag, given) in flags {
            let value = self.expand(line, &given)?;
            if flag == "platform" && value.is_empty() {
                let message = format!("the platform `{given}` is empty");
                let problem = Problem::new(line.number, message);
                return Err(problem.hint("give the argument a value: `--arg NAME=VALUE`"));
            }
            if flag != "platform" || !platform::is(&value, crate::oci::architecture()) {
                let message = format!("`FROM --{flag}={value}` isn't built here");
                return Err(words::refused(line, message));
            }
        }
        Ok(())
    }

    /// What a stage begins with, and its name.
    fn base(&self, line: &Line) -> Result<(Base, Option<String>), Problem> {
        let (_, rest) = words::flags(line)?;
        let words = words::plain(line, rest)?;
        let (image, name) = match words.as_slice() {
            [image] => (image, None),
            [image, keyword, name] if keyword.eq_ignore_ascii_case("as") => (image, Some(name)),
            _ => {
                let problem = Problem::new(line.number, "`FROM` takes an image");
                return Err(problem.hint("write `FROM IMAGE` or `FROM IMAGE AS NAME`"));
            }
        };
        if let Some(name) = name
            && !name.starts_with(|first: char| first.is_ascii_alphabetic())
        {
            let message = format!("a stage can't be called `{name}`");
            let problem = Problem::new(line.number, message);
            return Err(problem.hint("begin its name with a letter: numbers mean stages in order"));
        }
        let image = self.expand(line, image)?;
        if image.is_empty() {
            let problem = Problem::new(line.number, "the name of the base is empty");
            return Err(problem.hint("give the argument a value: `--arg NAME=VALUE`"));
        }
        let base = match stages::called(&self.names, &image) {
            _ if image == "scratch" => Base::Scratch,
            Some(number) => Base::Stage(number.to_string()),
            None => Base::Image(image),
        };
        Ok((base, name.cloned()))
    }
}

#[cfg(test)]
mod tests;
