//! Builds: carries out a [`Plan`], step by step, in the store, without a daemon.
//!
//! Each step has a key: a hash of the key before it and of all that goes into it. A step whose
//! key is known has its layer already; nothing has ever to be invalidated. Stages that don't need
//! each other are built side by side.
//!
//! Files are copied without a mount, straight into the new layer; what is the same as last time is
//! a second name of the same file. Only `RUN` needs a container.

mod accounts;
mod containers;
mod copy;
mod files;
mod ignore;
mod key;
mod local;
mod mask;
mod mounts;
mod output;
mod relay;
mod run;
mod state;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use mwctl_container::Lack;
use tokio_util::sync::CancellationToken;

use self::local::Local;
use self::state::{Part, State};
use crate::digest::Digest;
use crate::image::Config;
use crate::oci::architecture;
use crate::owners::Owners;
use crate::plan::{Base, Network, Plan, Stage};
use crate::reference::{InvalidReference, Reference};
use crate::store::{Record, Store, StoreError};

pub use accounts::UnknownAccount;
pub use containers::{Containers, Open, Outside, Shell};
pub use key::{Key, key, key_of_engine};
pub use mwctl_container::{Running, Size};
pub use relay::{Allows, Gate};

/// What is told of a build.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Told {
    /// A step that makes a layer begins.
    Begins {
        /// Its stage.
        stage: String,
        /// What it does.
        step: String,
        /// Why it isn't known from before.
        why: String,
    },
    /// A step is done.
    Done {
        /// Its stage.
        stage: String,
        /// What it did.
        step: String,
        /// Whether its layer was there.
        cached: bool,
        /// How long it took.
        milliseconds: u64,
    },
    /// A program failed, and somebody is about to look around there.
    Failed {
        /// Its stage.
        stage: String,
        /// How it ended.
        how: String,
    },
    /// A program wrote a line.
    Output {
        /// Its stage.
        stage: String,
        /// The line.
        line: String,
    },
    /// Something isn't as it was probably meant.
    Warns {
        /// What.
        what: String,
    },
}

/// The folder whose files are copied, of which some may be left out for one file alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Context {
    /// The folder.
    pub folder: PathBuf,
    /// The file that says how the image is built, in this folder or elsewhere.
    pub file: PathBuf,
}

