//! Fills in the templates of a tree: `{{ facts.port }}` and the like.
//!
//! A text that is one expression and nothing else keeps the expression's type, so that a port stays a
//! number. A name that isn't known is a problem with the nearest one; nothing becomes empty silently.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, ValueKind};
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde::Serialize;
use serde_json::Number;

use super::nearest;
use super::node::{At, Entry, Node, Tree};
use crate::problem::{Problem, Rule};

/// How many steps a template may take: enough for any text, and no endless loop.
const FUEL: u64 = 100_000;

/// What makes a text a template.
const MARKS: [&str; 3] = ["{{", "{%", "{#"];

/// How templates are read: the same for all of them.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    let mut syntax = SyntaxConfig::builder();
    syntax.keep_trailing_newline(true);
    if let Ok(syntax) = syntax.build() {
        environment.set_syntax(syntax);
    }
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment
});

/// Something that templates may refer to. A clone shares it, so that what many contexts know is made once.
pub(crate) type Known = minijinja::Value;

/// Makes a value known.
pub(crate) fn known(value: &impl Serialize) -> Known {
    Known::from(Serde(value))
}

/// Makes values known by their names.
pub(crate) fn map(known: impl IntoIterator<Item = (impl Into<String>, Known)>) -> Known {
    let named = known.into_iter().map(|(name, value)| (name.into(), value));
    Known::from(named.collect::<BTreeMap<String, Known>>())
}

/// What templates may refer to.
pub(crate) struct Context(Known);

impl Context {
    /// Everything that is known, by its name.
    pub(crate) fn new(known: impl IntoIterator<Item = (&'static str, Known)>) -> Self {
        Self(map(known))
    }

    /// The tree with every template below it filled in; keys are left as they are.
    pub(crate) fn render(&self, node: &Node, problems: &mut Vec<Problem>) -> Node {
        let tree = match &node.tree {
            Tree::Text(text) => match self.text(text) {
                Ok(tree) => tree,
                Err(failure) => {
                    problems.push(failure.at(&node.at));
                    Tree::Text(String::new())
                }
            },
            Tree::List(items) => Tree::List(
                items
                    .iter()
                    .map(|item| self.render(item, problems))
                    .collect(),
            ),
            Tree::Map(entries) => Tree::Map(
                entries
                    .iter()
                    .map(|entry| Entry {
                        key: entry.key.clone(),
                        at: entry.at.clone(),
                        value: self.render(&entry.value, problems),
                    })
                    .collect(),
            ),
            other => other.clone(),
        };
        Node {
            at: node.at.clone(),
            tree,
        }
    }

    fn text(&self, text: &str) -> Result<Tree, Failure> {
        if !MARKS.iter().any(|mark| text.contains(mark)) {
            return Ok(Tree::Text(text.to_owned()));
        }
        let Some(expression) = only_expression(text) else {
            let template = ENVIRONMENT.template_from_str(text);
            let template = template.map_err(|error| Failure::syntax(&error))?;
            return template
                .render(&self.0)
                .map(Tree::Text)
                .map_err(|error| self.failure(&error, template.undeclared_variables(true)));
        };
        let compiled = ENVIRONMENT.compile_expression(expression);
        let compiled = compiled.map_err(|error| Failure::syntax(&error))?;
        let names = || compiled.undeclared_variables(true);
        let value = compiled
            .eval(&self.0)
            .map_err(|error| self.failure(&error, names()))?;
        match value.kind() {
            ValueKind::Undefined => Err(self.unknown(names())),
            ValueKind::Bool => Ok(Tree::Bool(value.is_true())),
            ValueKind::Number => {
                let number = serde_json::to_value(&value).ok();
                let number: Option<Number> = number.and_then(|it| it.as_number().cloned());
                Ok(number.map_or_else(|| Tree::Text(value.to_string()), Tree::Number))
            }
            ValueKind::String => Ok(Tree::Text(value.to_string())),
            other => Err(Failure::new(format!(
                "the template gives a {other}, not a single value"
            ))),
        }
    }

    fn failure(
        &self,
        error: &minijinja::Error,
        names: std::collections::HashSet<String>,
    ) -> Failure {
        match error.kind() {
            ErrorKind::UndefinedError => self.unknown(names),
            ErrorKind::OutOfFuel => Failure::new("the template takes too many steps"),
            _ => Failure::syntax(error),
        }
    }

    /// Names the first variable that isn't there, and what is.
    fn unknown(&self, names: std::collections::HashSet<String>) -> Failure {
        let mut names: Vec<String> = names.into_iter().collect();
        names.sort();
        for name in names {
            let mut value = self.0.clone();
            let mut path = String::new();
            for step in name.split('.') {
                let next = value.get_attr(step).ok();
                let Some(next) = next.filter(|next| !next.is_undefined()) else {
                    let keys = (value.kind() == ValueKind::Map).then(|| value.try_iter());
                    let keys = keys.and_then(Result::ok).into_iter().flatten();
                    let known: Vec<String> =
                        keys.map(|key| join(&path, &key.to_string())).collect();
                    let wrong = join(&path, step);
                    let mut failure = Failure::new(format!("`{wrong}` isn't known"));
                    failure.hint = nearest::hint(&wrong, known.iter().map(String::as_str));
                    return failure;
                };
                path = join(&path, step);
                value = next;
            }
        }
        Failure::new("the template uses a value that isn't known")
    }
}

/// The names that a text's templates use, as in `facts.port`.
pub(crate) fn names(text: &str) -> Vec<String> {
    if !MARKS.iter().any(|mark| text.contains(mark)) {
        return Vec::new();
    }
    let template = ENVIRONMENT.template_from_str(text);
    let names = template.map(|template| template.undeclared_variables(true));
    let mut names: Vec<String> = names.unwrap_or_default().into_iter().collect();
    names.sort();
    names
}

fn join(path: &str, step: &str) -> String {
    if path.is_empty() {
        step.to_owned()
    } else {
        format!("{path}.{step}")
    }
}

/// The expression of a text that is `{{ expression }}` and nothing else.
fn only_expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let plain = !["{{", "}}", "{%"].iter().any(|mark| inner.contains(mark));
    (plain && !inner.starts_with('-') && !inner.ends_with('-')).then_some(inner)
}

