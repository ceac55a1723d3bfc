//! The cells of requests for certificates.

use serde_json::{Value, json};

use super::{age, items, or_none, text};

/// The cell of a column.
pub(super) fn cell(column: &str, request: &Value) -> Option<Value> {
    let spec = &request["spec"];
    Some(match column {
        "SignerName" => or_none(text(&spec["signerName"])),
        "Requestor" => or_none(text(&spec["username"])),
        "RequestedDuration" => match spec["expirationSeconds"].as_i64() {
            Some(seconds) => json!(age::of(seconds)),
            None => json!("<none>"),
        },
        "Condition" => json!(condition(&request["status"])),
        _ => return None,
    })
}

/// What has become of a request, the latest last.
fn condition(status: &Value) -> String {
    let is = |kind: &str| items(&status["conditions"]).any(|condition| condition["type"] == kind);
    let mut words = vec![match (is("Denied"), is("Approved")) {
        (true, _) => "Denied",
        (false, true) => "Approved",
        (false, false) => "Pending",
    }];
    if is("Failed") {
        words.push("Failed");
    }
    if !text(&status["certificate"]).is_empty() {
        words.push("Issued");
    }
    words.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_tells_what_has_become_of_it() {
        assert_eq!(condition(&Value::Null), "Pending");
        let approved = json!({"conditions": [{"type": "Approved"}], "certificate": "YQ=="});
        assert_eq!(condition(&approved), "Approved,Issued");
        let request = json!({"spec": {"expirationSeconds": 86_400}});
        assert_eq!(cell("RequestedDuration", &request), Some(json!("24h")));
        assert_eq!(cell("Requestor", &request), Some(json!("<none>")));
    }
}
