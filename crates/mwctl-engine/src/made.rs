//! Makes random private settings and certificates, and brings what the cluster keeps of them into a
//! stack.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use mwctl_core::made::{Make, kept, settled};
use mwctl_core::model::{KeyPair, Secret, Stack};
use rcgen::{CertificateParams, DistinguishedName, DnType};
use ring::rand::{SecureRandom, SystemRandom};

use crate::kube::{Cluster, Request, observe};

/// A value can't be made.
#[derive(Debug, thiserror::Error)]
pub enum Unmade {
    /// The cluster can't be asked for what it keeps.
    #[error(transparent)]
    Request(#[from] Request),
    /// This machine has no randomness.
    #[error("this machine gives no random numbers")]
    Random,
    /// A certificate can't be made.
    #[error("a certificate can't be made")]
    Certificate(#[source] rcgen::Error),
}

/// The stack with all of its made values: those that the cluster keeps, and new ones.
pub async fn settle(cluster: &Cluster, stack: &Stack) -> Result<Stack, Unmade> {
    let ids = kept(stack);
    let found = try_join_all(ids.iter().map(|id| observe::object(cluster, id))).await?;
    let live: BTreeMap<_, _> = ids
        .into_iter()
        .zip(found)
        .filter_map(|(id, live)| Some((id, live?)))
        .collect();
    let mut maker = Maker {
        random: SystemRandom::new(),
        failed: None,
    };
    let stack = settled(stack, &live, &mut maker);
    match maker.failed {
        Some(error) => Err(error),
        None => Ok(stack),
    }
}

/// Makes values with this machine's randomness; the first failure is kept.
struct Maker {
    random: SystemRandom,
    failed: Option<Unmade>,
}

/// 32 characters that need no quotes anywhere and aren't mistaken for each other: five bits of a byte
/// choose one, each equally often.
const CHARACTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

impl Make for Maker {
    fn password(&mut self, length: u32) -> String {
        let mut bytes = vec![0; length as usize];
        if self.random.fill(&mut bytes).is_err() {
            self.failed = Some(Unmade::Random);
        }
        let characters = bytes.iter().map(|byte| CHARACTERS[usize::from(byte % 32)]);
        characters.map(char::from).collect()
    }

    fn certificate(&mut self, names: &[String]) -> KeyPair {
        certificate(names).unwrap_or_else(|error| {
            self.failed = Some(Unmade::Certificate(error));
            KeyPair {
                certificate: String::new(),
                key: Secret::new(String::new()),
            }
        })
    }
}

fn certificate(names: &[String]) -> Result<KeyPair, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    if let Some(name) = names.first() {
        params
            .distinguished_name
            .push(DnType::CommonName, name.as_str());
    }
    let key = rcgen::KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(KeyPair {
        certificate: certificate.pem(),
        key: Secret::new(key.serialize_pem()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_of_the_right_form_and_never_the_same() {
        let mut maker = Maker {
            random: SystemRandom::new(),
            failed: None,
        };
        let (one, other) = (maker.password(24), maker.password(24));
        assert_eq!(one.len(), 24);
        assert_ne!(one, other);
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let pair = maker.certificate(&["a.b.svc".to_owned(), "127.0.0.1".to_owned()]);
        assert!(pair.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(pair.key.reveal().contains("PRIVATE KEY"));
        assert!(maker.failed.is_none());
    }
}
