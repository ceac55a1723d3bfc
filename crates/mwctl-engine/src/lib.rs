//! mwctl-engine
