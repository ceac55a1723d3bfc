//! The kinds that every Kubernetes cluster has, read from the table committed beside the sources. It makes nothing up and knows no kind by
//! name: the table is generated from a live API server by `mwctl-kinds` (in the crate of the tests) and never edited.

pub mod facts;
mod shape;

use std::io::Read;
use std::sync::{Arc, LazyLock};

use crate::schema::Schema;
use facts::Facts;

/// The table: [`Facts`] as JSON, compressed.
const TABLE: &[u8] = include_bytes!("../data/kinds.json.gz");

/// Far more than the table needs, and far less than would hurt.
const MOST: u64 = 16 << 20;

/// The built-in kinds. They are read once in a process, which takes a few milliseconds.
///
/// # Panics
/// When the committed table is damaged, which a test excludes.
pub fn builtin() -> Arc<Schema> {
    static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
        let schema = read(TABLE).expect("the table is a part of this program, and a test reads it");
        Arc::new(schema)
    });
    Arc::clone(&SCHEMA)
}

/// The version of Kubernetes that the built-in kinds are those of, such as `v1.34.10`.
pub fn version() -> String {
    builtin().version.clone()
}

/// Reads a compressed table.
pub fn read(compressed: &[u8]) -> Result<Schema, ReadKinds> {
    let mut text = Vec::with_capacity(compressed.len() * 16);
    flate2::read::GzDecoder::new(compressed)
        .take(MOST)
        .read_to_end(&mut text)
        .map_err(ReadKinds::Unpack)?;
    let facts: Facts = serde_json::from_slice(&text).map_err(ReadKinds::Parse)?;
    facts.into_schema()
}

/// A table that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadKinds {
    /// It is not what gzip writes.
    #[error("cannot unpack the table of kinds")]
    Unpack(#[source] std::io::Error),
    /// It is not JSON of the form [`Facts`].
    #[error("cannot parse the table of kinds")]
    Parse(#[source] serde_json::Error),
    /// A shape is none, or refers to a type that isn't there.
    #[error("field `{field}` of `{structure}` has the unknown shape `{shape}`")]
    Shape {
        /// The type.
        structure: String,
        /// Its field.
        field: String,
        /// What stands there.
        shape: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Gvk, ListKind, Shape};

    fn gvk(group: &str, version: &str, kind: &str) -> Gvk {
        Gvk {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
        }
    }

    #[test]
    fn the_committed_table_tells_of_pods() {
        let schema = builtin();
        let pod = schema.structure(schema.kind(&gvk("", "v1", "Pod")).unwrap());
        let Shape::Struct(spec) = pod.fields["spec"].shape else {
            panic!("a pod's spec is a type of its own");
        };
        let containers = &schema.structure(spec).fields["containers"];
        assert!(containers.required);
        assert!(containers.patch.merge);
        assert_eq!(containers.patch.merge_key.as_deref(), Some("name"));
        let Shape::List { item, kind } = &containers.shape else {
            panic!("containers are a list");
        };
        assert_eq!(*kind, ListKind::Map(vec!["name".to_owned()]));
        let Shape::Struct(container) = **item else {
            panic!("a container is a type of its own");
        };
        assert_eq!(
            schema.structure(container).name,
            "io.k8s.api.core.v1.Container"
        );
        assert_eq!(schema.structure(container).fields["image"].number, 2);
    }

    #[test]
    fn every_resource_has_its_type_and_whatever_is_listed_has_columns() {
        let schema = builtin();
        for resource in &schema.resources {
            assert!(schema.kind(&resource.gvk).is_some(), "{:?}", resource.gvk);
            for sub in &resource.subresources {
                // `PodExecOptions` and its like are the parameters of a stream, and never an object.
                let parameters = sub.gvk.kind.ends_with("Options");
                let known = schema.kind(&sub.gvk).is_some();
                assert_eq!(known, !parameters, "{}/{}", resource.plural, sub.name);
            }
            let listed = resource.verbs.iter().any(|verb| verb == "list");
            assert_eq!(listed, !resource.columns.is_empty(), "{}", resource.plural);
        }
    }

    #[test]
    fn what_this_server_does_not_do_is_absent() {
        let schema = builtin();
        for group in [
            "admissionregistration.k8s.io",
            "apiregistration.k8s.io",
            "flowcontrol.apiserver.k8s.io",
        ] {
            assert!(
                schema
                    .resources
                    .iter()
                    .all(|resource| resource.gvk.group != group),
                "{group}"
            );
        }
    }

    #[test]
    fn a_damaged_table_is_an_error_and_no_panic() {
        assert!(matches!(read(b"nothing"), Err(ReadKinds::Unpack(_))));
        assert!(matches!(
            read(&TABLE[..TABLE.len() / 2]),
            Err(ReadKinds::Unpack(_))
        ));
    }
}
