//! The folder that a command is about, read and understood: its documents, its stack, whose it is.
//!
//! It reads what `mwctl_core::conventions` asks for and hands it over; what the files mean is decided
//! there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mwctl_core::conventions::{self, Document, Explanation, Input, Omitted, Parsed, Repository};
use mwctl_core::lock::Lock;
use mwctl_core::model::{Source, Stack};
use mwctl_core::name::slug;
use mwctl_core::problem::Problem;

use crate::repository::{self, ReadError};

mod documents;
mod lock;

pub use lock::{lock, write_lock};

/// A folder can't be worked with.
#[derive(Debug, thiserror::Error)]
pub enum Load {
    /// A file can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What the files say has problems.
    #[error("{} problems", .0.len())]
    Problems(Vec<Problem>),
}

/// A folder and what it says.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The folder, absolute.
    pub root: PathBuf,
    /// The stack.
    pub stack: Stack,
    /// Whose checkout this is: a label value that no other folder of this machine has.
    pub worktree: String,
    /// What is recorded of the bases that its images are built upon.
    pub lock: Arc<Lock>,
    /// The files in the folder whose change may change the stack.
    pub documents: Vec<PathBuf>,
}

/// What is asked of a folder.
#[derive(Clone, Copy, Default)]
pub struct Asked<'a> {
    /// The namespace, in the place of the stack's own.
    pub namespace: Option<&'a str>,
    /// The profiles whose services are taken in.
    pub profiles: &'a [String],
}

/// Finds the folder that `start` belongs to, reads it and resolves its stack.
///
/// `environment` gives the value of a variable.
pub fn load(
    start: &Path,
    asked: Asked<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Workspace, Load> {
    let gathered = gather(start, asked.profiles, environment)?;
    let mut stack = gathered.resolve(conventions::resolve)?;
    if let Some(namespace) = asked.namespace {
        namespace.clone_into(&mut stack.namespace);
    }
    let worktree = worktree(&gathered.root);
    Ok(Workspace {
        root: gathered.root,
        stack,
        worktree,
        lock: Arc::new(gathered.lock),
        documents: gathered
            .interest
            .into_iter()
            .chain(gathered.files)
            .chain([PathBuf::from(mwctl_core::lock::FILE)])
            .collect(),
    })
}

/// Finds the folder that `start` belongs to and says where everything about its services comes from.
pub fn explain(
    start: &Path,
    asked: Asked<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(PathBuf, Vec<Explanation>), Load> {
    let gathered = gather(start, asked.profiles, environment)?;
    let explanations = gathered.resolve(conventions::explain)?;
    Ok((gathered.root, explanations))
}

/// Everything that was read for a folder.
struct Gathered {
    root: PathBuf,
    interest: Vec<PathBuf>,
    shipped: &'static [Document],
    own: Vec<Document>,
    problems: Vec<Problem>,
    omitted: Omitted,
    repositories: Vec<Repository>,
    environment: BTreeMap<String, String>,
    profiles: BTreeSet<String>,
    manifests: BTreeMap<PathBuf, String>,
    suffix: Option<String>,
    lock: Lock,
    /// The files of documents, relative to the folder.
    files: Vec<PathBuf>,
}

fn gather(
    start: &Path,
    profiles: &[String],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Gathered, Load> {
    let root = root(start)?;
    let shipped = conventions::shipped();
    let profiles: BTreeSet<String> = profiles.iter().cloned().collect();
    let documents::Read {
        parsed,
        manifests,
        files,
    } = documents::read(&root)?;
    let Parsed {
        documents: own,
        mut problems,
        omitted,
    } = parsed;
    let mut interest = conventions::interest(shipped, &own);
    let presence = conventions::presence(shipped, &own);
    let mut repositories = Vec::new();
    for source in conventions::sources(&own, &root, &profiles) {
        let Some(directory) = source.directory().filter(|directory| directory.is_dir()) else {
            continue;
        };
        let read = repository::read(directory, &interest)?;
        problems.extend(read.problems);
        let there = repository::present(directory, &presence).into_iter();
        let mut files = read.texts;
        files.extend(there.map(|file| (file, String::new())));
        repositories.push(Repository {
            directory: directory.clone(),
            files,
        });
    }
    interest.extend(presence);
    let (lock, wrong) = lock::read(&root)?;
    problems.extend(wrong);
    let environment: BTreeMap<String, String> =
        conventions::environment(shipped, &own, &repositories)
            .into_iter()
            .filter_map(|name| environment(&name).map(|value| (name, value)))
            .collect();
    Ok(Gathered {
        suffix: repository::linked_worktree(&root),
        profiles,
        manifests,
        files,
        lock,
        root,
        interest,
        shipped,
        own,
        problems,
        omitted,
        repositories,
        environment,
    })
}

impl Gathered {
    /// Resolves what was read, unless some of it has problems.
    fn resolve<T>(
        &self,
        resolve: impl FnOnce(&Input<'_>) -> Result<T, Vec<Problem>>,
    ) -> Result<T, Load> {
        let resolved = resolve(&Input {
            shipped: self.shipped,
            own: &self.own,
            directory: &self.root,
            repositories: &self.repositories,
            environment: &self.environment,
            profiles: &self.profiles,
            manifests: &self.manifests,
            suffix: self.suffix.as_deref(),
        });
        let mut problems = self.problems.clone();
        match resolved {
            Ok(resolved) if problems.is_empty() => return Ok(resolved),
            Err(more) => {
                problems.extend(self.omitted.news(more));
                problems.sort();
                problems.dedup();
            }
            Ok(_) => {}
        }
        Err(Load::Problems(problems))
    }
}

/// Where the files of the services come from that the folder describes: what has to be fetched
/// before [`load`] can look into it. Empty where the documents have problems, which `load` tells.
pub fn sources(start: &Path, asked: Asked<'_>) -> Result<Vec<Source>, Load> {
    let root = root(start)?;
    let Parsed {
        documents: own,
        problems,
        ..
    } = documents::read(&root)?.parsed;
    let profiles = asked.profiles.iter().cloned().collect();
    Ok(if problems.is_empty() {
        conventions::sources(&own, &root, &profiles)
    } else {
        Vec::new()
    })
}

fn root(start: &Path) -> Result<PathBuf, ReadError> {
    match repository::find(start)? {
        Some(root) => Ok(root.directory),
        None => std::fs::canonicalize(start).map_err(|source| ReadError {
            path: start.to_owned(),
            source,
        }),
    }
}

/// The problems of one file of documents, without what they refer to.
pub fn check_file(path: &Path) -> Result<Vec<Problem>, ReadError> {
    let read = repository::read(Path::new(""), &[path.to_owned()])?;
    let mut problems = read.problems;
    for (path, text) in read.texts {
        problems.extend(conventions::parse(&path, &text).problems);
    }
    Ok(problems)
}

/// The folder's name, for people, and a hash of its whole path, for certainty.
fn worktree(root: &Path) -> String {
    let name = root
        .file_name()
        .and_then(|name| slug(&name.to_string_lossy()));
    let hash = blake3::hash(root.as_os_str().as_encoded_bytes()).to_hex();
    format!("{}-{}", name.as_deref().unwrap_or("folder"), &hash[..10])
}

#[cfg(test)]
mod tests;
