//! The cells of role bindings.

use serde_json::{Value, json};

use super::{items, text};

/// The cell of a column.
pub(super) fn cell(column: &str, object: &Value) -> Option<Value> {
    let of_kind = |kind: &str| {
        let bound = items(&object["subjects"]).filter(|one| one["kind"] == kind);
        let names: Vec<String> = bound
            .map(|one| match text(&one["namespace"]) {
                "" => text(&one["name"]).to_owned(),
                namespace => format!("{namespace}/{}", text(&one["name"])),
            })
            .collect();
        json!(names.join(", "))
    };
    Some(match column {
        "Role" => {
            let role = &object["roleRef"];
            json!(format!("{}/{}", text(&role["kind"]), text(&role["name"])))
        }
        "Users" => of_kind("User"),
        "Groups" => of_kind("Group"),
        "ServiceAccounts" => of_kind("ServiceAccount"),
        _ => return None,
    })
}
