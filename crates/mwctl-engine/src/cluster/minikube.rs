//! Drives minikube: finds profiles, starts and stops them, and says what is wrong with one.
//!
//! What is typed and how answers are read is decided in `mwctl_core::minikube`. A profile is never
//! deleted unless that is asked for, and never all at once.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mwctl_core::minikube::{
    self as words, Event, Failure, Finding, Machine, Profile, Report, Seen, StartOptions,
};

use crate::command::{Command, CommandError, CommandRunner, Output, ignore_lines};
use crate::progress;

/// minikube removes a profile's configuration and then renames the new one into its place: a
/// reader can find it missing or half for a moment.
const ATTEMPTS: u32 = 5;
const BETWEEN: Duration = Duration::from_millis(20);
/// Status asks the machine over SSH or docker.
const QUESTION: Duration = Duration::from_mins(1);
/// minikube itself gives up earlier than that.
const CHANGE: Duration = Duration::from_mins(20);

/// The minikube of this machine.
#[derive(Clone, Debug)]
pub struct Minikube {
    runner: Arc<dyn CommandRunner>,
    home: PathBuf,
}

/// Why minikube didn't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum MinikubeError {
    /// The name can't be one of a profile.
    #[error("`{0}` can't be the name of a minikube profile")]
    Name(String),
    /// It couldn't be run.
    #[error("cannot run minikube")]
    Run(#[source] CommandError),
    /// It failed, and this is why.
    #[error(transparent)]
    Failed(Failure),
}

impl MinikubeError {
    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Name(_) => vec!["use letters, digits and hyphens, at least two".to_owned()],
            Self::Run(error) => error.hints(),
            Self::Failed(failure) => failure.cures.clone(),
        }
    }
}

/// All profiles below minikube's home whose configuration can be read.
pub async fn profiles(home: &Path) -> Vec<Profile> {
    let mut profiles = Vec::new();
    let Ok(entries) = std::fs::read_dir(home.join("profiles")) else {
        return profiles;
    };
    for entry in entries.flatten() {
        let Some(mut profile) = profile_in(&entry.path()).await else {
            continue;
        };
        profile.by_ssh = by_ssh(home, &profile);
        profiles.push(profile);
    }
    profiles.sort_by(|a, b| a.name.cmp(&b.name));
    profiles
}

async fn profile_in(folder: &Path) -> Option<Profile> {
    let file = folder.join("config.json");
    for attempt in 1..=ATTEMPTS {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if let Some(profile) = words::profile(&text) {
            return Some(profile);
        }
        // A folder without any trace of a configuration was never a profile, or is long gone.
        if attempt < ATTEMPTS && folder.is_dir() {
            tokio::time::sleep(BETWEEN).await;
        }
    }
    None
}

/// How all machines of a profile are reached by ssh, where they are.
fn by_ssh(home: &Path, profile: &Profile) -> Vec<Machine> {
    if !words::is_by_ssh(&profile.driver) {
        return Vec::new();
    }
    let machines = profile.machines.iter().map(|name| {
        let folder = home.join("machines").join(name);
        let text = std::fs::read_to_string(folder.join("config.json")).ok()?;
        words::machine(&text, folder.to_str()?)
    });
    // A cluster of which only a part is reached is served by minikube as a whole.
    machines.collect::<Option<_>>().unwrap_or_default()
}

impl Minikube {
    /// With its home directory (`~/.minikube`).
    pub fn new(runner: Arc<dyn CommandRunner>, home: impl Into<PathBuf>) -> Self {
        Self {
            runner,
            home: home.into(),
        }
    }

    /// The profile of that name.
    pub async fn profile(&self, name: &str) -> Option<Profile> {
        profile_in(&self.folder(name)).await
    }

    /// Its version, if it is installed.
    pub async fn version(&self) -> Option<String> {
        let output = self.run(words::version(), QUESTION, &|_| {}).await.ok()?.0;
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        value["minikubeVersion"].as_str().map(str::to_owned)
    }

    /// How a profile is.
    pub async fn status(&self, name: &str) -> Result<Report, MinikubeError> {
        // The exit code repeats what is printed: it is no failure.
        let (output, _) = self
            .run(words::status_arguments(name), QUESTION, &|_| {})
            .await?;
        Ok(words::status(&output.text()))
    }