/// A build to be made.
pub struct Build<'a> {
    /// Where it is made.
    pub store: &'a Store,
    /// What is to be done.
    pub plan: &'a Plan,
    /// The folder with the files that are copied.
    pub context: &'a Context,
    /// What the user gives instead of the file's defaults.
    pub arguments: &'a BTreeMap<String, String>,
    /// Runs programs; without it a step that runs one fails.
    pub containers: Option<&'a Containers>,
    /// Ends the build between steps, and the program that runs.
    pub cancel: &'a CancellationToken,
    /// Is told what happens; from several threads.
    pub report: &'a (dyn Fn(Told) + Sync),
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A step failed.
    #[error("cannot build `{stage}`: {step}{}", line.map(|line| format!(" (line {line})")).unwrap_or_default())]
    Step {
        /// The stage.
        stage: String,
        /// The step.
        step: String,
        /// The step's line, where it has one.
        line: Option<usize>,
        /// Why.
        source: Box<StepError>,
    },
    /// A base isn't in the store.
    #[error("the base `{0}` isn't in the store")]
    NoBase(Reference),
    /// A base's name is none.
    #[error(transparent)]
    Base(#[from] InvalidReference),
    /// The machine's own programs are no base: they are another thing on every machine.
    #[error("an image can't be built upon `mwctl.local/host`")]
    Host,
    /// The folder can't be read.
    #[error("cannot read `{}`", path.display())]
    Context {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was told to end.
    #[error("the build was cancelled")]
    Cancelled,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A variable can't be understood.
    #[error("{0}")]
    Variable(String),
    /// An account isn't known.
    #[error(transparent)]
    Account(#[from] UnknownAccount),
    /// What is copied isn't there.
    #[error("`{path}` isn't in {place}")]
    Missing {
        /// What.
        path: String,
        /// Where it was looked for.
        place: String,
    },
    /// What is copied lies outside of the folder.
    #[error("`{0}` leads out of the folder that is built")]
    Outside(String),
    /// A file can't be read or written.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program ended with an error.
    #[error("{how}, after it wrote:\n{}", last.join("\n"))]
    Program {
        /// How it ended.
        how: String,
        /// The last lines that it wrote.
        last: Vec<String>,
        /// The file with all that it wrote.
        log: Option<PathBuf>,
        /// The network that it had; the machine's, where nobody said anything.
        network: Option<Network>,
        /// That it had one user id alone.
        one_id: Option<Lack>,
    },
    /// A program can't be started.
    #[error("the program can't be started: {0}")]
    Start(String),
    /// What is asked for isn't built here.
    #[error("{0} isn't built here")]
    Foreign(String),
    /// There is nothing that runs programs.
    #[error("programs can't be run here")]
    NoContainers,
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was told to end.
    #[error("cancelled")]
    Cancelled,
}

impl StepError {
    /// A program that may only have failed because it can't give files to anybody says so in the kernel's words.
    fn hints(&self) -> Vec<String> {
        const HOST: &str = "`network: host` in `mwctl.yaml`, or `mwctl build --network host`, gives it the machine's";
        const KERNELS: [&str; 2] = ["Invalid argument", "Operation not permitted"];
        // Of C libraries, Node.js and the programs that fetch packages.
        const NO_NETWORK: [&str; 6] = [
            "resolve",
            "resolution",
            "Name or service not known",
            "etwork is unreachable",
            "ENETUNREACH",
            "EAI_AGAIN",
        ];
        let (last, log, network, one_id) = match self {
            Self::Program {
                last,
                log,
                network,
                one_id,
                ..
            } => (last, log, network, one_id),
            Self::Foreign(_) => return vec![crate::dockerfile::ELSEWHERE.to_owned()],
            _ => return Vec::new(),
        };
        let says = |all: &[&str]| {
            let mut lines = last.iter();
            lines.any(|line| all.iter().any(|words| line.contains(words)))
        };
        let network = match network {
            Some(Network::None) => {
                format!(
                    "it was run without a network: {HOST}, unless the file says `RUN --network=none`"
                )
            }
            Some(Network::Relay) => {
                format!(
                    "its way out is a proxy alone, which `http_proxy` and `https_proxy` name, and which looks names up: {HOST}"
                )
            }
            None | Some(Network::Host) => String::new(),
        };
        let network = Some(network).filter(|words| !words.is_empty() && says(&NO_NETWORK));
        let lack = one_id.filter(|_| says(&KERNELS));
        let lack = lack.map(|lack| format!("{lack}; {}", lack.cure()));
        let log = log.as_ref().map(|log| {
            let typed = format!("less {}", quoted(&log.display().to_string()));
            format!("{typed}  # shows all that it wrote")
        });
        network.into_iter().chain(lack).chain(log).collect()
    }

    fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

impl BuildError {
    fn context(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Context { path, source }
    }

    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::NoBase(base) => vec![format!("mwctl image pull {base}")],
            Self::Host => vec!["name an image as the base, such as `debian:bookworm`".to_owned()],
            Self::Store(error) => error.hints(),
            Self::Step { source, .. } => source.hints(),
            _ => Vec::new(),
        }
    }
}

/// What is known of a step without making it.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// Its stage.
    pub stage: String,
    /// Its line in the file, where it has one.
    pub line: Option<usize>,
    /// What it does.
    pub step: String,
    /// Whether its layer is there; `None` for a step that makes none.
    pub cached: Option<bool>,
    /// Why it isn't.
    pub why: Option<String>,
}

/// What stages have in common while they are built.
struct Shared<'a> {
    build: &'a Build<'a>,
    local: Local<'a>,
    done: BTreeMap<String, State>,
    images: BTreeMap<String, State>,
}