struct Failure {
    message: String,
    hint: Option<String>,
}

impl Failure {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    fn syntax(error: &minijinja::Error) -> Self {
        let detail = error
            .detail()
            .map(|it| format!(": {it}"))
            .unwrap_or_default();
        Self::new(format!(
            "the template can't be filled in: {}{detail}",
            error.kind()
        ))
    }

    fn at(self, at: &At) -> Problem {
        let problem = Problem::new(self.message)
            .rule(Rule::Template)
            .at(at.location());
        match self.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::text::single;
    use super::*;

    fn render(text: &str) -> Result<Value, String> {
        let context = Context::new([
            ("facts", known(&json!({ "port": 8080, "name": "x" }))),
            (
                "services",
                known(&json!({ "redis": { "host": "redis-local" } })),
            ),
        ]);
        let node = single(Path::new("a.yaml"), text).unwrap();
        let mut problems = Vec::new();
        let node = context.render(&node, &mut problems);
        match problems.first() {
            None => Ok(node.value(true)),
            Some(problem) => Err(problem.to_string()),
        }
    }

    #[test]
    fn a_single_expression_keeps_its_type() {
        assert_eq!(render(r#"a: "{{ facts.port }}""#), Ok(json!({ "a": 8080 })));
        assert_eq!(
            render(r#"a: "{{ facts.port }}/x""#),
            Ok(json!({ "a": "8080/x" }))
        );
        assert_eq!(
            render("a: |\n  <{{ facts.name }}>\n"),
            Ok(json!({ "a": "<x>\n" }))
        );
    }

    #[test]
    fn an_unknown_name_is_a_problem_with_the_nearest() {
        assert_eq!(
            render(r#"a: "{{ facts.prot }}""#),
            Err("a.yaml:1:4: `facts.prot` isn't known (did you mean `facts.port`?)".to_owned())
        );
        assert_eq!(
            render(r#"a: "x{{ services.reddis.host }}""#),
            Err(
                "a.yaml:1:4: `services.reddis` isn't known (did you mean `services.redis`?)"
                    .to_owned()
            )
        );
        assert_eq!(
            render(r#"a: "{{ facts.x | default(3) }}""#),
            Ok(json!({ "a": 3 }))
        );
    }

    #[test]
    fn a_broken_or_endless_template_is_a_problem() {
        assert!(
            render(r#"a: "{{ facts. }}""#)
                .unwrap_err()
                .contains("can't be filled in")
        );
        let endless = r#"a: "{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}""#;
        assert!(render(endless).unwrap_err().contains("too many steps"));
    }

    proptest! {
        #[test]
        fn no_template_makes_it_panic(text in "[{}%#a-z0-9 .|()\\[\\]'\"+*/~-]{0,40}") {
            let context = Context::new([("facts", known(&json!({ "a": 1 })))]);
            drop(context.text(&text));
        }
    }
}
