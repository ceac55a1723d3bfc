//! The file that says how an image is built: which it is, in which language, and what it means.

use std::collections::{BTreeMap, BTreeSet};
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
    let name = variant.or_else(|| usual(&blubber)).unwrap_or(USUAL[0]);
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

/// What is seen of a file that another engine builds. Nothing of it is refused here.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outline {
    /// What the engine must be told to build; `None` where it is the file's last stage.
    pub target: Option<String>,
    /// The variant or stage; `None` where it has no name.
    pub variant: Option<String>,
    /// The images that a Dockerfile names, as far as they can be seen.
    pub images: BTreeSet<String>,
    /// The image that explains the file's language to `BuildKit`.
    pub syntax: Option<String>,
}

/// What is seen of a file without understanding all of it.
pub fn outline(
    file: &Path,
    text: &str,
    variant: Option<&str>,
    arguments: &BTreeMap<String, String>,
) -> Outline {
    let syntax = syntax(text);
    if is_blubber(file) {
        // Whoever it is that builds the file, without a name the same variant is meant.
        let blubber = Blubber::read(text);
        let usual = blubber.as_ref().map_or(Some(USUAL[0]), usual);
        let target = variant.or(usual).map(str::to_owned);
        return Outline {
            variant: target.clone(),
            target,
            images: BTreeSet::new(),
            syntax,
        };
    }
    let plan = dockerfile::outline(text, arguments);
    let last = plan.stages.last().map(|stage| stage.name.clone());
    let last = last.filter(|name| name.parse::<usize>().is_err());
    Outline {
        target: variant.map(str::to_owned),
        variant: variant.map(str::to_owned).or(last),
        images: plan.images().into_iter().map(str::to_owned).collect(),
        syntax,
    }
}

/// The variant that is built where none is named.
fn usual(blubber: &Blubber) -> Option<&str> {
    let variants = blubber.variants();
    let usual = USUAL.into_iter().find(|name| variants.contains(name));
    usual.or_else(|| variants.first().copied())
}

/// What the first lines of a file say of its language.
fn syntax(text: &str) -> Option<String> {
    let lines = text.trim_start_matches('\u{feff}').lines();
    let comments = lines.map_while(|line| line.trim().strip_prefix('#'));
    let said = comments.filter_map(|comment| comment.split_once('='));
    let mut named = said.filter(|(name, _)| name.trim().eq_ignore_ascii_case("syntax"));
    named.next().map(|(_, image)| image.trim().to_owned())
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
    fn of_what_another_engine_builds_the_names_are_seen() {
        let seen = |file, text, variant| outline(Path::new(file), text, variant, &BTreeMap::new());
        let text = "# escape=\\\n#syntax = docker/dockerfile:1\nARG B=two\nFROM one AS a\nONBUILD RUN x\n\
                    FROM $B:2 AS b\nRUN <<X\nX\nCOPY --from=three / /\n";
        let of = seen("Dockerfile", text, None);
        assert_eq!((of.target, of.variant.as_deref()), (None, Some("b")));
        assert_eq!(
            of.images.into_iter().collect::<Vec<_>>(),
            ["one", "three", "two:2"]
        );
        assert_eq!(of.syntax.as_deref(), Some("docker/dockerfile:1"));
        let of = seen("Dockerfile", text, Some("a"));
        assert_eq!(
            (of.target.as_deref(), of.variant.as_deref()),
            (Some("a"), Some("a"))
        );

        let of = seen("blubber.yaml", BLUBBER, None);
        assert_eq!((of.target.as_deref(), of.syntax), (Some("test"), None));
        // Also where only the engine understands it.
        let of = seen("blubber.yaml", "version: v5\n", None);
        assert_eq!(of.variant.as_deref(), Some("production"));
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
