//! The cells of events, in their old form and in their new one.

use serde_json::{Value, json};

use super::{Shown, age, number, text};

/// The cell of a column.
pub(super) fn cell(column: &str, shown: Shown<'_>) -> Option<Value> {
    let event = shown.object;
    // `events.k8s.io` has other names for the same things.
    let either = |one: &str, other: &str| {
        let value = &event[one];
        if value.is_null() {
            event[other].clone()
        } else {
            value.clone()
        }
    };
    let first = either("firstTimestamp", "deprecatedFirstTimestamp");
    let last = either("lastTimestamp", "deprecatedLastTimestamp");
    let first = if first.is_null() {
        event["eventTime"].clone()
    } else {
        first
    };
    let series = &event["series"];
    Some(match column {
        "Last Seen" => {
            let seen = if series.is_null() {
                last
            } else {
                series["lastObservedTime"].clone()
            };
            json!(age::since(
                if seen.is_null() { &first } else { &seen },
                shown.now
            ))
        }
        "First Seen" => json!(age::since(&first, shown.now)),
        "Type" => event["type"].clone(),
        "Reason" => event["reason"].clone(),
        "Message" => json!(text(&either("message", "note")).trim()),
        "Object" => {
            let about = either("involvedObject", "regarding");
            let kind = text(&about["kind"]).to_lowercase();
            match text(&about["name"]) {
                "" => json!(kind),
                name => json!(format!("{kind}/{name}")),
            }
        }
        "Subobject" => json!(text(&either("involvedObject", "regarding")["fieldPath"])),
        "Source" => {
            let source = either("source", "deprecatedSource");
            let (component, host) = match text(&source["component"]) {
                "" => (
                    text(&either("reportingComponent", "reportingController")).to_owned(),
                    text(&event["reportingInstance"]).to_owned(),
                ),
                component => (component.to_owned(), text(&source["host"]).to_owned()),
            };
            json!(if host.is_empty() {
                component
            } else {
                format!("{component}, {host}")
            })
        }
        "Count" => {
            let count = number(&either("count", "deprecatedCount"));
            json!(if series.is_null() {
                count.max(1)
            } else {
                number(&series["count"])
            })
        }
        _ => return None,
    })
}
