//! Which cryptography TLS uses: one provider for every client of this process.

use std::sync::Once;

static ONCE: Once = Once::new();

/// Makes *ring* the provider of this process, once; every client is made after this.
///
/// The Kubernetes client and the registry's client share one TLS library, which refuses to choose.
pub fn install_provider() {
    ONCE.call_once(|| {
        // Whoever embeds this crate may have chosen another one before: that is fine.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
}
