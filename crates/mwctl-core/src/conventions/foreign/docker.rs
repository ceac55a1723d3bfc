//! A Dockerfile: its stages, and what the last one says about the container.
//!
//! What a `RUN` does can't be known. The two that conventions do themselves (installing the packages that
//! a lock file names) are passed over silently; each other one is told as left out.

use std::collections::BTreeMap;
use std::path::Path;

use parse_dockerfile::{Command, HealthcheckArguments, Instruction, Source, UnescapedString};

use super::super::node::{At, Node};
use super::super::reader::Offsets;
use super::{expand, list, text, words};
use crate::problem::{Problem, Rule};

mod keys;

pub(crate) use keys::{Found, find, said};

/// One stage, with the variables of its texts filled in.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) name: Option<String>,
    /// What it builds on: an image, or an earlier stage.
    pub(crate) base: Node,
    /// The earlier stage that it builds on.
    pub(crate) parent: Option<usize>,
    pub(crate) directory: Option<Node>,
    pub(crate) environment: Vec<(String, Node)>,
    pub(crate) user: Option<Node>,
    pub(crate) entrypoint: Option<Node>,
    pub(crate) command: Option<Node>,
    pub(crate) ports: Vec<Node>,
    pub(crate) health: Option<Health>,
    /// Whether files of the build context are copied into it.
    pub(crate) sources: bool,
    /// Whether what runs is compiled in it.
    pub(crate) compiled: bool,
    /// The first stage that files are copied from.
    pub(crate) copies_from: Option<String>,
    /// What isn't understood, or can't be done.
    pub(crate) left: Vec<(String, At)>,
}

/// A health check.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    pub(crate) command: Node,
    pub(crate) options: Vec<(String, Node)>,
}

/// Reads a Dockerfile into its stages, in their order.
pub(crate) fn read(file: &Path, text: &str) -> Result<Vec<Stage>, Problem> {
    let offsets = Offsets::new(file, text);
    let parsed = parse_dockerfile::parse(text).map_err(|error| {
        let mut at = offsets.line(error.line());
        at.column = error.column().max(1);
        at.length = 0;
        let said = error.to_string();
        let said = said
            .rsplit_once(" at line ")
            .map_or(&*said, |(said, _)| said);
        Problem::new(format!("not a valid Dockerfile: {said}"))
            .rule(Rule::Syntax)
            .at(at.location())
    })?;
    let mut global = BTreeMap::new();
    for argument in parsed.global_args() {
        for (name, value) in pairs(&argument.arguments.value) {
            let value =
                value.and_then(|it| expand::expand(&it, &|name| global.get(name).cloned()).ok());
            global.extend(value.map(|value| (name, value)));
        }
    }
    let mut stages: Vec<Stage> = Vec::new();
    for parsed in parsed.stages() {
        let mut reading = Reading::new(&offsets, &global, &stages, &parsed);
        for instruction in parsed.instructions {
            reading.instruction(instruction);
        }
        stages.push(reading.stage);
    }
    Ok(stages)
}

struct Reading<'a> {
    offsets: &'a Offsets,
    global: &'a BTreeMap<String, String>,
    arguments: BTreeMap<String, String>,
    stage: Stage,
}

