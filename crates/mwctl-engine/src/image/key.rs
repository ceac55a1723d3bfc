//! Keys: a hash of everything that has a say in a result, so that equal inputs have equal names.

use std::os::unix::ffi::OsStrExt as _;

use mwctl_core::develop::Rules;
use mwctl_core::model::{Build, Dependencies};

use super::base::Base;
use super::files::{Content, SourceFile};

/// Changes whenever the same inputs would be packed differently.
const FORMAT: &str = "mwctl image 1";

/// Hashes fields so that no two sequences of fields look alike.
struct Fields(blake3::Hasher);

impl Fields {
    fn new(kind: &str) -> Self {
        let mut fields = Self(blake3::Hasher::new());
        fields.add(FORMAT.as_bytes());
        fields.add(kind.as_bytes());
        fields
    }

    fn add(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn list<'a>(&mut self, items: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.0.update(&(items.len() as u64).to_le_bytes());
        for item in items {
            self.add(item);
        }
    }

    fn pairs(&mut self, pairs: &std::collections::BTreeMap<String, String>) {
        self.list(pairs.keys().map(String::as_bytes));
        self.list(pairs.values().map(String::as_bytes));
    }

    fn finish(self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

/// The key of an installed set of dependencies. `inputs` are its files by name and content.
pub(super) fn dependencies(
    step: &Dependencies,
    inputs: &[(String, blake3::Hash)],
    base: &Base,
) -> String {
    let mut fields = Fields::new("dependencies");
    fields.add(base.digest.as_bytes());
    fields.list(step.command.iter().map(String::as_bytes));
    fields.pairs(&step.environment);
    fields.list(step.directories.iter().map(String::as_bytes));
    fields.list(inputs.iter().map(|(name, _)| name.as_bytes()));
    for (_, hash) in inputs {
        fields.add(hash.as_bytes());
    }
    fields.finish()
}

/// The key of all that a developed container can't take over from a checkout: what the image is made
/// upon, how, and the files that ask for a new one.
pub(super) fn foundation(
    build: &Build,
    base: &Base,
    rules: &Rules,
    files: &[SourceFile],
) -> String {
    let mut fields = Fields::new("foundation");
    recipe(&mut fields, build, base);
    for file in files {
        let path = file.path.to_string_lossy();
        if rules.rebuilds(&path) {
            add(&mut fields, file);
        }
    }
    fields.finish()
}

fn recipe(fields: &mut Fields, build: &Build, base: &Base) {
    fields.add(base.digest.as_bytes());
    fields.add(build.directory.as_bytes());
    fields.add(&build.user.to_le_bytes());
    fields.add(&build.owner.to_le_bytes());
    fields.list(build.entrypoint.iter().map(String::as_bytes));
    fields.pairs(&build.environment);
}

fn add(fields: &mut Fields, file: &SourceFile) {
    fields.add(file.path.as_os_str().as_bytes());
    match &file.content {
        Content::File { hash, executable } => {
            fields.add(if *executable { b"program" } else { b"file" });
            fields.add(hash.as_bytes());
        }
        Content::Link { target } => {
            fields.add(b"link");
            fields.add(target.as_os_str().as_bytes());
        }
    }
}

/// The key of an image.
pub(super) fn image(
    build: &Build,
    base: &Base,
    dependencies: Option<&str>,
    files: &[SourceFile],
) -> String {
    let mut fields = Fields::new("image");
    recipe(&mut fields, build, base);
    fields.add(dependencies.unwrap_or_default().as_bytes());
    for file in files {
        add(&mut fields, file);
    }
    fields.finish()
}

/// The tag of an image: long enough that no two of a developer's images meet.
pub(super) fn tag(key: &str) -> &str {
    &key[..12]
}
