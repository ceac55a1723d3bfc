//! The agent as it is delivered into a container: the loader and the packed agent, both built by this
//! crate's build script for the container and not for this machine's profile.
//!
//! They belong side by side in one directory, [`LOADER`] as an executable file of any name and
//! [`PACKED`] as the same name with `.lz4`. As keys `agent` and `agent.lz4` of one ConfigMap they stay
//! below its limit of one MiB. What the agent does is `mwctl-agent`'s business.

/// The small program that unpacks the agent into memory and runs it.
pub const LOADER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/agent"));

/// The agent: four bytes of length (little-endian), then one lz4 block.
pub const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/agent.lz4"));

/// The blake3 hash of both, in hexadecimal.
pub const DIGEST: &str = env!("MWCTL_AGENT_DIGEST");

/// The version of the agent.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The architecture of both programs, as Kubernetes names it in a node's `status.nodeInfo`.
pub const ARCHITECTURE: &str = "amd64";