    /// Starts a profile, making it where it doesn't exist. The caller's current context stays.
    pub async fn start(
        &self,
        name: &str,
        options: &StartOptions,
        on_event: &(dyn Fn(&Event) + Send + Sync),
    ) -> Result<(), MinikubeError> {
        let mut options = options.clone();
        if let Some(profile) = self.profile(name).await {
            // A profile has its driver; minikube refuses another one.
            options.driver = Some(profile.driver).filter(|driver| !driver.is_empty());
            options.runtime = None;
        } else {
            options.driver.get_or_insert_with(|| "docker".to_owned());
            options
                .runtime
                .get_or_insert_with(|| "containerd".to_owned());
        }
        self.change(name, words::start(name, &options), on_event)
            .await
    }

    /// Stops a profile; its context stays in the kubeconfig.
    pub async fn stop(
        &self,
        name: &str,
        on_event: &(dyn Fn(&Event) + Send + Sync),
    ) -> Result<(), MinikubeError> {
        self.change(name, words::stop(name), on_event).await
    }

    /// Deletes one profile.
    pub async fn delete(
        &self,
        name: &str,
        on_event: &(dyn Fn(&Event) + Send + Sync),
    ) -> Result<(), MinikubeError> {
        self.change(name, words::delete(name), on_event).await
    }

    /// Continues a paused profile.
    pub async fn unpause(
        &self,
        name: &str,
        on_event: &(dyn Fn(&Event) + Send + Sync),
    ) -> Result<(), MinikubeError> {
        self.change(name, words::unpause(name), on_event).await
    }

    /// Brings the kubeconfig's address up to date.
    pub async fn update_context(&self, name: &str) -> Result<(), MinikubeError> {
        self.change(name, words::update_context(name), &|_| {})
            .await
    }

    /// Says what is wrong with a profile and what to type.
    pub async fn diagnose(&self, name: &str, client_error: Option<&str>) -> Vec<Finding> {
        let version = self.version().await;
        let profile = self.profile(name).await;
        let report = match (&version, &profile) {
            (Some(_), Some(_)) => self.status(name).await.ok(),
            _ => None,
        };
        let driver_present = match profile.as_ref().map(|profile| profile.driver.as_str()) {
            Some(driver @ ("docker" | "podman")) => {
                let question = Command::new([driver, "--version"]).timeout(QUESTION);
                let answer = self.runner.run(&question, &ignore_lines).await;
                Some(!matches!(answer, Err(CommandError::Missing { .. })))
            }
            _ => None,
        };
        words::diagnose(&Seen {
            name,
            version: version.as_deref(),
            profile: profile.as_ref(),
            directory: self.folder(name).is_dir(),
            report: report.as_ref(),
            driver_present,
            client_error,
        })
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.home.join("profiles").join(name)
    }

    async fn change(
        &self,
        name: &str,
        arguments: Vec<String>,
        on_event: &(dyn Fn(&Event) + Send + Sync),
    ) -> Result<(), MinikubeError> {
        if !words::is_profile_name(name) {
            return Err(MinikubeError::Name(name.to_owned()));
        }
        let (output, events) = self.run(arguments, CHANGE, on_event).await?;
        if output.code == Some(0) {
            return Ok(());
        }
        let failure = words::failure(name, &events, output.code);
        Err(MinikubeError::Failed(failure))
    }

    async fn run(
        &self,
        arguments: Vec<String>,
        limit: Duration,
        on_event: &(dyn Fn(&Event) + Send + Sync),
    ) -> Result<(Output, Vec<Event>), MinikubeError> {
        let mut command =
            Command::new(["minikube".to_owned()].into_iter().chain(arguments)).timeout(limit);
        for (name, value) in words::ENVIRONMENT {
            command = command.variable(name, value);
        }
        let events = Mutex::new(Vec::new());
        let on_line = |line: crate::command::Line<'_>| {
            if let Some(event) = words::event(line.text()) {
                on_event(&event);
                if let Ok(mut events) = events.lock() {
                    events.push(event);
                }
            }
        };
        let output = self
            .runner
            .run(&command, &on_line)
            .await
            .map_err(MinikubeError::Run)?;
        Ok((output, events.into_inner().unwrap_or_default()))
    }
}

/// minikube's events as signs of life.
pub fn as_progress(report: progress::Report<'_>) -> impl Fn(&Event) + Send + Sync {
    move |event| {
        let text = match event {
            Event::Step { name, .. } => {
                report(progress::Progress::Started { what: name.clone() });
                return;
            }
            Event::Download { artifact } => format!("downloads {artifact}"),
            Event::Info { message } | Event::Warning { message } => message.clone(),
            Event::Error(failed) => failed.message.clone(),
            Event::Other { text } => text.clone(),
        };
        report(progress::Progress::Line { text });
    }
}
