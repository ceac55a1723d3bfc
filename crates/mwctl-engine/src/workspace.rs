//! The folder that a command is about, read and understood: its documents, its stack, whose it is.
//!
//! It reads what `mwctl_core::conventions` asks for and hands it over; what the files mean is decided
//! there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mwctl_core::conventions::{self, Document, FILE, Input, Repository};
use mwctl_core::model::{Source, Stack};
use mwctl_core::name::slug;
use mwctl_core::problem::Problem;

use crate::repository::{self, ReadError};

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
    /// The files in the folder whose change may change the stack.
    pub documents: Vec<PathBuf>,
}

/// Finds the folder that `start` belongs to, reads it and resolves its stack.
///
/// `namespace` replaces the stack's own; `environment` gives the value of a variable.
pub fn load(
    start: &Path,
    namespace: Option<&str>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Workspace, Load> {
    let root = root(start)?;
    let shipped = conventions::shipped();
    let (own, mut problems) = documents(&root)?;
    let interest = conventions::interest(&shipped, &own);
    let mut repositories = Vec::new();
    for source in conventions::sources(&own, &root) {
        let Some(directory) = source.directory().filter(|directory| directory.is_dir()) else {
            continue;
        };
        let read = repository::read(directory, &interest)?;
        problems.extend(read.problems);
        repositories.push(Repository {
            directory: directory.clone(),
            files: read.texts,
        });
    }
    let environment: BTreeMap<String, String> =
        conventions::environment(&shipped, &own, &repositories)
            .into_iter()
            .filter_map(|name| environment(&name).map(|value| (name, value)))
            .collect();
    let resolved = conventions::resolve(&Input {
        shipped: &shipped,
        own: &own,
        directory: &root,
        repositories: &repositories,
        environment: &environment,
    });
    let mut stack = match resolved {
        Ok(stack) if problems.is_empty() => stack,
        Ok(_) => return Err(Load::Problems(problems)),
        Err(more) => {
            // A document with problems is left out above, and what it would have said is missed
            // below: that isn't news.
            if problems.is_empty() {
                problems = more;
            }
            return Err(Load::Problems(problems));
        }
    };
    if let Some(namespace) = namespace {
        namespace.clone_into(&mut stack.namespace);
    }
    let worktree = worktree(&root);
    Ok(Workspace {
        root,
        stack,
        worktree,
        documents: interest,
    })
}

/// Where the files of the services come from that the folder describes: what has to be fetched
/// before [`load`] can look into it. Empty where the documents have problems, which `load` tells.
pub fn sources(start: &Path) -> Result<Vec<Source>, Load> {
    let root = root(start)?;
    let (own, problems) = documents(&root)?;
    Ok(if problems.is_empty() {
        conventions::sources(&own, &root)
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

fn documents(root: &Path) -> Result<(Vec<Document>, Vec<Problem>), Load> {
    let read = repository::read(root, &[PathBuf::from(FILE)])?;
    let mut problems = read.problems;
    let mut documents = Vec::new();
    for (path, text) in read.texts {
        let (found, wrong) = conventions::parse(&path, &text);
        documents.extend(found);
        problems.extend(wrong);
    }
    Ok((documents, problems))
}

/// The problems of one file of documents, without what they refer to.
pub fn check_file(path: &Path) -> Result<Vec<Problem>, ReadError> {
    let read = repository::read(Path::new(""), &[path.to_owned()])?;
    let mut problems = read.problems;
    for (path, text) in read.texts {
        problems.extend(conventions::parse(&path, &text).1);
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
