//! What every object has, described in the words of Kubernetes: people read them when they ask what a custom resource is (`kubectl explain`).
//! Nothing else is described here: the texts of all kinds would be most of this program.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const TEXTS: &str = include_str!("../../data/metadata.json");

/// The type of every object's metadata.
const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// Descriptions by the names of fields; that of the type itself has an empty name.
#[derive(Debug, Default, Deserialize)]
struct Texts {
    /// Of every object.
    kind: BTreeMap<String, String>,
    /// Of its metadata.
    metadata: BTreeMap<String, String>,
}

fn texts() -> &'static Texts {
    static READ: LazyLock<Texts> = LazyLock::new(|| {
        serde_json::from_str(TEXTS)
            .expect("the texts are a part of this program, and a test reads them")
    });
    &READ
}

/// Describes what is known of a type; `is_custom` if somebody defined it.
pub(super) fn describe(name: &str, is_custom: bool, object: &mut Map<String, Value>) {
    let texts = match (name, is_custom) {
        (METADATA, _) => &texts().metadata,
        (_, true) => &texts().kind,
        (_, false) => return,
    };
    for (field, text) in texts {
        if field.is_empty() {
            object.insert("description".to_owned(), json!(text));
        } else if let Some(Value::Object(property)) = object
            .get_mut("properties")
            .and_then(|properties| properties.get_mut(field))
        {
            property.insert("description".to_owned(), json!(text));
        }
    }
}
