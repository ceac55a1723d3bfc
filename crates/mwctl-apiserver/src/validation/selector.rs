//! Label selectors as objects have them (`matchLabels`, `matchExpressions`).

use serde_json::Value;

use super::report::{Path, Report, items, text};
use super::texts;
use crate::names;

/// Complains about a selector; whether it can be used.
pub(super) fn check(selector: &Value, at: &Path<'_>, report: &mut Report) -> bool {
    let before = report.causes.len();
    texts::labels(&selector["matchLabels"], &at.field("matchLabels"), report);
    let expressions = at.field("matchExpressions");
    for (index, expression) in items(&selector["matchExpressions"]) {
        let at = expressions.index(index);
        let operator = &expression["operator"];
        let values = expression["values"].as_array().map_or(0, Vec::len);
        match text(operator) {
            "In" | "NotIn" if values == 0 => {
                report.required(
                    &at.field("values"),
                    "must be specified when `operator` is 'In' or 'NotIn'",
                );
            }
            "Exists" | "DoesNotExist" if values > 0 => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                report.forbidden(&at.field("values"), detail);
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => report.invalid(
                &at.field("operator"),
                operator,
                "not a valid selector operator",
            ),
        }
        let key = &expression["key"];
        report.all_invalid(&at.field("key"), key, names::qualified_name(text(key)));
        let values = at.field("values");
        for (index, value) in items(&expression["values"]) {
            let complaints = names::label_value(text(value));
            report.all_invalid(&values.index(index), value, complaints);
        }
    }
    report.causes.len() == before
}

/// Whether a selector says nothing, and so means everything.
pub(super) fn is_empty(selector: &Value) -> bool {
    let labels = selector["matchLabels"]
        .as_object()
        .is_none_or(serde_json::Map::is_empty);
    labels
        && selector["matchExpressions"]
            .as_array()
            .is_none_or(Vec::is_empty)
}

/// Whether labels are selected.
pub(super) fn matches(selector: &Value, labels: &Value) -> bool {
    let wanted = selector["matchLabels"].as_object();
    let all = wanted
        .into_iter()
        .flatten()
        .all(|(key, value)| labels[key] == *value);
    all && items(&selector["matchExpressions"]).all(|(_, expression)| {
        let found = &labels[text(&expression["key"])];
        let listed = expression["values"]
            .as_array()
            .is_some_and(|values| values.contains(found));
        match text(&expression["operator"]) {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => !found.is_null(),
            _ => found.is_null(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_value_has_to_be_one_that_a_label_can_have() {
        let mut report = Report::default();
        let selector = json!({"matchExpressions": [
            {"key": "a", "operator": "In", "values": ["fine", "not a label"]}]});
        assert!(!check(&selector, &Path::root("selector"), &mut report));
        let fields: Vec<&str> = report.causes.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, ["selector.matchExpressions[0].values[1]"]);
    }

    #[test]
    fn a_selector_selects_what_satisfies_all_of_it() {
        let selector = json!({"matchLabels": {"a": "b"}, "matchExpressions": [
            {"key": "c", "operator": "In", "values": ["d", "e"]}, {"key": "f", "operator": "DoesNotExist"}]});
        assert!(matches(&selector, &json!({"a": "b", "c": "e"})));
        assert!(!matches(&selector, &json!({"a": "b", "c": "x"})));
        assert!(!matches(&selector, &json!({"a": "b", "c": "e", "f": ""})));
        assert!(is_empty(&json!({"matchLabels": {}})) && !is_empty(&selector));
    }
}
