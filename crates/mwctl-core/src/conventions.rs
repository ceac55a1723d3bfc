//! From what people write, and from what a repository already says, to the resolved [`Stack`].
//!
//! ```text
//! text ──parse──→ Document | Problem                 syntax, keys and types; every node knows its line
//! documents ──sources, interest, environment──→ what the engine has to fetch, to read, to look up
//! documents, repositories ──resolve──→ Stack | every Problem at once
//! ```
//!
//! | module | what it does |
//! | --- | --- |
//! | `text`, `node` | YAML and JSON as a tree with places |
//! | `wire`, `schema`, `violation` | the keys and their documentation; the JSON Schema; its complaints as sentences |
//! | `document` | one checked document |
//! | `members`, `catalogue` | which services are described; which conventions there are |
//! | `foreign` | what files of other tools say, as layers of our keys |
//! | `reader` | the files of a repository as trees with places |
//! | `facts`, `repository` | what a repository says, with the lines that say it |
//! | `sidecars` | known helper containers, and how services take them up |
//! | `merge`, `template` | layers over each other; `{{ … }}` |
//! | `layer`, `explain` | who says what; where each value comes from, and what it was chosen over |
//! | `draft`, `resolve`, `needs` | one service without, then with its neighbours |
//! | `stacks` | what a stack says beyond its services |
//! | `late` | values that the service fills in itself when it starts |
//! | `traps` | texts that YAML would read as something else |
//! | `initial` | the `mwctl.yaml` that a folder begins with |
//! | `config`, `convert`, `check` | the configuration file; keys to model, with all checks |
//!
//! Layers, each merged over the one before: what a convention extends, the convention, what files of other
//! tools say, the Service in the repository's `mwctl.yaml`, the service's entry in the Stack. Nothing here reads a file.
//!
//! [`Stack`]: crate::model::Stack

mod catalogue;
mod check;
mod config;
mod convert;
mod defaults;
mod document;
mod draft;
mod duration;
mod explain;
mod facts;
mod foreign;
mod initial;
mod late;
mod layer;
mod members;
mod merge;
pub(crate) mod nearest;
mod needs;
pub(crate) mod node;
mod quantity;
mod reader;
mod repository;
mod resolve;
mod schema;
mod shipped;
mod sidecars;
mod stacks;
mod template;
pub(crate) mod text;
mod traps;
mod violation;
mod wire;

pub use document::{Document, Kind, Omitted, Parsed, parse};
pub use explain::{Explained, Explanation, Origin, Other};
pub use foreign::Note;
pub use initial::{Initial, from_chart, from_compose, shortest};
pub use layer::Speaker;
pub use members::{environment, sources};
pub use repository::{FILE, Repository, fits, interest, part_fits, presence};
pub use resolve::{Input, explain, resolve};
pub use schema::schema;
pub use shipped::shipped;
pub use stacks::{includes, manifests};
