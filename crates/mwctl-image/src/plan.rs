//! What a build will do: stages of steps, from a text, before anything is read or run.
//!
//! A plan leaves variables in: their values are known when a step's turn comes, because a base
//! image brings some.

pub mod expand;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

/// All stages of a file, of which one is wanted.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Plan {
    /// The stages that the wanted one needs, each after those that it needs itself.
    pub stages: Vec<Stage>,
    /// The arguments that the file declares anywhere, as far as no step does. They make no other image.
    #[serde(skip)]
    pub declared: BTreeSet<String>,
}

/// An image in the making.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// What it begins with.
    pub base: Base,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// What a stage begins with.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub enum Base {
    /// Nothing at all.
    Scratch,
    /// An earlier stage.
    Stage(String),
    /// An image.
    Image(String),
}

/// Where files come from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub enum Origin {
    /// The folder that is built.
    Local,
    /// A stage.
    Stage(String),
    /// An image.
    Image(String),
}

/// One step.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Step {
    /// Its line in the file, where it has one.
    pub line: Option<usize>,
    /// What is done.
    pub action: Action,
}

/// What a step does.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub enum Action {
    /// Gives a variable that the image doesn't keep its value, unless the user does.
    Argument {
        /// Its name.
        name: String,
        /// Its value, where the user gives none; without any it isn't set.
        default: Option<String>,
    },
    /// Sets variables, all of them from what was set before.
    Environment(Vec<(String, String)>),
    /// Sets the user.
    User(String),
    /// Sets the directory, and makes it where `make` says so.
    Directory {
        /// The path, which may be relative to the directory before.
        path: String,
        /// Whether it is made.
        make: bool,
    },
    /// Sets what commands go through, for whoever builds upon the image.
    Shell(Vec<String>),
    /// Sets what is run.
    Entrypoint(Vec<String>),
    /// Sets the arguments of what is run.
    Command(Vec<String>),
    /// Sets a label.
    Label {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// Tells a port, as `80/tcp`.
    Port(String),
    /// Tells a folder that wants a volume.
    Volume(String),
    /// Sets the signal that ends it.
    StopSignal(String),
    /// Sets how its health is checked, as OCI writes it.
    Healthcheck(serde_json::Value),
    /// Makes an account, unless its ids have one.
    Account {
        /// Its name.
        name: String,
        /// Its user id.
        uid: String,
        /// Its group id.
        gid: String,
    },
    /// Makes a folder.
    Folder {
        /// Its path.
        path: String,
        /// Its owner.
        owner: Owner,
    },
    /// Writes a file.
    File {
        /// Its path.
        path: String,
        /// Its content.
        text: String,
    },
    /// Runs a program.
    Run(Run),
    /// Copies files.
    Copy(Copy),
}

/// The owner of files: a user and a group, by name or number.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Owner {
    /// The user.
    pub user: String,
    /// The group; the user's own id where none is named.
    pub group: Option<String>,
}

/// A program that is run.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Run {
    /// Program and arguments.
    pub words: Vec<String>,
    /// Whether variables in the words are replaced before, unknown ones by nothing.
    pub expand: bool,
    /// A program's text, which is run instead of words.
    pub script: Option<String>,
    /// What is mounted for it.
    pub mounts: Vec<Mount>,
    /// The network that it sees, where somebody says so; else the machine's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
}

/// The network that a program sees.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Network {
    /// The machine's.
    Host,
    /// One of its own, with the loopback alone.
    None,
    /// One of its own, with a proxy on its loopback that goes on from the machine's side, where that is allowed.
    Relay,
}

/// Something that is mounted for a program, and no part of the image.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Mount {
    /// Where.
    pub target: String,
    /// What.
    pub what: Mounted,
}

