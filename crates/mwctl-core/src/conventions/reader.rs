//! Files of a repository as trees with places, whatever their format: what facts and recognition point
//! into.
//!
//! | file | its tree |
//! | --- | --- |
//! | `*.json`, `*.yaml`, `*.yml` | as it stands |
//! | `*.toml` | as it stands; `pyproject.toml` gets `/requirements` as well: name to version |
//! | `requirements*.txt` | name to version |
//! | `go.mod` | `/module`, `/name`, `/go`, `/require` |
//!
//! Nothing is concluded here. A text that can't be read is a problem with its place, never a panic.

use std::path::Path;

use super::node::{At, Node, Source};
use super::text;
use crate::problem::Problem;

mod go;
mod offset;
mod python;
mod tables;

pub(crate) use offset::Offsets;

/// Reads a file as a tree. `shown` is its path as people find it; its name decides the format.
pub(crate) fn tree(shown: &Path, text: &str) -> Result<Node, Vec<Problem>> {
    let name = shown.file_name().unwrap_or_default().to_string_lossy();
    let end = shown.extension().unwrap_or_default().to_string_lossy();
    let text = text.trim_start_matches('\u{feff}');
    if text.len() > text::MAX_BYTES {
        let start = At::start(&Source::new(shown, ""));
        return Err(vec![text::too_large(text.len()).at(start.location())]);
    }
    match &*end {
        "toml" if name == "pyproject.toml" => {
            let tree = tables::read(shown, text).map_err(|problem| vec![problem])?;
            Ok(python::with_requirements(tree))
        }
        "toml" => tables::read(shown, text).map_err(|problem| vec![problem]),
        "txt" => Ok(python::requirements(shown, text)),
        "mod" => Ok(go::read(shown, text)),
        _ => text::single(shown, text),
    }
}

#[cfg(test)]
mod tests;
