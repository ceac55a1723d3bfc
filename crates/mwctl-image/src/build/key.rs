//! Names of builds, made of all that has a say in them, before anything is made.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;

use super::local::Local;
use super::state::Inputs;
use super::{BuildError, Context};
use crate::plan::Plan;
use crate::store::Store;

/// What is in a folder that is built and makes no image a new one: what git keeps for itself, which
/// looking at the folder changes, mwctl's own description, which says how the image is run, and its lock, of
/// which the digests of the bases have their say by themselves.
const ASIDE: [&str; 3] = [".git", "mwctl.yaml", "mwctl.lock"];

/// The names of a build.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Key {
    /// Of everything: equal ones build equal images.
    pub whole: String,
    /// Of everything but the folder's files: what a container that is developed can't take over
    /// from the folder by itself.
    pub foundation: String,
}

/// Names a build. `bases` has the digests of the images that the plan names. Reads the folder, of
/// which only what is new, and blocks.
pub fn key(
    store: &Store,
    plan: &Plan,
    context: &Context,
    arguments: &BTreeMap<String, String>,
    bases: &BTreeMap<String, String>,
) -> Result<Key, BuildError> {
    let mut inputs = Inputs::default();
    let steps = serde_json::to_string(plan).map_err(std::io::Error::from);
    inputs.add(
        "steps",
        steps.map_err(BuildError::context(&context.folder))?,
    );
    named(store, inputs, context, arguments, bases)
}

/// Names a build that another engine makes: of all that mwctl tells it (`said`) instead of the steps, which
/// only it knows.
pub fn key_of_engine(
    store: &Store,
    said: &[(&str, &str)],
    context: &Context,
    arguments: &BTreeMap<String, String>,
    bases: &BTreeMap<String, String>,
) -> Result<Key, BuildError> {
    let mut inputs = Inputs::default();
    for (what, text) in said {
        inputs.add(*what, *text);
    }
    named(store, inputs, context, arguments, bases)
}

fn named(
    store: &Store,
    mut inputs: Inputs,
    context: &Context,
    arguments: &BTreeMap<String, String>,
    bases: &BTreeMap<String, String>,
) -> Result<Key, BuildError> {
    for (name, value) in arguments {
        inputs.add(name, value);
    }
    for (name, digest) in bases {
        inputs.add(name, digest);
    }
    let foundation = inputs.key("build");
    let local = Local::open(store, context).map_err(BuildError::context(&context.folder))?;
    let files = local.all()?;
    let mut inputs = Inputs::default();
    for (path, data) in files {
        let first = path.iter().next();
        if first.is_some_and(|first| ASIDE.iter().any(|aside| first == *aside)) {
            continue;
        }
        let hash = if data.is_dir() {
            String::new()
        } else {
            local
                .hash(&path, &data)
                .map_err(BuildError::context(&path))?
        };
        let name = hex::encode(path.as_os_str().as_bytes());
        inputs.add(name, format!("{:o} {hash}", data.mode()));
    }
    local.close();
    Ok(Key {
        whole: inputs.key(&foundation),
        foundation,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::owners::Owners;

    struct Bench(tempfile::TempDir);

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir_all(folder.path().join("context/.git")).unwrap();
            Self(folder)
        }

        fn file(&self, name: &str, content: &str) {
            fs::write(self.0.path().join("context").join(name), content).unwrap();
        }

        fn context(&self) -> Context {
            let folder = self.0.path().join("context");
            Context {
                file: folder.join("Dockerfile"),
                folder,
            }
        }

        fn key(&self, text: &str, base: &str) -> Key {
            let store = Store::open(&self.0.path().join("store"), Owners::of_process()).unwrap();
            let none = BTreeMap::new();
            let plan = crate::dockerfile::plan(text, None, &none).unwrap();
            let bases = BTreeMap::from([("base".to_owned(), base.to_owned())]);
            key(&store, &plan, &self.context(), &none, &bases).unwrap()
        }
    }

    #[test]
    fn a_file_makes_another_image_upon_the_same_foundation() {
        let bench = Bench::new();
        let text = "FROM base\nCOPY . .\n";
        let empty = bench.key(text, "1");
        bench.file("a", "1");
        let one = bench.key(text, "1");
        assert_ne!(one.whole, empty.whole);
        assert_eq!(one.foundation, empty.foundation);
        bench.file("a", "2");
        assert_ne!(bench.key(text, "1").whole, one.whole);
        bench.file("a", "1");
        assert_eq!(bench.key(text, "1"), one);
    }

    #[test]
    fn another_base_and_another_step_are_another_foundation() {
        let bench = Bench::new();
        let one = bench.key("FROM base\n", "1");
        assert_ne!(bench.key("FROM base\n", "2").foundation, one.foundation);
        let more = bench.key("FROM base\nENV A=1\n", "1");
        assert_ne!(more.foundation, one.foundation);
    }

    #[test]
    fn what_another_engine_makes_is_named_by_what_it_is_told_and_the_files() {
        let bench = Bench::new();
        let key = |said: &[(&str, &str)]| {
            let store = Store::open(&bench.0.path().join("store"), Owners::of_process()).unwrap();
            let none = BTreeMap::new();
            key_of_engine(&store, said, &bench.context(), &none, &none).unwrap()
        };
        let one = key(&[("engine", "buildkit"), ("file", "FROM a")]);
        let two = key(&[("engine", "docker"), ("file", "FROM a")]);
        assert_ne!(two.foundation, one.foundation);
        bench.file("a", "1");
        let three = key(&[("engine", "buildkit"), ("file", "FROM a")]);
        assert_eq!(three.foundation, one.foundation);
        assert_ne!(three.whole, one.whole);
    }

    #[test]
    fn what_is_left_out_or_beside_the_point_changes_nothing() {
        let bench = Bench::new();
        bench.file(".dockerignore", "*.log\n");
        let before = bench.key("FROM base\n", "1");
        bench.file("x.log", "1");
        bench.file(".git/index", "1");
        bench.file("mwctl.yaml", "1");
        bench.file("mwctl.lock", "1");
        assert_eq!(bench.key("FROM base\n", "1"), before);
        // What is left out for this file alone counts instead.
        bench.file("Dockerfile.dockerignore", "*.txt\n");
        let own = bench.key("FROM base\n", "1");
        assert_ne!(own, before);
        bench.file("x.txt", "1");
        assert_eq!(bench.key("FROM base\n", "1"), own);
        bench.file("x.log", "2");
        assert_ne!(bench.key("FROM base\n", "1"), own);
    }
}
