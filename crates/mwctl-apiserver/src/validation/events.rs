//! Events: those that tell their time in the newer way have to tell the rest of it, too.

use serde_json::{Value, json};

use super::report::{Path, Report, text};
use crate::names;

/// An event, under the names that it is stored with.
pub(super) fn event(event: &Value, report: &mut Report) {
    let place = text(&event["metadata"]["namespace"]);
    let about = &event["involvedObject"]["namespace"];
    let is_newer = !event["eventTime"].is_null();
    let is_right = match (text(about), is_newer) {
        ("", false) => place.is_empty() || place == "default",
        ("", true) => matches!(place, "default" | "kube-system"),
        (_, true) => true,
        (about, false) => about == place,
    };
    if !is_right {
        let at = Path::root("involvedObject");
        let about = json!(text(about));
        report.invalid(
            &at.field("namespace"),
            &about,
            "does not match event.namespace",
        );
    }
    if !is_newer {
        return;
    }
    let at = Path::root("reportingComponent");
    let controller = text(&event["reportingComponent"]);
    if controller.is_empty() {
        report.required(&at, "");
    }
    let complaints = names::qualified_name(controller);
    report.all_invalid(&at, &json!(controller), complaints);
    for (field, most) in [("reportingInstance", 128), ("action", 128), ("reason", 128)] {
        let value = text(&event[field]);
        if value.is_empty() {
            report.required(&Path::root(field), "");
        } else if value.len() > most {
            let detail = format!("can have at most {most} characters");
            report.invalid(&Path::root(field), &json!(""), &detail);
        }
    }
    if text(&event["message"]).len() > 1024 {
        let detail = "can have at most 1024 characters";
        report.invalid(&Path::root("message"), &json!(""), detail);
    }
}
