//! Which file is built, as what, in which folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mwctl_core::conventions::FILE;
use mwctl_core::model::{BuildFile, BuildNetwork, Engine, Image, Service};
use mwctl_core::problem::{Location, Problem};
use mwctl_engine::image::file::network;
use mwctl_engine::images::blubber::{Blubber, Policy};
use mwctl_engine::images::build::Context;
use mwctl_engine::images::plan::{self, Plan};
use mwctl_engine::images::recipe::{self, FILES};

use crate::args::{Build, Builder};
use crate::error::CommandError;
use crate::invocation::{Invocation, service};

/// The tag of an image whose stage has no name.
pub(crate) const UNNAMED: &str = "image";

/// What is built.
pub(super) struct Recipe {
    /// The service's name, or the folder's.
    pub name: String,
    /// The folder whose files are copied.
    pub context: PathBuf,
    /// Values of the file's arguments.
    pub arguments: BTreeMap<String, String>,
    /// Who builds it; `None` for mwctl itself.
    pub engine: Option<Engine>,
    /// The network of the programs that it runs.
    pub network: Option<BuildNetwork>,
    /// The file, as people name it.
    pub file: PathBuf,
    /// What it says.
    pub text: String,
    /// The stage or variant that was asked for.
    pub variant: Option<String>,
}

impl Recipe {
    /// Finds and reads the file. What is typed goes before what the service's description says.
    pub(super) fn find(
        run: &Invocation,
        arguments: &Build,
        given: BTreeMap<String, String>,
    ) -> Result<Self, CommandError> {
        let here = run
            .global
            .directory
            .clone()
            .unwrap_or_else(|| PathBuf::from("."));
        let (name, context, said) = match &arguments.service {
            None => (None, here.clone(), None),
            Some(folder) if here.join(folder).is_dir() => (None, here.join(folder), None),
            Some(name) => {
                let workspace = run.workspace().map_err(|error| {
                    if here.join(FILE).exists() {
                        return error;
                    }
                    let message = format!("there is no folder `{name}`, and no `{FILE}` here that could name a service so");
                    CommandError::usage(message).hint("mwctl build FOLDER, or `mwctl -C STACK build SERVICE`")
                })?;
                let found = service(&workspace.stack, name)?;
                let folder = found.source.directory().ok_or_else(|| {
                    CommandError::usage(format!("`{name}` has no files of its own to build"))
                })?;
                (Some(name.clone()), here.join(folder), said(found))
            }
        };
        let canonical = context.canonicalize().map_err(|error| {
            let place = context.display();
            CommandError::usage(format!("cannot read `{place}`: {error}"))
        })?;
        let name = name.unwrap_or_else(|| name_of(&canonical));
        let mut files = FILES.iter().map(|file| context.join(file));
        let typed = arguments.file.as_ref().map(|file| here.join(file));
        // Another file than the described one has other variants and arguments.
        let said = said.filter(|_| typed.is_none());
        let described = said.as_ref().map(|said| context.join(&said.path));
        let file = typed.or(described);
        let file = file.or_else(|| files.find(|file| file.is_file()));
        let file = file.ok_or_else(|| {
            let place = context.display();
            let message = format!("`{place}` has neither a Blubber file nor a Dockerfile");
            let hint = format!("it would be one of: {}", FILES.join(", "));
            CommandError::usage(message).hint(hint)
        })?;
        let text = std::fs::read_to_string(&file).map_err(|error| {
            CommandError::usage(format!("cannot read `{}`: {error}", file.display()))
        })?;
        let (variant, mut values, engine, network) = said.map_or_else(Default::default, |said| {
            (said.variant, said.arguments, said.engine, said.network)
        });
        values.extend(given);
        Ok(Self {
            name,
            context: canonical,
            arguments: values,
            engine: arguments.engine.map_or(engine, Builder::engine),
            network: arguments.network.map(BuildNetwork::from).or(network),
            file: file.strip_prefix(".").unwrap_or(&file).to_path_buf(),
            text,
            variant: arguments.variant.clone().or(variant),
        })
    }

    /// The folder, with the file that says what of it is left out.
    pub(super) fn folder(&self) -> Context {
        Context {
            folder: self.context.clone(),
            file: self.file.clone(),
        }
    }

    /// What is to be done, and the name of the variant.
    pub(super) fn plan(&self, policy: Option<&Path>) -> Result<(Plan, String), CommandError> {
        self.check(policy)?;
        let variant = self.variant.as_deref();
        let recipe = recipe::read(&self.file, &self.text, variant, &self.arguments);
        let recipe = recipe.map_err(|problems| self.problems(problems))?;
        let variant = recipe.variant.unwrap_or_else(|| UNNAMED.to_owned());
        Ok((recipe.plan.within(self.network.map(network)), variant))
    }

    /// Refuses a file that breaks a policy.
    pub(super) fn check(&self, policy: Option<&Path>) -> Result<(), CommandError> {
        let Some(policy) = policy else {
            return Ok(());
        };
        if !recipe::is_blubber(&self.file) {
            let file = self.file.display();
            let message = format!("a policy is for Blubber files, and `{file}` is none");
            return Err(CommandError::usage(message));
        }
        let blubber = Blubber::read(&self.text).map_err(|it| self.problems(it))?;
        keep(policy, &blubber)
    }

    fn problems(&self, problems: Vec<plan::Problem>) -> CommandError {
        let problems = problems.into_iter();
        let located = problems.map(|problem| located(&self.file, &self.text, problem));
        CommandError::problems(located.collect())
    }
}

/// The file that a service's description says is built.
fn said(service: &Service) -> Option<BuildFile> {
    match &service.image {
        Image::Build(build) => build.file.clone(),
        Image::Reference(_) => None,
    }
}

fn located(file: &Path, text: &str, problem: plan::Problem) -> Problem {
    let mut located = Problem::new(problem.message);
    located.hint = problem.hint;
    if problem.line == 0 {
        return located;
    }
    located.at(Location {
        file: file.to_path_buf(),
        line: problem.line,
        column: problem.column.max(1),
        length: 0,
        text: text
            .lines()
            .nth(problem.line - 1)
            .unwrap_or_default()
            .to_owned(),
    })
}

/// Refuses a file that breaks a policy.
fn keep(file: &Path, blubber: &Blubber) -> Result<(), CommandError> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        CommandError::usage(format!("cannot read `{}`: {error}", file.display()))
    })?;
    let policy = Policy::read(&text);
    let policy =
        policy.map_err(|problem| CommandError::problems(vec![located(file, &text, problem)]))?;
    let violations = policy.violations(blubber);
    if violations.is_empty() {
        return Ok(());
    }
    let problems = violations.iter().map(|it| Problem::new(it.to_string()));
    Err(CommandError::problems(problems.collect()))
}

/// A folder's name as part of an image's.
fn name_of(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let legal = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let name: String = name.chars().map(legal).collect();
    let mut parts = name.split('-').filter(|part| !part.is_empty());
    let first = parts.next().unwrap_or("image").to_owned();
    parts.fold(first, |name, part| name + "-" + part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_folder_can_name_an_image() {
        for (folder, name) in [
            ("/a/My Service", "my-service"),
            ("/a/_x__y.", "x-y"),
            ("/", "image"),
        ] {
            assert_eq!(name_of(Path::new(folder)), name);
        }
    }
}
