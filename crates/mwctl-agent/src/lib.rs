//! The agent's protocol.
