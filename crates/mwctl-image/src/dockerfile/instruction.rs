//! What each instruction of a stage means.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::lines::{self, Line};
use super::stages::{self, Name};
use super::words::{self, refused};
use crate::plan::{Action, Copy, Mount, Mounted, Network, Origin, Owner, Problem, Run, Step};

/// What instructions say to later ones of their stage.
#[derive(Clone, Debug)]
pub(super) struct State {
    shell: Vec<String>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            shell: vec!["/bin/sh".to_owned(), "-c".to_owned()],
        }
    }
}

/// Reads an instruction. `earlier` are the names of the stages before the one that it stands in.
pub(super) fn read(
    line: &Line,
    earlier: &[Name],
    global: &BTreeMap<String, String>,
    state: &mut State,
) -> Result<Vec<Step>, Problem> {
    let reader = Reader {
        line,
        earlier,
        global,
        shell: &state.shell,
    };
    let actions = match line.word.as_str() {
        "ARG" => reader.arguments()?,
        "ENV" => vec![Action::Environment(words::pairs(line)?)],
        "LABEL" => pairs(line, |name, value| Action::Label { name, value })?,
        "USER" => vec![Action::User(reader.one("a user")?)],
        "WORKDIR" => vec![Action::Directory {
            path: reader.one("a folder")?,
            make: true,
        }],
        "ENTRYPOINT" => vec![Action::Entrypoint(reader.command())],
        "CMD" => vec![Action::Command(reader.command())],
        "EXPOSE" => {
            let ports = words::plain(line, &line.rest)?;
            ports.into_iter().map(Action::Port).collect()
        }
        "VOLUME" => {
            let paths = match words::list(&line.rest) {
                Some(paths) => paths,
                None => words::plain(line, &line.rest)?,
            };
            paths.into_iter().map(Action::Volume).collect()
        }
        "STOPSIGNAL" => vec![Action::StopSignal(reader.one("a signal")?)],
        "SHELL" => {
            let shell = words::list(&line.rest).filter(|words| !words.is_empty());
            let wrong = || {
                let problem = Problem::new(line.number, "`SHELL` takes a list");
                problem.hint("write `SHELL [\"/bin/bash\", \"-c\"]`")
            };
            state.shell = shell.ok_or_else(wrong)?;
            vec![Action::Shell(state.shell.clone())]
        }
        "HEALTHCHECK" => vec![Action::Healthcheck(reader.healthcheck()?)],
        "RUN" => vec![Action::Run(reader.run()?)],
        "COPY" | "ADD" => vec![Action::Copy(reader.copy()?)],
        "MAINTAINER" => vec![Action::Label {
            name: "maintainer".to_owned(),
            value: line.rest.clone(),
        }],
        "ONBUILD" => return Err(refused(line, "`ONBUILD` isn't built here")),
        other => {
            let problem = Problem::new(line.number, format!("`{other}` is no instruction"));
            return Err(problem);
        }
    };
    let step = |action| Step {
        line: Some(line.number),
        action,
    };
    Ok(actions.into_iter().map(step).collect())
}

fn pairs(line: &Line, make: fn(String, String) -> Action) -> Result<Vec<Action>, Problem> {
    let pairs = words::pairs(line)?.into_iter();
    Ok(pairs.map(|(name, value)| make(name, value)).collect())
}

struct Reader<'a> {
    line: &'a Line,
    earlier: &'a [Name],
    global: &'a BTreeMap<String, String>,
    shell: &'a [String],
}

