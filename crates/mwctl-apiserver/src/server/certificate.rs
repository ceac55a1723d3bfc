//! A certificate for one server and the authority that signed it, made for it alone and never written down.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto::ring};

/// The names that clients call it by: from this machine, and as the service `kubernetes` from within pods.
const NAMES: [&str; 7] = [
    "localhost",
    "127.0.0.1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "10.96.0.1",
];

/// What a server shows, and what its clients check it by.
pub(super) struct Certificate {
    /// The authority as PEM.
    pub(super) authority: String,
    shown: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Certificate")
            .finish_non_exhaustive()
    }
}

impl Certificate {
    /// A new authority and a certificate of the server's names.
    pub(super) fn new() -> Result<Self, rcgen::Error> {
        let mut authority = CertificateParams::default();
        authority.distinguished_name = named("mwctl authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_key = KeyPair::generate()?;
        let signed = authority.self_signed(&authority_key)?;
        let issuer = Issuer::new(authority, authority_key);

        let mut own = CertificateParams::new(NAMES.map(str::to_owned))?;
        // OpenSSL takes a certificate for self-signed that has the name of its authority.
        own.distinguished_name = named("mwctl server");
        own.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let shown = own.signed_by(&key, &issuer)?;
        Ok(Self {
            authority: signed.pem(),
            shown: shown.der().clone(),
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        })
    }

    /// Accepts TLS with this certificate, and with HTTP/2 or HTTP/1.1 inside.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, tokio_rustls::rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![self.shown.clone()], self.key.clone_key())?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}
