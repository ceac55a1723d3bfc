//! Reads all documents of a folder: `mwctl.yaml`, what it includes, the folder's conventions, the
//! personal overrides; and the Kubernetes objects that are applied as they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mwctl_core::conventions::{self, Document, FILE, Omitted, Parsed};
use mwctl_core::problem::Problem;

use super::Load;
use crate::repository;

/// The folders of a repository's own conventions and helpers.
const CONVENTIONS: [&str; 3] = ["conventions", "conventions/services", "conventions/helpers"];
/// One person's overrides; not for the repository.
const OVERRIDES: &str = "mwctl.local.yaml";

/// What was read.
pub(super) struct Read {
    pub(super) parsed: Parsed,
    /// The texts with Kubernetes objects, by their paths relative to the folder.
    pub(super) manifests: BTreeMap<PathBuf, String>,
    /// Every file that was read, relative to the folder.
    pub(super) files: Vec<PathBuf>,
}

pub(super) fn read(root: &Path) -> Result<Read, Load> {
    let mut reader = Reader {
        root,
        parsed: Parsed::default(),
        files: Vec::new(),
    };
    reader.own(FILE)?;
    for folder in CONVENTIONS {
        for file in repository::list(root, Path::new(folder), &["yaml", "yml"]) {
            reader.conventions(&file)?;
        }
    }
    reader.own(OVERRIDES)?;
    reader.included()?;
    let manifests = reader.manifests()?;
    Ok(Read {
        parsed: reader.parsed,
        manifests,
        files: reader.files,
    })
}

struct Reader<'a> {
    root: &'a Path,
    parsed: Parsed,
    files: Vec<PathBuf>,
}

impl Reader<'_> {
    /// The text of a file; `None` where it isn't there.
    fn text(&mut self, file: &Path) -> Result<Option<String>, Load> {
        let read = repository::read(self.root, &[file.to_owned()])?;
        let unreadable = !read.problems.is_empty();
        self.parsed.omitted.add(Omitted::document_if(unreadable));
        self.parsed.problems.extend(read.problems);
        self.files.push(file.to_owned());
        Ok(read.texts.into_values().next())
    }

    fn own(&mut self, file: &str) -> Result<(), Load> {
        let file = Path::new(file);
        if let Some(text) = self.text(file)? {
            self.take(conventions::parse(file, &text));
        }
        Ok(())
    }

    /// A file of conventions; one of something else of that name is none of our business.
    fn conventions(&mut self, file: &Path) -> Result<(), Load> {
        if let Some(text) = self.text(file)?
            && text.contains("apiVersion: mwctl/")
        {
            self.take(conventions::parse(file, &text));
        }
        Ok(())
    }

    fn take(&mut self, parsed: Parsed) {
        self.parsed.documents.extend(parsed.documents);
        self.parsed.problems.extend(parsed.problems);
        self.parsed.omitted.add(parsed.omitted);
    }

    /// Follows what is included, each file once.
    fn included(&mut self) -> Result<(), Load> {
        let mut done: Vec<PathBuf> = Vec::new();
        loop {
            let named = conventions::includes(&self.parsed.documents);
            let next = named.into_iter().find(|(file, _)| !done.contains(file));
            let Some((file, location)) = next else {
                return Ok(());
            };
            done.push(file.clone());
            let Some(text) = self.text(&file)? else {
                let message = format!("`{}` isn't there", file.display());
                let problem = Problem::new(message).at(location);
                self.parsed.problems.push(problem);
                continue;
            };
            let mut parsed = conventions::parse(&file, &text);
            let documents = std::mem::take(&mut parsed.documents);
            parsed.documents = documents.into_iter().map(Document::included).collect();
            self.take(parsed);
        }
    }

    fn manifests(&mut self) -> Result<BTreeMap<PathBuf, String>, Load> {
        let mut texts = BTreeMap::new();
        for (path, location) in conventions::manifests(&self.parsed.documents) {
            let files = if self.root.join(&path).is_dir() {
                repository::list(self.root, &path, &["yaml", "yml"])
            } else {
                vec![path.clone()]
            };
            let mut any = false;
            for file in files {
                if let Some(text) = self.text(&file)? {
                    texts.insert(file, text);
                    any = true;
                }
            }
            if !any {
                let message = format!("there is no Kubernetes object at `{}`", path.display());
                self.parsed
                    .problems
                    .push(Problem::new(message).at(location));
            }
        }
        Ok(texts)
    }
}
