//! The cells of volumes and claims.

use serde_json::{Value, json};

use super::{items, joined, text};

/// The cell of a column.
pub(super) fn cell(plural: &str, column: &str, object: &Value) -> Option<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let is_volume = plural == "persistentvolumes";
    let bound = is_volume || !text(&spec["volumeName"]).is_empty();
    let has = if is_volume { spec } else { status };
    Some(match column {
        "Status" if object["metadata"]["deletionTimestamp"].is_null() => status["phase"].clone(),
        "Status" => json!("Terminating"),
        "Volume" => json!(text(&spec["volumeName"])),
        "Capacity" if bound => json!(text(&has["capacity"]["storage"])),
        "Access Modes" if bound => json!(joined(
            items(&has["accessModes"]).map(|mode| short(text(mode)))
        )),
        "Capacity" | "Access Modes" => json!(""),
        "Reclaim Policy" => spec["persistentVolumeReclaimPolicy"].clone(),
        "Claim" => match &spec["claimRef"] {
            Value::Null => json!(""),
            claim => json!(format!(
                "{}/{}",
                text(&claim["namespace"]),
                text(&claim["name"])
            )),
        },
        "StorageClass" => json!(text(&spec["storageClassName"])),
        "VolumeAttributesClass" => json!(
            spec["volumeAttributesClassName"]
                .as_str()
                .unwrap_or("<unset>")
        ),
        "Reason" => json!(text(&status["reason"])),
        "VolumeMode" => json!(spec["volumeMode"].as_str().unwrap_or("<unset>")),
        _ => return None,
    })
}

fn short(mode: &str) -> &str {
    match mode {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        other => other,
    }
}
