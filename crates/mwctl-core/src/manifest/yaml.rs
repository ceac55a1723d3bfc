//! Objects as a stream of YAML documents, for `mwctl render`.

use serde_json::Value;
use serde_yaml::SerializeError;

use super::Object;

/// Whether Secrets' values are shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Secrets {
    /// They are replaced by [`HIDDEN`](super::HIDDEN).
    Hidden,
    /// They stand there in base64, as `kubectl apply` needs them.
    Revealed,
}

/// The objects as YAML documents.
pub fn to_yaml(objects: &[Object], secrets: Secrets) -> Result<String, SerializeError> {
    let values: Vec<Value> = objects
        .iter()
        .map(|object| match secrets {
            Secrets::Hidden => object.to_shown(),
            Secrets::Revealed => object.to_value(),
        })
        .collect();
    serde_yaml::to_string_multiple(&values)
}
