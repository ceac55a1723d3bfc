//! What stands for the bases that scenarios name: where these tests run there may be no public registry.

use std::path::PathBuf;

/// Which base stands for which reference, and where bases are.
#[derive(Debug)]
pub(crate) struct Bases {
    /// References, each perhaps with `*` at its end, and names of bases; the first that fits counts.
    table: Vec<(String, String)>,
    /// A folder with an OCI layout for each name.
    folder: Option<PathBuf>,
}

impl Bases {
    /// Only our own system of scripted programs, which needs no folder.
    pub(crate) fn own() -> Self {
        Self {
            table: Vec::new(),
            folder: None,
        }
    }

    /// These, too, as `bases` beside this file has them.
    #[cfg(feature = "cluster")]
    pub(crate) fn with(folder: &std::path::Path) -> Self {
        let text = include_str!("bases");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let pairs = lines.filter_map(|line| line.split_once(char::is_whitespace));
        let table = pairs.map(|(reference, name)| (reference.to_owned(), name.trim().to_owned()));
        Self {
            table: table.collect(),
            folder: Some(folder.to_path_buf()),
        }
    }

    /// The layout that stands for a reference.
    pub(crate) fn of(&self, reference: &str) -> Option<PathBuf> {
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(start) => reference.starts_with(start),
            None => reference == pattern,
        };
        let (_, name) = self.table.iter().find(|(pattern, _)| fits(pattern))?;
        Some(self.folder.as_ref()?.join(name))
    }
}
