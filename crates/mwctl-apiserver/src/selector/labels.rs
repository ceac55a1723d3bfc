//! Label selectors: `a=b,c!=d,e in (f,g),!h`, with the complaints of Kubernetes about the rest.

mod parser;

use serde_json::{Map, Value};

/// All requirements must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

/// What one label must be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Exists,
    Absent,
    In,
    NotIn,
    Greater,
    Less,
}

impl LabelSelector {
    /// Reads a selector; an empty text selects everything.
    pub fn parse(text: &str) -> Result<Self, String> {
        let requirements = parser::Parser::new(text).requirements()?;
        Ok(Self { requirements })
    }

    /// Whether there is no requirement.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether labels satisfy every requirement; an object without labels has none of them.
    pub fn matches(&self, labels: Option<&Map<String, Value>>) -> bool {
        self.requirements.iter().all(|requirement| {
            let label = labels.and_then(|labels| labels.get(&requirement.key));
            requirement.holds(label.map(|label| label.as_str().unwrap_or_default()))
        })
    }
}

impl Requirement {
    fn holds(&self, label: Option<&str>) -> bool {
        let among = |label: &str| self.values.iter().any(|value| value == label);
        match (self.operator, label) {
            (Operator::Exists, label) => label.is_some(),
            (Operator::Absent, label) => label.is_none(),
            (Operator::In, label) => label.is_some_and(among),
            (Operator::NotIn, label) => !label.is_some_and(among),
            (Operator::Greater, label) => self.compare(label, |label, bound| label > bound),
            (Operator::Less, label) => self.compare(label, |label, bound| label < bound),
        }
    }

    fn compare(&self, label: Option<&str>, holds: fn(i64, i64) -> bool) -> bool {
        let label = label.and_then(|label| label.parse().ok());
        let bound = self.values.first().and_then(|bound| bound.parse().ok());
        label
            .zip(bound)
            .is_some_and(|(label, bound)| holds(label, bound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matches(selector: &str, labels: &Value) -> bool {
        LabelSelector::parse(selector)
            .unwrap()
            .matches(labels.as_object())
    }

    #[test]
    fn each_operator_means_what_it_says_also_of_a_label_that_is_absent() {
        let labels = json!({"app": "web", "n": "5", "empty": ""});
        for (selector, expected) in [
            ("", true),
            ("app", true),
            ("!app", false),
            ("!none", true),
            ("app=web", true),
            ("app == web , n=5", true),
            ("app!=web", false),
            ("none!=web", true),
            ("app in (db, web)", true),
            ("app notin (db,web)", false),
            ("none notin (db)", true),
            ("empty=", true),
            ("empty in (,a)", true),
            ("none=", false),
            ("n>4", true),
            ("n<5", false),
            ("app>4", false),
            ("none in ()", false),
        ] {
            assert_eq!(matches(selector, &labels), expected, "{selector}");
        }
        assert!(matches("!a", &Value::Null) && !matches("a", &Value::Null));
    }

    #[test]
    fn what_is_no_selector_is_refused_in_upstreams_words() {
        for (selector, complaint) in [
            (
                "a in b",
                "unable to parse requirement: found 'b' expected: '('",
            ),
            (
                "a in (b",
                "unable to parse requirement: found '', expected: ',' or ')'",
            ),
            (
                "a===b",
                "unable to parse requirement: found '=', expected: identifier",
            ),
            (
                "=a",
                "found '=', expected: !, identifier, or 'end of string'",
            ),
            (
                "!!a",
                "unable to parse requirement: found '!', expected: identifier",
            ),
            (
                "a>1x",
                "unable to parse requirement: values[0]: Invalid value: \"1x\": for 'Gt', 'Lt' operators, the value must be an integer",
            ),
            (
                "a foo (b)",
                "unable to parse requirement: found 'foo', expected: in, notin, =, ==, !=, gt, lt",
            ),
            ("a,", "found '', expected: identifier after ','"),
            (
                "a b",
                "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
            ),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            (
                "(a)",
                "found '(', expected: !, identifier, or 'end of string'",
            ),
            ("a=b,,c", "found ',', expected: identifier after ','"),
        ] {
            assert_eq!(
                LabelSelector::parse(selector),
                Err(complaint.to_owned()),
                "{selector}"
            );
        }
        let told = LabelSelector::parse("a=-x").unwrap_err();
        assert!(told.starts_with("unable to parse requirement: values[0][a]: Invalid value: \"-x\": a valid label must be"));
        let told = LabelSelector::parse("A_/=b").unwrap_err();
        assert!(told.starts_with("unable to parse requirement: <nil>: Invalid value: \"A_/\": prefix part a lowercase RFC 1123"));
    }

    #[test]
    fn a_word_that_is_an_operator_elsewhere_may_be_a_value() {
        assert!(matches("a in (in, notin)", &json!({"a": "notin"})));
        assert!(matches("in=notin", &json!({"in": "notin"})));
    }
}