/// What is mounted.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub enum Mounted {
    /// A folder that is kept from build to build, by a name.
    Cache {
        /// The name; the target where there is none.
        id: Option<String>,
        /// Whether only one program may have it at a time.
        exclusive: bool,
    },
    /// Files of another origin. Changes are thrown away.
    Files {
        /// Where they are.
        origin: Origin,
        /// Which.
        source: String,
    },
    /// A folder in memory.
    Memory,
}

/// Files that are copied.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Copy {
    /// Where they are.
    pub origin: Origin,
    /// Which; patterns may be among them.
    pub sources: Vec<String>,
    /// Where they go; a folder where it ends with a slash.
    pub destination: String,
    /// Their owner; that of the origin where there is none.
    pub owner: Option<Owner>,
    /// Their mode, where it isn't the origin's.
    pub mode: Option<u32>,
    /// What is left out, in the form of `.dockerignore`.
    pub exclude: Vec<String>,
    /// Whether archives would be unpacked (`ADD`), which isn't done here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unpacks: bool,
}

impl From<Action> for Step {
    fn from(action: Action) -> Self {
        Self { line: None, action }
    }
}

impl Stage {
    /// The stages that it needs.
    pub fn needs(&self) -> BTreeSet<&str> {
        let mut needs = BTreeSet::new();
        if let Base::Stage(name) = &self.base {
            needs.insert(name.as_str());
        }
        for step in &self.steps {
            let origins: Vec<&Origin> = match &step.action {
                Action::Copy(copy) => vec![&copy.origin],
                Action::Run(run) => {
                    let mounts = run.mounts.iter();
                    let files = mounts.filter_map(|mount| match &mount.what {
                        Mounted::Files { origin, .. } => Some(origin),
                        _ => None,
                    });
                    files.collect()
                }
                _ => continue,
            };
            for origin in origins {
                if let Origin::Stage(name) = origin {
                    needs.insert(name);
                }
            }
        }
        needs
    }
}

impl Plan {
    /// Of all stages, in any order, those that one needs. `None` where they need each other.
    pub(crate) fn of(stages: &[Stage], target: &str) -> Option<Self> {
        fn add(
            stages: &[Stage],
            name: &str,
            above: &mut Vec<String>,
            ordered: &mut Vec<Stage>,
        ) -> Option<()> {
            if ordered.iter().any(|stage| stage.name == name) {
                return Some(());
            }
            if above.iter().any(|stage| stage == name) {
                return None;
            }
            let stage = stages.iter().find(|stage| stage.name == name)?;
            above.push(name.to_owned());
            for need in stage.needs() {
                add(stages, need, above, ordered)?;
            }
            above.pop();
            ordered.push(stage.clone());
            Some(())
        }
        let mut ordered = Vec::new();
        add(stages, target, &mut Vec::new(), &mut ordered)?;
        Some(Self {
            stages: ordered,
            declared: BTreeSet::new(),
        })
    }

    /// The arguments that it asks for.
    pub fn arguments(&self) -> BTreeSet<&str> {
        let steps = self.stages.iter().flat_map(|stage| &stage.steps);
        let asked = steps.filter_map(|step| match &step.action {
            Action::Argument { name, .. } => Some(name.as_str()),
            _ => None,
        });
        asked
            .chain(self.declared.iter().map(String::as_str))
            .collect()
    }

