//! The decisions of `mwctl`, as pure functions on values.
//!
//! ```text
//! text ──conventions──→ Stack | Vec<Problem>
//! Stack, images ──manifest──→ Kubernetes objects
//! objects, Observed ──plan──→ Plan {steps, holds}
//! (State, Event, now) ──develop──→ [Effect]
//! text ──lock──→ what the names of bases meant
//! Machine ──doctor──→ what is amiss, and its cure
//! kubeconfig, minikube's words ──cluster──→ what is local, what runs
//! cluster, its registry ──delivery──→ which way images take
//! ```
//!
//! Nothing here reads a file, a clock, the environment or the network, and nothing here waits:
//! the crate's `.clippy.toml` refuses it. Whatever was observed comes in as a value.

pub mod cluster;
pub mod conventions;
pub mod delivery;
pub mod develop;
pub mod doctor;
pub mod lease;
pub mod lock;
pub mod made;
pub mod manifest;
pub mod minikube;
pub mod model;
pub mod name;
pub mod observed;
pub mod plan;
pub mod problem;
pub mod tree;