impl<'a> Build<'a> {
    /// Builds the plan's last stage, and gives the image a name. Blocks.
    pub fn make(&self, name: &Reference) -> Result<Record, BuildError> {
        let _using = self.store.using()?;
        self.warn();
        let mut shared = self.shared()?;
        let mut open: Vec<&Stage> = self.plan.stages.iter().collect();
        while !open.is_empty() {
            let (ready, later): (Vec<&Stage>, Vec<&Stage>) = open.into_iter().partition(|stage| {
                stage
                    .needs()
                    .iter()
                    .all(|need| shared.done.contains_key(*need))
            });
            let built = crate::parallel::each(&ready, |stage| shared.stage(stage, None))?;
            for (stage, state) in ready.into_iter().zip(built) {
                shared.done.insert(stage.name.clone(), state);
            }
            open = later;
        }
        let last = self
            .plan
            .stages
            .last()
            .and_then(|stage| shared.done.get(&stage.name));
        let state = last.cloned().unwrap_or_else(State::scratch);
        shared.local.close();
        let manifest = state.write(self.store, architecture())?;
        Ok(self.store.set_record(name, &manifest)?)
    }

    /// Says what building would do, and makes nothing. A stage ends at its first step that isn't
    /// known: what comes after depends on what that makes.
    pub fn explain(&self) -> Result<Vec<Explained>, BuildError> {
        let _using = self.store.using()?;
        let mut shared = self.shared()?;
        let mut explained = Vec::new();
        for stage in &self.plan.stages {
            let needs = stage.needs();
            let missing = needs.iter().find(|need| !shared.done.contains_key(**need));
            if let Some(need) = missing {
                let why = format!("stage `{need}` isn't made");
                explained.extend(
                    stage
                        .steps
                        .iter()
                        .map(|step| steps::unknown(stage, step, &why)),
                );
                continue;
            }
            let mut told = Vec::new();
            let known = shared.stage(stage, Some(&mut told));
            explained.extend(told);
            match known {
                Ok(state) => drop(shared.done.insert(stage.name.clone(), state)),
                Err(BuildError::Cancelled) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(explained)
    }

    /// Tells what will be another thing than was probably meant.
    fn warn(&self) {
        let declared = self.plan.arguments();
        let platform = crate::dockerfile::platform(architecture());
        let mut others = self.arguments.keys().filter(|name| {
            !declared.contains(name.as_str())
                && !passed_on().contains(name.as_str())
                && !platform.contains_key(*name)
        });
        if let Some(first) = others.next() {
            let names = others.fold(format!("`{first}`"), |all, name| format!("{all}, `{name}`"));
            let known: Vec<&str> = declared.into_iter().collect();
            let known = match known.as_slice() {
                [] => "no arguments at all".to_owned(),
                known => known.join(", "),
            };
            (self.report)(Told::Warns {
                what: format!("the file doesn't ask for the argument {names}; it asks for {known}"),
            });
        }
        if self.store.owners() == Owners::Single {
            let cure = Lack::Users { helpers: false }.cure();
            (self.report)(Told::Warns {
                what: format!(
                    "you have one user id alone, so that all files of the image are root's, whoever they were given to, and its digest is another one than elsewhere; what helps is told by `mwctl doctor`, as a rule: {cure}"
                ),
            });
        }
    }

    fn shared(&'a self) -> Result<Shared<'a>, BuildError> {
        let local = Local::open(self.store, self.context);
        let local = local.map_err(BuildError::context(&self.context.folder))?;
        let mut images = BTreeMap::new();
        for name in self.plan.images() {
            images.insert(name.to_owned(), base(self.store, name)?);
        }
        Ok(Shared {
            build: self,
            local,
            done: BTreeMap::new(),
            images,
        })
    }
}

/// An image of the store as what a stage begins with.
fn base(store: &Store, name: &str) -> Result<State, BuildError> {
    let reference = Reference::parse(name)?;
    if reference.as_str() == crate::host::HOST {
        return Err(BuildError::Host);
    }
    let record = store.record(&reference)?;
    let record = record.ok_or_else(|| BuildError::NoBase(reference.clone()))?;
    let documents = store.documents(&record.manifest)?;
    let diff_ids = &documents.configuration.rootfs.diff_ids;
    let laid = store.laid(&documents)?;
    // What was made upon layers that hid what is below them is another thing.
    let alone = |(folder, diff_id): (&PathBuf, &Digest)| *folder == store.made_folder(diff_id);
    let kind = if laid.iter().zip(diff_ids).all(alone) {
        ""
    } else {
        " as laid"
    };
    let blobs = documents.manifest.layers.iter().zip(diff_ids);
    let parts = blobs.zip(laid).map(|((blob, diff_id), folder)| Part {
        folder,
        blob: blob.clone(),
        diff_id: diff_id.clone(),
        told: format!("FROM {reference}"),
    });
    let parts = parts.collect();
    let config = Config::read(&documents.configuration);
    let mut rest = documents
        .configuration
        .config
        .and_then(|config| config.as_object().cloned())
        .unwrap_or_default();
    for key in ["Env", "User", "WorkingDir"] {
        rest.remove(key);
    }
    Ok(State {
        key: format!("image {}{kind}", record.manifest),
        parts,
        environment: config.environment,
        arguments: BTreeMap::new(),
        user: config.user,
        directory: config.directory,
        config: rest,
        own_command: false,
        base: Some((reference.to_string(), record.manifest)),
    })
}

impl Shared<'_> {
    fn stage(
        &self,
        stage: &Stage,
        mut explain: Option<&mut Vec<Explained>>,
    ) -> Result<State, BuildError> {
        let mut image = match &stage.base {
            Base::Scratch => State::scratch(),
            Base::Stage(name) => {
                let mut image = self.done[name].clone();
                image.arguments.clear();
                image.own_command = false;
                image
            }
            Base::Image(name) => self.images[name].clone(),
        };
        for (index, step) in stage.steps.iter().enumerate() {
            if self.build.cancel.is_cancelled() {
                return Err(BuildError::Cancelled);
            }
            let begin = Instant::now();
            let layers = image.parts.len();
            let place = steps::Place {
                shared: self,
                stage,
                index,
                explains: explain.is_some(),
            };
            let outcome = place.carry_out(step, &mut image);
            let outcome = outcome.map_err(|error| match error {
                StepError::Cancelled => BuildError::Cancelled,
                error => BuildError::Step {
                    stage: stage.name.clone(),
                    step: step.action.to_string(),
                    line: step.line,
                    source: Box::new(error),
                },
            })?;
            if let Some(explain) = explain.as_deref_mut() {
                explain.push(Explained {
                    stage: stage.name.clone(),
                    line: step.line,
                    step: step.action.to_string(),
                    cached: outcome.cached,
                    why: outcome.why,
                });
                if outcome.cached == Some(false) {
                    let why = "what comes before it isn't made";
                    let rest = &stage.steps[index + 1..];
                    explain.extend(rest.iter().map(|step| steps::unknown(stage, step, why)));
                    return Err(BuildError::Cancelled);
                }
            } else if image.parts.len() > layers {
                (self.build.report)(Told::Done {
                    stage: stage.name.clone(),
                    step: step.action.to_string(),
                    cached: outcome.cached == Some(true),
                    milliseconds: u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX),
                });
            }
        }
        Ok(image)
    }
}

/// A path as it is typed.
fn quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@".contains(c);
    if path.chars().all(is_plain) {
        return path.to_owned();
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

/// Names that build tools pass on without being asked.
fn passed_on() -> BTreeSet<&'static str> {
    BTreeSet::from([
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "FTP_PROXY",
        "ftp_proxy",
        "NO_PROXY",
        "no_proxy",
        "ALL_PROXY",
        "all_proxy",
    ])
}

#[cfg(test)]
mod tests;
