//! The real cluster that figures are compared with: the one of the test bed, and no other.

use kube::config::Kubeconfig;

/// Where the test bed says how it is reached.
const REAL: &str = "MWCTL_TEST_KUBECONFIG";

/// How it is reached.
///
/// # Panics
/// When there is none, or when it isn't a test bed's.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment says where the test bed is"
)]
pub fn kubeconfig() -> Kubeconfig {
    let path =
        std::env::var_os(REAL).unwrap_or_else(|| panic!("{REAL} is not set: tests/bench/run"));
    let kubeconfig = Kubeconfig::read_from(path).expect("a kubeconfig");
    let context = kubeconfig.current_context.as_deref().unwrap_or_default();
    assert!(
        context.starts_with("mwctl-test-"),
        "`{context}` is not the test bed's context"
    );
    kubeconfig
}
