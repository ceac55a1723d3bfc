//! What the sources of a `COPY` mean: a path, or all that a pattern matches, in the folder that is
//! built or in the layers of another image. Nothing is copied here.
//!
//! As with `BuildKit`, a pattern is matched folder by folder, links are followed where they are
//! named or matched, and a pattern that matches nothing means nothing.

use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::build::StepError;
use crate::build::local::Local;
use crate::view::{Found, View, entries};

/// Something that a source means.
pub(super) struct Meant {
    /// The path by which it was found, whose last part is its name.
    pub named: PathBuf,
    pub what: What,
}

/// What is meant, where it really lies.
pub(super) enum What {
    /// A path of the folder that is built.
    Local(PathBuf),
    /// A file or folder of layers.
    Layers(Found),
}

/// Whether a source may mean several.
pub(super) fn is_pattern(source: &str) -> bool {
    source.contains(['*', '?', '['])
}

/// What is called so in the folder that is built.
pub(super) fn local(local: &Local<'_>, source: &str) -> Result<Vec<Meant>, StepError> {
    let path: PathBuf = Path::new(source.trim_start_matches('/'))
        .components()
        .filter(|component| !matches!(component, Component::CurDir))
        .collect();
    if path.components().any(|it| it == Component::ParentDir) {
        return Err(StepError::Outside(source.to_owned()));
    }
    let context = Context { local, source };
    let missing = || context.missing();
    let Some((above, pattern)) = split(&path, missing)? else {
        let what = What::Local(context.real(&path)?);
        return Ok(vec![Meant { named: path, what }]);
    };
    let folder = context.real(&above)?;
    let mut found = Vec::new();
    local.below(&folder, &mut found)?;
    let mut meant = Vec::new();
    for (path, data) in found {
        let inner = path.strip_prefix(&folder).unwrap_or(&path);
        if !pattern.matches(inner) {
            continue;
        }
        let real = if data.is_symlink() {
            let source = &*path.to_string_lossy();
            Context { local, source }.real(&path)?
        } else {
            path.clone()
        };
        meant.push(Meant {
            named: above.join(inner),
            what: What::Local(real),
        });
    }
    Ok(meant)
}

/// What is at an absolute path of layers, which are those of `place`.
pub(super) fn layers(view: &View, place: &str, path: &str) -> Result<Vec<Meant>, StepError> {
    let path = Path::new(path);
    let missing = |path: &Path| StepError::Missing {
        path: path.display().to_string(),
        place: format!("`{place}`"),
    };
    let followed = |path: &Path| match view.find(path).1 {
        Found::Missing => Err(missing(path)),
        found => Ok(What::Layers(found)),
    };
    let Some((above, pattern)) = split(path, || missing(path))? else {
        return Ok(vec![Meant {
            what: followed(path)?,
            named: path.to_path_buf(),
        }]);
    };
    let Found::Folder(folders) = view.find(&above).1 else {
        return Err(missing(&above));
    };
    let mut found = Vec::new();
    pattern
        .descend(&folders, &above, &mut found)
        .map_err(StepError::io(&above))?;
    let meant = found.into_iter().map(|(named, found)| {
        let what = match found {
            Found::File(file) if file.is_symlink() => followed(&named)?,
            found => What::Layers(found),
        };
        Ok(Meant { named, what })
    });
    meant.collect()
}

/// The folder that is built, and what is looked for in it.
struct Context<'a> {
    local: &'a Local<'a>,
    source: &'a str,
}

impl Context<'_> {
    fn missing(&self) -> StepError {
        StepError::Missing {
            path: self.source.to_owned(),
            place: "the folder that is built".to_owned(),
        }
    }

    /// A path without links, which has to be there and mustn't be left out.
    fn real(&self, path: &Path) -> Result<PathBuf, StepError> {
        let root = self.local.root();
        let full = root.join(path);
        let real = full.canonicalize().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => self.missing(),
            _ => StepError::io(path)(error),
        })?;
        let Ok(real) = real.strip_prefix(root) else {
            return Err(StepError::Outside(self.source.to_owned()));
        };
        for path in [path, real] {
            if self.local.leaves_out(path)? {
                return Err(StepError::Missing {
                    path: self.source.to_owned(),
                    place: "the folder that is built: `.dockerignore` leaves it out".to_owned(),
                });
            }
        }
        Ok(real.to_path_buf())
    }
}

/// The folder before the first part of a path that is a pattern, and the rest; `None` where no part is.
fn split(
    path: &Path,
    missing: impl FnOnce() -> StepError,
) -> Result<Option<(PathBuf, Pattern)>, StepError> {
    let mut above = PathBuf::new();
    let mut parts = path.components();
    loop {
        let rest = parts.as_path();
        match parts.next() {
            None => return Ok(None),
            Some(Component::Normal(part)) if is_pattern(&part.to_string_lossy()) => {
                let pattern = Pattern::of(rest).ok_or_else(missing)?;
                return Ok(Some((above, pattern)));
            }
            Some(part) => above.push(part),
        }
    }
}

/// A pattern, part by part.
struct Pattern(Vec<GlobMatcher>);

impl Pattern {
    fn of(path: &Path) -> Option<Self> {
        path.iter().map(part).collect::<Option<_>>().map(Self)
    }

    fn matches(&self, path: &Path) -> bool {
        path.iter().count() == self.0.len()
            && path
                .iter()
                .zip(&self.0)
                .all(|(name, part)| part.is_match(name))
    }

    /// What it matches below a folder of layers; a link on the way is no folder.
    fn descend(
        &self,
        folders: &[PathBuf],
        above: &Path,
        found: &mut Vec<(PathBuf, Found)>,
    ) -> io::Result<()> {
        let mut open = vec![(above.to_path_buf(), Found::Folder(folders.to_vec()), 0)];
        while let Some((path, what, depth)) = open.pop() {
            let Some(part) = self.0.get(depth) else {
                found.push((path, what));
                continue;
            };
            let Found::Folder(folders) = what else {
                continue;
            };
            let entries = entries(&folders)?.into_iter().rev();
            let matching = entries.filter(|(name, _)| part.is_match(name));
            open.extend(matching.map(|(name, what)| (path.join(name), what, depth + 1)));
        }
        Ok(())
    }
}

/// A part of a pattern as Go's `filepath.Match` has it: `**` is a star, and braces are letters.
fn part(text: &OsStr) -> Option<GlobMatcher> {
    let mut plain = String::new();
    let mut in_class = false;
    for letter in text.to_string_lossy().chars() {
        match letter {
            '*' if !in_class && plain.ends_with('*') => continue,
            '{' | '}' if !in_class => {
                plain.extend(['[', letter, ']']);
                continue;
            }
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
        plain.push(letter);
    }
    Some(GlobBuilder::new(&plain).build().ok()?.compile_matcher())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_matched_part_by_part() {
        for (pattern, path, matches) in [
            ("*", "a", true),
            ("*", ".a", true),
            ("*", "a/b", false),
            ("*/b", "a/b", true),
            ("**/b", "a/b", true),
            ("**/b", "a/a/b", false),
            ("?.[ab]", "x.a", true),
            ("?.[^ab]", "x.a", false),
            ("{a,b}*", "a", false),
            ("{a,b}*", "{a,b}c", true),
        ] {
            let matched = Pattern::of(Path::new(pattern)).unwrap();
            assert_eq!(
                matched.matches(Path::new(path)),
                matches,
                "{pattern} {path}"
            );
        }
        assert!(Pattern::of(Path::new("[a")).is_none());
    }
}