impl<'a> Reading<'a> {
    fn new(
        offsets: &'a Offsets,
        global: &'a BTreeMap<String, String>,
        before: &[Stage],
        parsed: &parse_dockerfile::Stage<'_, '_>,
    ) -> Self {
        let at = offsets.at(&parsed.from.image.span);
        let image = expand::expand(&parsed.from.image.value, &|name| global.get(name).cloned());
        let mut left = Vec::new();
        let image = image.unwrap_or_else(|name| {
            left.push((
                format!("the base needs the build argument `{name}`"),
                at.clone(),
            ));
            String::new()
        });
        let parent = before.iter().position(|stage| {
            stage
                .name
                .as_deref()
                .is_some_and(|it| it.eq_ignore_ascii_case(&image))
        });
        // A stage begins with what the one it builds on has.
        let inherited = parent.map(|index| before[index].clone());
        let name = parsed
            .from
            .as_
            .as_ref()
            .map(|(_, name)| name.value.to_string());
        let base = text(image, &at);
        let stage = match inherited {
            Some(inherited) => Stage {
                name,
                base,
                parent,
                left,
                ..inherited
            },
            None => Stage {
                name,
                base,
                parent: None,
                directory: None,
                environment: Vec::new(),
                user: None,
                entrypoint: None,
                command: None,
                ports: Vec::new(),
                health: None,
                sources: false,
                compiled: false,
                copies_from: None,
                left,
            },
        };
        Self {
            offsets,
            global,
            arguments: BTreeMap::new(),
            stage,
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        let environment = self.stage.environment.iter().rev();
        let set = environment.filter(|(other, _)| other == name);
        let mut set = set.filter_map(|(_, node)| node.text().map(ToOwned::to_owned));
        set.next().or_else(|| self.arguments.get(name).cloned())
    }

    /// A text with its variables; one that nobody gives stays as it is, and is told.
    fn expanded(&mut self, value: &str, at: &At) -> String {
        match expand::expand(value, &|name| self.value(name)) {
            Ok(text) => text,
            Err(name) => {
                let told = format!("`{name}` has no value");
                self.stage.left.push((told, at.clone()));
                value.to_owned()
            }
        }
    }

    fn one(&mut self, value: &UnescapedString<'_>) -> Node {
        let at = self.offsets.at(&value.span);
        let value = self.expanded(&value.value, &at);
        text(value, &at)
    }

    fn command(&self, command: &Command<'_>) -> Node {
        match command {
            Command::Exec(parts) => {
                let parts_of = parts.value.iter().map(|part| part.value.to_string());
                list(parts_of, &self.offsets.at(&parts.span))
            }
            Command::Shell(line) => {
                let plain = line.value.replace("\\\n", " ").replace("\\\r\n", " ");
                list(words::command(plain.trim()), &self.offsets.at(&line.span))
            }
            _ => list([], &self.offsets.at(&(0..0))),
        }
    }

    fn instruction(&mut self, instruction: &Instruction<'_>) {
        match instruction {
            Instruction::Arg(argument) => {
                for (name, value) in pairs(&argument.arguments.value) {
                    let at = self.offsets.at(&argument.arguments.span);
                    let value = match value {
                        Some(value) => Some(self.expanded(&value, &at)),
                        None => self.global.get(&name).cloned(),
                    };
                    self.arguments.extend(value.map(|value| (name, value)));
                }
            }
            Instruction::Env(variables) => {
                let at = self.offsets.at(&variables.arguments.span);
                for (name, value) in pairs(&variables.arguments.value) {
                    // A search path belongs to the image that it was made for.
                    if name.is_empty() || name == "PATH" {
                        continue;
                    }
                    let value = self.expanded(&value.unwrap_or_default(), &at);
                    let line = self.line_of(&variables.arguments, &name);
                    self.stage.environment.retain(|(other, _)| *other != name);
                    self.stage.environment.push((name, text(value, &line)));
                }
            }
            Instruction::Workdir(directory) => {
                let node = self.one(&directory.arguments);
                let path = node.text().unwrap_or_default();
                let before = self.stage.directory.as_ref().and_then(Node::text);
                let path = if path.starts_with('/') {
                    path.to_owned()
                } else {
                    format!(
                        "{}/{path}",
                        before.unwrap_or_default().trim_end_matches('/')
                    )
                };
                self.stage.directory = Some(text(path, &node.at));
            }
            Instruction::User(user) => self.stage.user = Some(self.one(&user.arguments)),
            Instruction::Cmd(command) => {
                self.stage.command = Some(self.command(&command.arguments));
            }
            Instruction::Entrypoint(entrypoint) => {
                self.stage.entrypoint = Some(self.command(&entrypoint.arguments));
                // As Docker does: what was inherited belongs to the entrypoint it was written for.
                self.stage.command = None;
            }
            Instruction::Expose(ports) => {
                for port in &ports.arguments {
                    let port = self.one(port);
                    self.stage.ports.push(port);
                }
            }
            Instruction::Healthcheck(check) => self.stage.health = self.health(check),
            Instruction::Copy(copy) => {
                let from = copy.options.iter().find(|flag| flag.name.value == "from");
                let from = from.and_then(|flag| flag.value.as_ref());
                match from {
                    Some(from) => {
                        let first = self.stage.copies_from.is_none();
                        if first {
                            self.stage.copies_from = Some(from.value.to_string());
                        }
                    }
                    None if copy.src.iter().any(|it| matches!(it, Source::Path(_))) => {
                        self.stage.sources = true;
                    }
                    None => self.left("the file in", &instruction_span(instruction)),
                }
            }
            Instruction::Add(add) => {
                let remote = |source: &Source<'_>| match source {
                    Source::Path(path) => {
                        path.value.contains("://") || path.value.starts_with("git@")
                    }
                    _ => true,
                };
                if add.src.iter().any(remote) {
                    self.left("", &instruction_span(instruction));
                } else {
                    self.stage.sources = true;
                }
            }
            Instruction::Run(run) => {
                let text = match &run.arguments {
                    Command::Shell(line) => line.value.to_owned(),
                    Command::Exec(parts) => {
                        let parts = parts.value.iter().map(|part| &*part.value);
                        parts.collect::<Vec<_>>().join(" ")
                    }
                    _ => String::new(),
                };
                self.stage.compiled |= ["go build", "cargo build", "go install", "cargo install"]
                    .iter()
                    .any(|compiler| text.contains(compiler));
                if !installs(&text) {
                    self.left("", &instruction_span(instruction));
                }
            }
            Instruction::Onbuild(_) | Instruction::Shell(_) | Instruction::Volume(_) => {
                self.left("", &instruction_span(instruction));
            }
            _ => {}
        }
    }

