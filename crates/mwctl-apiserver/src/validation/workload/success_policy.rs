//! What a Job's policy for success may say.

use serde_json::{Value, json};

use crate::validation::report::{Path, Report, items};

/// The most rules.
const MOST: usize = 20;

/// The longest set of indexes, in bytes.
const LONGEST: usize = 64 * 1024;

/// The policy of a job, if it has one.
pub(super) fn check(spec: &Value, at: &Path<'_>, report: &mut Report) {
    let policy = &spec["successPolicy"];
    if policy.is_null() {
        return;
    }
    let at = at.field("successPolicy");
    if spec["completionMode"] != "Indexed" {
        report.invalid(&at, &shown(policy), "requires indexed completion mode");
        return;
    }
    let at = at.field("rules");
    if items(&policy["rules"]).next().is_none() {
        let detail = "at least one rules must be specified when the successPolicy is specified";
        report.required(&at, detail);
    }
    report.not_more(&policy["rules"], &at, MOST);
    // That an Indexed job needs a number of them has been said already.
    let completions = spec["completions"].as_i64().unwrap_or_default();
    for (place, rule) in items(&policy["rules"]) {
        check_rule(rule, completions, &at.index(place), report);
    }
}

/// The policy as Go prints the internal type.
pub(super) fn shown(policy: &Value) -> Value {
    if policy.is_null() {
        return Value::Null;
    }
    let rules = items(&policy["rules"]).map(|(_, rule)| {
        json!({"SucceededIndexes": rule["succeededIndexes"], "SucceededCount": rule["succeededCount"]})
    });
    json!({ "Rules": rules.collect::<Value>() })
}

fn check_rule(rule: &Value, completions: i64, at: &Path<'_>, report: &mut Report) {
    let (indexes, count) = (&rule["succeededIndexes"], &rule["succeededCount"]);
    if indexes.is_null() && count.is_null() {
        let detail = "at least one of succeededCount or succeededIndexes must be specified";
        report.required(at, detail);
    }
    let mut total = 0;
    if let Some(text) = indexes.as_str() {
        let at = at.field("succeededIndexes");
        if text.len() > LONGEST {
            report.too_long(&at, LONGEST);
        }
        match size(text, completions) {
            Ok(size) => total = size,
            Err(error) => {
                let detail = format!("error parsing succeededIndexes: {error}");
                report.invalid(&at, indexes, &detail);
            }
        }
    }
    report.not_negative(rule, at, &["succeededCount"]);
    let at = at.field("succeededCount");
    let mut limit = |most: i64, which: &str| {
        if count.as_i64().is_some_and(|count| count > most) {
            let detail = format!("must be less than or equal to {most} (the number of {which})");
            report.invalid(&at, count, &detail);
        }
    };
    limit(completions, "specified completions");
    if !indexes.is_null() {
        limit(total, "indexes in the specified succeededIndexes field");
    }
}

/// The size of a set of indexes below a number, such as `0,2-4`: in order, and none twice.
fn size(text: &str, completions: i64) -> Result<i64, String> {
    let index = |text: &str| -> Result<i64, String> {
        let index: i64 = (text.parse())
            .map_err(|_| format!("cannot convert string to integer for index: {text:?}"))?;
        if index >= completions {
            return Err(format!("too large index: {text:?}"));
        }
        Ok(index)
    };
    let disorder = |before: i64, after: i64| {
        format!("non-increasing order, previous: {before}, current: {after}")
    };
    let mut total = 0;
    let mut known = None;
    for interval in text.split(',').filter(|_| !text.is_empty()) {
        let (first, last) = match interval.split('-').collect::<Vec<_>>()[..] {
            [first] => (index(first)?, index(first)?),
            [first, last] => {
                let (first, last) = (index(first)?, index(last)?);
                if first >= last {
                    return Err(disorder(first, last));
                }
                (first, last)
            }
            _ => {
                return Err(format!(
                    "the fragment {interval:?} violates the requirement that an index interval can have at most two parts separated by '-'"
                ));
            }
        };
        if let Some(known) = known.filter(|known| *known >= first) {
            return Err(disorder(known, first));
        }
        total += last - first + 1;
        known = Some(last);
    }
    Ok(total)
}
