//! The embedded cluster: an API server and its controllers in a process of this program, known to others by a folder.
//!
//! It composes what `mwctl-apiserver`, `mwctl-controllers` and `mwctl-node` do, and decides nothing of theirs. Without a node pods are
//! simulated, or wait.
//!
//! ```text
//! claim ──folder, lock──→ serve ──kubeconfig, lease──→ others        the lock goes with the process, and whoever comes next sweeps
//! ```

mod claim;
mod detached;
mod foreground;
mod lease;
mod memory;
mod node;
mod serve;

pub use claim::{Claim, ClaimError, Clusters, Known, context};
pub use detached::{CreateError, DeleteError, READY, create, delete, leave_session};
pub use foreground::{NOT_FOUND, run};
pub use lease::Lease;
pub use memory::keep_small;
pub use node::{NodeError, NodeOptions};
pub use serve::{Options, ServeError, Serving, serve};