    fn left(&mut self, what: &str, span: &std::ops::Range<usize>) {
        let at = self.offsets.at(span);
        let line = at.source.text.lines().nth(at.line - 1).unwrap_or_default();
        let line: String = line
            .trim()
            .trim_end_matches('\\')
            .trim()
            .chars()
            .take(80)
            .collect();
        let what = if what.is_empty() {
            String::new()
        } else {
            format!("{what} ")
        };
        self.stage
            .left
            .push((format!("{what}`{line}` isn't carried out"), at));
    }

    /// The place of a variable among several of one instruction.
    fn line_of(&self, all: &UnescapedString<'_>, name: &str) -> At {
        let raw = self
            .offsets
            .source
            .text
            .get(all.span.clone())
            .unwrap_or_default();
        let start = raw.find(&format!("{name}=")).unwrap_or(0) + all.span.start;
        self.offsets.at(&(start..all.span.end))
    }

    fn health(&self, check: &parse_dockerfile::HealthcheckInstruction<'_>) -> Option<Health> {
        let HealthcheckArguments::Cmd { arguments, .. } = &check.arguments else {
            return None;
        };
        let options = check.options.iter().filter_map(|flag| {
            let value = flag.value.as_ref()?;
            let at = self.offsets.at(&value.span);
            Some((
                flag.name.value.to_string(),
                text(value.value.to_string(), &at),
            ))
        });
        Some(Health {
            command: self.command(arguments),
            options: options.collect(),
        })
    }
}

fn instruction_span(instruction: &Instruction<'_>) -> std::ops::Range<usize> {
    match instruction {
        Instruction::Run(it) => it.run.span.clone(),
        Instruction::Copy(it) => it.copy.span.clone(),
        Instruction::Add(it) => it.add.span.clone(),
        Instruction::Volume(it) => it.volume.span.clone(),
        Instruction::Shell(it) => it.shell.span.clone(),
        Instruction::Onbuild(it) => it.onbuild.span.clone(),
        _ => 0..0,
    }
}

/// Whether a command installs what the repository's own list of dependencies names, and does nothing
/// else: conventions do that.
fn installs(command: &str) -> bool {
    const INSTALLERS: [&str; 13] = [
        "npm ci",
        "npm install",
        "npm i",
        "yarn install",
        "yarn",
        "pnpm install",
        "corepack enable",
        "pip install -r",
        "pip install --no-cache-dir -r",
        "composer install",
        "go mod download",
        "go build",
        "cargo build",
    ];
    let plain = command.replace("\\\n", " ");
    plain.split("&&").map(str::trim).all(|part| {
        let begins = |known: &&str| {
            part.strip_prefix(*known)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        let words: Vec<&str> = part.split_whitespace().collect();
        // `npm install -g pm2` brings something that the repository doesn't list.
        let others = words.iter().skip(2).any(|word| !word.starts_with('-'));
        let npm = words
            .first()
            .is_some_and(|it| ["npm", "yarn", "pnpm"].contains(it));
        let global = words.iter().any(|word| matches!(*word, "-g" | "--global"));
        INSTALLERS.iter().any(begins) && !(npm && (others || global))
    })
}

/// `A=1 B="x y" C`, or the old form `A some text`.
fn pairs(text: &str) -> Vec<(String, Option<String>)> {
    let first = text.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let mut halves = text.trim().splitn(2, char::is_whitespace);
        let name = halves.next().unwrap_or_default().to_owned();
        return vec![(name, halves.next().map(|it| it.trim().to_owned()))];
    }
    let mut pairs = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    let finish = |word: &mut String, pairs: &mut Vec<_>| {
        if !word.is_empty() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word.clone(), None),
            };
            pairs.push((name, value));
            word.clear();
        }
    };
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('\\', Some('"') | None) => match chars.next() {
                Some('$') => word.push_str("\\$"),
                Some('\n') | None => {}
                Some(next) => word.push(next),
            },
            (c, None) if c.is_whitespace() => finish(&mut word, &mut pairs),
            (c, _) => word.push(c),
        }
    }
    finish(&mut word, &mut pairs);
    pairs
}
