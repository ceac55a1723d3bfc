//! mwctl
