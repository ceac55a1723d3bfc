//! Patches: what an object becomes when a client sends a JSON patch, a merge patch or a strategic merge patch.
//!
//! Pure: values in, a value or a refusal out. Server-side apply is a different thing with a memory of its own and lives elsewhere;
//! decoding, defaults and validation of the result are the caller's next steps.

pub(crate) mod go;
mod json;
mod merge;
mod shown;
mod strategic;

pub(crate) use shown::shown;

use crate::schema::{Schema, StructId};
use crate::status::Status;
use serde_json::Value;

/// The three patches that say what to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PatchKind {
    /// RFC 6902, `application/json-patch+json`.
    Json,
    /// RFC 7386, `application/merge-patch+json`.
    Merge,
    /// `application/strategic-merge-patch+json`: a merge patch that knows what the items of lists are called.
    StrategicMerge,
}

/// What `live` becomes by a patch.
///
/// `structure` is the type of the object; custom resources have none here, which is why they take no strategic merge patch.
pub fn apply(
    kind: PatchKind,
    schema: &Schema,
    structure: Option<StructId>,
    live: &Value,
    body: &Value,
) -> Result<Value, Status> {
    match (kind, structure) {
        (PatchKind::Json, _) => json::apply(live, body),
        (PatchKind::Merge, _) => merge::apply(live, body),
        (PatchKind::StrategicMerge, Some(structure)) => {
            strategic::apply(schema, structure, live, body)
        }
        (PatchKind::StrategicMerge, None) => Err(Status::new(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_custom_resource_takes_no_strategic_merge_patch() {
        let refusal = apply(
            PatchKind::StrategicMerge,
            &Schema::default(),
            None,
            &json!({}),
            &json!({}),
        )
        .unwrap_err();
        assert_eq!(
            (refusal.code, refusal.reason),
            (415, "UnsupportedMediaType")
        );
    }
}
