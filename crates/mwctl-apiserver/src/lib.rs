//! A Kubernetes API server in this process, for one developer's machine and for tests.
//!
//! It is generic: one handler, one store and one revision counter serve every kind, and a table of facts about kinds ([`schema`]) says
//! what is particular to each. It knows no containers, no nodes and no files of a user: controllers and nodes are its clients.

pub mod access;
mod admission;
pub mod apply;
pub mod backend;
mod client;
pub mod custom;
pub mod decode;
pub mod discovery;
pub mod kinds;
pub mod names;
pub mod openapi;
pub mod patch;
pub mod protobuf;
pub mod registry;
pub mod schema;
pub mod selector;
pub mod server;
pub mod serving;
pub mod status;
pub mod storage;
mod streaming;
pub mod table;
pub mod validation;
