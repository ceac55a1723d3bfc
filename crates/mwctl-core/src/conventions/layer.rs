//! Who says what about a service: the layers that are merged into its keys, each with its speaker.
//!
//! The order is the order of `Speaker`: what stands later is laid over what stands before.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::merge::lay;
use super::node::{At, Node};

/// Whose words a layer holds.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Speaker {
    /// mwctl itself, where nobody says anything.
    Default,
    /// A known helper container, by its name.
    Helper(String),
    /// A convention, by its name.
    Convention(String),
    /// A file of another tool in the repository, such as its Dockerfile.
    File(String),
    /// A Service document: the repository's own `mwctl.yaml`.
    Service,
    /// The service's entry in a Stack.
    Stack,
    /// One person's overrides.
    Overrides,
}

impl fmt::Display for Speaker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::Helper(name) => write!(formatter, "helper {name}"),
            Self::Convention(name) => write!(formatter, "convention {name}"),
            Self::File(name) => formatter.write_str(name),
            Self::Service => formatter.write_str("the service"),
            Self::Stack => formatter.write_str("the stack"),
            Self::Overrides => formatter.write_str("the overrides"),
        }
    }
}

impl Serialize for Speaker {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Some keys of a service, and who says them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layer {
    pub(crate) speaker: Speaker,
    /// Shared by all services that follow the same convention.
    pub(crate) tree: Arc<Node>,
}

/// All layers over each other, the first one lowest. Keys that are taken away are still there,
/// without a value.
pub(crate) fn merged(layers: &[Layer], at: &At) -> Node {
    let mut merged = Node::empty(at.clone());
    for layer in layers {
        lay(&mut merged, &layer.tree);
    }
    merged
}
