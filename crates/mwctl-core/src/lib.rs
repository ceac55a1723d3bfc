//! mwctl-core
