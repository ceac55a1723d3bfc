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
//! | `facts`, `repository` | what a repository says, with the lines that say it |
//! | `merge`, `template` | layers over each other; `{{ … }}` |
//! | `draft`, `resolve`, `needs` | one service without, then with its neighbours |
//! | `config`, `convert`, `check` | the configuration file; keys to model, with all checks |
//!
//! Layers, each merged over the one before: what a convention extends, the convention, the Service in
//! the repository's `mwctl.yaml`, the service's entry in the Stack. Nothing here reads a file.
//!
//! [`Stack`]: crate::model::Stack

mod catalogue;
mod check;
mod config;
mod convert;
mod document;
mod draft;
mod duration;
mod facts;
mod members;
mod merge;
mod nearest;
mod needs;
mod node;
mod quantity;
mod repository;
mod resolve;
mod schema;
mod shipped;
mod template;
mod text;
mod violation;
mod wire;

pub use document::{Document, Kind, parse};
pub use members::{environment, sources};
pub use repository::{FILE, Repository, interest};
pub use resolve::{Input, resolve};
pub use schema::schema;
pub use shipped::shipped;
