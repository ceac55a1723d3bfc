//! The file that says how an image is built: which it is, in which language, and what it means.

use std::collections::BTreeMap;
use std::path::Path;

use crate::blubber::Blubber;
use crate::dockerfile;
use crate::plan::{Plan, Problem};

/// Where a folder has its file, the first that is there.
pub const FILES: [&str; 4] = [
    ".pipeline/blubber.yaml",
    "blubber.yaml",
    "Dockerfile",
    "Containerfile",
];

/// The variants of a Blubber file that are built where none is named, the first that is there.
const USUAL: [&str; 2] = ["production", "test"];

/// What is built, of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recipe {
    /// The steps.
    pub plan: Plan,
    /// The variant or stage; `None` where it has no name.
    pub variant: Option<String>,
}

/// Whether a file is one of Blubber's, by its name.
pub fn is_blubber(file: &Path) -> bool {
    let extension = file.extension();
    extension.is_some_and(|it| it == "yaml" || it == "yml")
}

/// What building a file means. Without a `variant` it is a Dockerfile's last stage, or Blubber's
/// `production`, or the one that comes nearest to it.
///
/// `arguments` are those that the user gives: they may choose the base.
pub fn read(
    file: &Path,
    text: &str,
    variant: Option<&str>,
    arguments: &BTreeMap<String, String>,
) -> Result<Recipe, Vec<Problem>> {
    if !is_blubber(file) {
        let plan = dockerfile::plan(text, variant, arguments)?;
        let name = plan.stages.last().map(|stage| stage.name.clone());
        // The stages of a file without names have numbers, which say nothing.
        let variant = name.filter(|name| name.parse::<usize>().is_err());
        return Ok(Recipe { plan, variant });
    }
    let blubber = Blubber::read(text)?;
    let variants = blubber.variants();
    let usual = USUAL.into_iter().chain(variants.first().copied());
    let mut usual = usual.filter(|name| variants.contains(name));
    let name = variant.or_else(|| usual.next()).unwrap_or(USUAL[0]);
    let plan = blubber.plan(name).map_err(|error| {
        let known = error.known.join(", ");
        let problem = Problem::new(0, error.to_string());
        vec![problem.hint(format!("its variants are: {known}"))]
    })?;
    Ok(Recipe {
        plan,
        variant: Some(name.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(file: &str, text: &str, variant: Option<&str>) -> Result<Option<String>, String> {
        match read(Path::new(file), text, variant, &BTreeMap::new()) {
            Ok(recipe) => Ok(recipe.variant),
            Err(problems) => Err(format!("{} {:?}", problems[0].message, problems[0].hint)),
        }
    }

    const BLUBBER: &str = "version: v4\nvariants:\n  build: {base: a}\n  test: {base: a}\n";

    #[test]
    fn without_a_name_it_is_the_one_that_runs() {
        let of = |file, text| variant(file, text, None).unwrap();
        assert_eq!(of("Dockerfile", "FROM scratch\n"), None);
        let named = "FROM scratch AS one\nFROM scratch AS two\n";
        assert_eq!(of("Dockerfile", named).as_deref(), Some("two"));
        assert_eq!(
            of(".pipeline/blubber.yaml", BLUBBER).as_deref(),
            Some("test")
        );
    }

    #[test]
    fn a_name_that_is_none_is_told_with_those_that_are() {
        let unknown = variant("blubber.yaml", BLUBBER, Some("tset")).unwrap_err();
        assert_eq!(
            unknown,
            "there is no variant `tset` Some(\"its variants are: build, test\")"
        );
    }
}