impl Reader<'_> {
    fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(self.line.number, message)
    }

    fn one(&self, what: &str) -> Result<String, Problem> {
        let words = words::plain(self.line, &self.line.rest)?;
        let [word] = words.as_slice() else {
            return Err(self.problem(format!("`{}` takes {what}", self.line.word)));
        };
        Ok(word.clone())
    }

    fn arguments(&self) -> Result<Vec<Action>, Problem> {
        let arguments = words::arguments(self.line)?.into_iter();
        let arguments = arguments.map(|(name, default)| {
            // Without a default it takes over what was said before the first stage.
            let default = default.or_else(|| self.global.get(&name).cloned());
            Action::Argument { name, default }
        });
        Ok(arguments.collect())
    }

    /// A list as it is, anything else through the shell.
    fn command(&self) -> Vec<String> {
        self.through_shell(&self.line.rest)
    }

    fn through_shell(&self, text: &str) -> Vec<String> {
        words::list(text).unwrap_or_else(|| {
            let command = std::iter::once(text.to_owned());
            self.shell.iter().cloned().chain(command).collect()
        })
    }

    fn healthcheck(&self) -> Result<Value, Problem> {
        let (flags, rest) = words::flags(self.line)?;
        if rest.eq_ignore_ascii_case("none") {
            return Ok(json!({"Test": ["NONE"]}));
        }
        let (word, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        if !word.eq_ignore_ascii_case("cmd") || command.trim().is_empty() {
            return Err(self.problem("`HEALTHCHECK` takes `CMD` and a command, or `NONE`"));
        }
        let command = command.trim();
        let test = match words::list(command) {
            Some(words) => std::iter::once("CMD".to_owned()).chain(words).collect(),
            None => vec!["CMD-SHELL".to_owned(), command.to_owned()],
        };
        let mut check = json!({ "Test": test });
        for (flag, value) in flags {
            let (key, value) = match flag.as_str() {
                "interval" => ("Interval", words::nanoseconds(self.line, &value)?),
                "timeout" => ("Timeout", words::nanoseconds(self.line, &value)?),
                "start-period" => ("StartPeriod", words::nanoseconds(self.line, &value)?),
                "start-interval" => ("StartInterval", words::nanoseconds(self.line, &value)?),
                "retries" => {
                    let wrong = |_| self.problem(format!("`{value}` is no number"));
                    ("Retries", value.parse().map_err(wrong)?)
                }
                other => {
                    let message = format!("`HEALTHCHECK --{other}` isn't known");
                    return Err(self.problem(message));
                }
            };
            check[key] = json!(value);
        }
        Ok(check)
    }

    fn heredoc(&self, text: &str) -> Result<(), Problem> {
        if !lines::texts(text).is_empty() {
            let message = format!(
                "`{} <<` (a text within the file) isn't built here",
                self.line.word
            );
            return Err(refused(self.line, message));
        }
        Ok(())
    }

    fn run(&self) -> Result<Run, Problem> {
        let (flags, rest) = words::flags(self.line)?;
        if rest.is_empty() {
            return Err(self.problem("`RUN` takes a command"));
        }
        self.heredoc(rest)?;
        let (mut mounts, mut network) = (Vec::new(), None);
        for (flag, value) in flags {
            match (flag.as_str(), value.as_str()) {
                ("mount", _) => mounts.push(self.mount(&value)?),
                ("network", "default") => network = None,
                ("network", "host") => network = Some(Network::Host),
                ("network", "none") => network = Some(Network::None),
                (flag, value) => {
                    let message = format!("`RUN --{flag}={value}` isn't built here");
                    return Err(refused(self.line, message));
                }
            }
        }
        Ok(Run {
            words: self.through_shell(rest),
            expand: false,
            script: None,
            mounts,
            network,
        })
    }

    fn mount(&self, text: &str) -> Result<Mount, Problem> {
        let mut fields = BTreeMap::new();
        for field in text.split(',') {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            let name = match name {
                "dst" | "destination" => "target",
                "src" => "source",
                other => other,
            };
            fields.insert(name, value.to_owned());
        }
        let kind = fields.remove("type").unwrap_or_else(|| "bind".to_owned());
        let target = fields.remove("target");
        let target = target.ok_or_else(|| self.problem("`RUN --mount` needs `target=`"))?;
        let what = match kind.as_str() {
            "cache" => {
                let sharing = fields.remove("sharing").unwrap_or_default();
                Mounted::Cache {
                    id: fields.remove("id"),
                    exclusive: sharing == "locked" || sharing == "private",
                }
            }
            "bind" => {
                let from = fields.remove("from");
                let source = fields.remove("source").unwrap_or_else(|| ".".to_owned());
                // Whether it may be written matters little: what is written is thrown away.
                for ignored in ["rw", "readwrite", "ro", "readonly"] {
                    fields.remove(ignored);
                }
                let origin = from.map_or(Origin::Local, |from| self.origin(&from));
                Mounted::Files { origin, source }
            }
            "tmpfs" => {
                fields.remove("size");
                Mounted::Memory
            }
            other => {
                let message = format!("`RUN --mount=type={other}` isn't built here");
                return Err(refused(self.line, message));
            }
        };
        if let Some((name, _)) = fields.first_key_value() {
            let message = format!("`RUN --mount=type={kind},{name}=` isn't built here");
            return Err(refused(self.line, message));
        }
        Ok(Mount { target, what })
    }

    /// A stage by name or number, or an image.
    fn origin(&self, from: &str) -> Origin {
        let by_number = from.parse::<usize>().ok();
        let by_number = by_number.filter(|number| *number < self.earlier.len());
        match stages::called(self.earlier, from).or(by_number) {
            Some(number) => Origin::Stage(number.to_string()),
            None => Origin::Image(from.to_owned()),
        }
    }

    fn copy(&self) -> Result<Copy, Problem> {
        let (flags, rest) = words::flags(self.line)?;
        self.heredoc(rest)?;
        let word = &self.line.word;
        let mut words = match words::list(rest) {
            Some(words) => words,
            None => words::plain(self.line, rest)?,
        };
        let destination = words.pop().filter(|_| !words.is_empty());
        let destination = destination
            .ok_or_else(|| self.problem(format!("`{word}` takes what is copied and where to")))?;
        let mut copy = Copy {
            origin: Origin::Local,
            sources: words,
            destination,
            // What comes from another image belongs to whom it belongs there.
            owner: None,
            mode: None,
            exclude: Vec::new(),
            unpacks: word == "ADD",
        };
        for (flag, value) in flags {
            match flag.as_str() {
                "from" if word == "COPY" => copy.origin = self.origin(&value),
                "chown" => copy.owner = Some(owner(&value)),
                "chmod" => {
                    let mode = u32::from_str_radix(&value, 8);
                    let wrong =
                        |_| refused(self.line, format!("`--chmod={value}` isn't built here"));
                    copy.mode = Some(mode.map_err(wrong)?);
                }
                "exclude" => copy.exclude.push(value),
                // Whether layers are linked is the builder's own business.
                "link" => {}
                other => {
                    let message = format!("`{word} --{other}` isn't built here");
                    return Err(refused(self.line, message));
                }
            }
        }
        if word == "ADD" {
            for source in &copy.sources {
                if let Some(what) = foreign(source) {
                    let message = format!("`ADD {source}` ({what}) isn't built here");
                    return Err(refused(self.line, message));
                }
            }
        }
        Ok(copy)
    }
}

/// What the name of something that is added says that it is, where that isn't built here. What is in a file may say so
/// later.
pub(crate) fn foreign(source: &str) -> Option<&'static str> {
    const PACKED: [&str; 6] = ["tar", "tgz", "tbz", "tbz2", "txz", "tzst"];
    if source.contains("://") || source.starts_with("git@") {
        return Some("a download");
    }
    let path = std::path::Path::new(source);
    let is = |path: &std::path::Path| {
        (path.extension()).is_some_and(|ending| PACKED.iter().any(|it| ending == *it))
    };
    let inner = path.file_stem().map(std::path::Path::new);
    (is(path) || inner.is_some_and(is)).then_some("an archive")
}

fn owner(text: &str) -> Owner {
    match text.split_once(':') {
        Some((user, group)) => Owner {
            user: user.to_owned(),
            group: Some(group.to_owned()),
        },
        None => Owner {
            user: text.to_owned(),
            group: None,
        },
    }
}