    /// The images that it needs, each once.
    pub fn images(&self) -> BTreeSet<&str> {
        let mut images = BTreeSet::new();
        for stage in &self.stages {
            if let Base::Image(image) = &stage.base {
                images.insert(image.as_str());
            }
            for step in &stage.steps {
                match &step.action {
                    Action::Copy(Copy {
                        origin: Origin::Image(image),
                        ..
                    }) => {
                        images.insert(image);
                    }
                    Action::Run(run) => {
                        for mount in &run.mounts {
                            if let Mounted::Files {
                                origin: Origin::Image(image),
                                ..
                            } = &mount.what
                            {
                                images.insert(image);
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        images
    }

    /// The same with a network for its programs. Less goes before more, whoever says it: that there is none before all else, the
    /// relay before the machine's, which is what programs have of which nothing is said.
    #[must_use]
    pub fn within(mut self, network: Option<Network>) -> Self {
        let steps = self.stages.iter_mut().flat_map(|it| &mut it.steps);
        for step in steps {
            if let Action::Run(run) = &mut step.action {
                run.network = match (run.network, network) {
                    (Some(Network::None), _) | (_, Some(Network::None)) => Some(Network::None),
                    (_, Some(Network::Relay)) => Some(Network::Relay),
                    (said, _) => said,
                };
            }
        }
        self
    }

    /// The same upon other images: those that `names` has others for.
    #[must_use]
    pub fn upon(mut self, names: &BTreeMap<String, String>) -> Self {
        let rename = |name: &mut String| {
            if let Some(other) = names.get(name) {
                name.clone_from(other);
            }
        };
        let of = |origin: &mut Origin| {
            if let Origin::Image(name) = origin {
                rename(name);
            }
        };
        for stage in &mut self.stages {
            if let Base::Image(name) = &mut stage.base {
                rename(name);
            }
            for step in &mut stage.steps {
                match &mut step.action {
                    Action::Copy(copy) => of(&mut copy.origin),
                    Action::Run(run) => {
                        for mount in &mut run.mounts {
                            if let Mounted::Files { origin, .. } = &mut mount.what {
                                of(origin);
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        self
    }
}

impl fmt::Display for Action {
    /// One line, as it could stand in a Dockerfile.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Argument { name, default } => match default {
                Some(default) => format!("ARG {name}={default}"),
                None => format!("ARG {name}"),
            },
            Self::Environment(variables) => {
                let pair = |(name, value): &(String, String)| format!("{name}={value}");
                let pairs: Vec<String> = variables.iter().map(pair).collect();
                format!("ENV {}", pairs.join(" "))
            }
            Self::Shell(words) => format!("SHELL {words:?}"),
            Self::User(user) => format!("USER {user}"),
            Self::Directory { path, .. } => format!("WORKDIR {path}"),
            Self::Entrypoint(words) => format!("ENTRYPOINT {words:?}"),
            Self::Command(words) => format!("CMD {words:?}"),
            Self::Label { name, value } => format!("LABEL {name}={value}"),
            Self::Port(port) => format!("EXPOSE {port}"),
            Self::Volume(path) => format!("VOLUME {path}"),
            Self::StopSignal(signal) => format!("STOPSIGNAL {signal}"),
            Self::Healthcheck(check) => format!("HEALTHCHECK {check}"),
            Self::Account { name, uid, gid } => format!("account {name} ({uid}:{gid})"),
            Self::Folder { path, .. } => format!("folder {path}"),
            Self::File { path, .. } => format!("file {path}"),
            Self::Run(run) => match (&run.script, run.words.as_slice()) {
                (Some(script), _) => format!("RUN {}", script.trim()),
                (None, [shell, flag, command]) if shell == "/bin/sh" && flag == "-c" => {
                    format!("RUN {command}")
                }
                (None, words) => format!("RUN {}", words.join(" ")),
            },
            Self::Copy(copy) => {
                let from = match &copy.origin {
                    Origin::Local => String::new(),
                    Origin::Stage(name) | Origin::Image(name) => format!("--from={name} "),
                };
                let word = if copy.unpacks { "ADD" } else { "COPY" };
                let sources = copy.sources.join(" ");
                format!("{word} {from}{sources} {}", copy.destination)
            }
        };
        formatter.write_str(&text.replace('\n', "; "))
    }
}

/// A mistake in a text, with its place.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Problem {
    /// Its line, from 1; 0 where it has none.
    pub line: usize,
    /// Its column, from 1; 0 where only the line is known.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(line: usize, message: impl Into<String>) -> Self {
        Self {
            line,
            column: 0,
            message: message.into(),
            hint: None,
        }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
