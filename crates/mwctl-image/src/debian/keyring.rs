//! Signatures of archives: whether a signed text was signed by one of the keys that count.
//!
//! A key counts because it lies in the image's keyring; its subkeys count by its own word. Whoever certified it is not
//! asked.

use pgp::composed::{CleartextSignedMessage, Deserializable as _, SignedPublicKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails as _, Tag, Timestamp};

/// Keys that count.
#[derive(Debug, Default)]
pub(super) struct Keyring(Vec<SignedPublicKey>);

/// Why a text isn't believed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Unsigned {
    #[error("the image has no keys for it")]
    NoKeys,
    #[error("it isn't signed as it should be: {0}")]
    Form(String),
    #[error("none of the image's keys has signed it")]
    NoSignature,
}

impl Keyring {
    /// Reads files of keys, armoured or not. What is no key is left out: another one may do.
    pub(super) fn read<'a>(files: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut keys = Vec::new();
        for file in files {
            match SignedPublicKey::from_reader_many(file) {
                Ok((found, _)) => keys.extend(found.filter_map(Result::ok)),
                Err(error) => tracing::warn!(%error, "a file of keys that can't be read"),
            }
        }
        Self(keys)
    }

    /// The text that is signed, with plain line ends. `now` is in seconds since 1970: keys end.
    pub(super) fn signed(&self, text: &str, now: u64) -> Result<String, Unsigned> {
        if self.0.is_empty() {
            return Err(Unsigned::NoKeys);
        }
        let message = CleartextSignedMessage::from_string(text);
        let (message, _) = message.map_err(|error| Unsigned::Form(error.to_string()))?;
        let content = message.signed_text();
        let is_good = |signature: &Signature| {
            is_strong(signature)
                && self
                    .0
                    .iter()
                    .any(|key| has_signed(key, signature, &content, now))
        };
        if message.signatures().iter().any(is_good) {
            Ok(content.replace("\r\n", "\n"))
        } else {
            Err(Unsigned::NoSignature)
        }
    }
}

/// Whether a signature is over a text, and with a hash that nobody can make collide.
fn is_strong(signature: &Signature) -> bool {
    let form = [SignatureType::Text, SignatureType::Binary];
    let hash = [
        HashAlgorithm::Sha256,
        HashAlgorithm::Sha384,
        HashAlgorithm::Sha512,
    ];
    signature.typ().is_some_and(|it| form.contains(&it))
        && signature.hash_alg().is_some_and(|it| hash.contains(&it))
}

fn has_signed(key: &SignedPublicKey, signature: &Signature, content: &str, now: u64) -> bool {
    let primary = &key.primary_key;
    let details = &key.details;
    let mut revocations = details.revocation_signatures.iter();
    if revocations.any(|it| it.verify_key(primary).is_ok()) {
        return false;
    }
    let users = details.users.iter().flat_map(|user| {
        let own = |it: &&Signature| {
            it.verify_certification(primary, Tag::UserId, &user.id)
                .is_ok()
        };
        user.signatures.iter().filter(own)
    });
    let direct = details.direct_signatures.iter();
    let own = users.chain(direct.filter(|it| it.verify_key(primary).is_ok()));
    if has_ended(primary.created_at(), own, now) {
        return false;
    }
    if signature.verify(primary, content.as_bytes()).is_ok() {
        return true;
    }
    key.public_subkeys.iter().any(|subkey| {
        let bindings = || subkey.signatures.iter();
        let is_revoked = bindings().any(|it| it.typ() == Some(SignatureType::SubkeyRevocation));
        let may_sign = bindings().any(|it| it.key_flags().sign());
        !is_revoked
            && may_sign
            && subkey.verify_bindings(primary).is_ok()
            && !has_ended(subkey.key.created_at(), bindings(), now)
            && signature.verify(&subkey.key, content.as_bytes()).is_ok()
    })
}

/// Whether a key's time is over, by the newest of its own words.
fn has_ended<'a>(made: Timestamp, words: impl Iterator<Item = &'a Signature>, now: u64) -> bool {
    let newest = words.max_by_key(|it| it.created().map(Timestamp::as_secs));
    let lasts = newest.and_then(Signature::key_expiration_time);
    lasts.is_some_and(|lasts| now >= u64::from(made.as_secs()) + u64::from(lasts.as_secs()))
}

#[cfg(test)]
pub(super) mod tests {
    use pgp::composed::{ArmorOptions, KeyType, SecretKeyParamsBuilder, SignedSecretKey};
    use pgp::types::Password;

    use super::*;

    /// A key of a test's own.
    pub(crate) fn key(name: &str) -> SignedSecretKey {
        let mut parameters = SecretKeyParamsBuilder::default();
        parameters
            .key_type(KeyType::Ed25519Legacy)
            .can_sign(true)
            .can_certify(true)
            .primary_user_id(name.to_owned());
        let parameters = parameters.build().unwrap();
        parameters.generate(rand::rngs::OsRng).unwrap()
    }

    /// A text as an archive publishes it.
    pub(crate) fn sign(text: &str, key: &SignedSecretKey) -> String {
        let primary = &key.primary_key;
        let signed =
            CleartextSignedMessage::sign(rand::rngs::OsRng, text, primary, &Password::empty());
        signed
            .unwrap()
            .to_armored_string(ArmorOptions::default())
            .unwrap()
    }

    /// What an image keeps of a key.
    pub(crate) fn public(key: &SignedSecretKey) -> Vec<u8> {
        let public = key.to_public_key();
        public.to_armored_bytes(ArmorOptions::default()).unwrap()
    }

    const TEXT: &str = "Label: Debian\nSHA256:\n abc\n- a line with a dash\n";

    #[test]
    fn what_was_signed_by_a_key_of_the_keyring_is_read() {
        let (mine, other) = (key("mine"), key("other"));
        let files = [public(&other), b"no key".to_vec(), public(&mine)];
        let keyring = Keyring::read(files.iter().map(Vec::as_slice));
        let signed = sign(TEXT, &mine);
        assert_eq!(
            keyring.signed(&signed, u64::MAX >> 1).unwrap().trim_end(),
            TEXT.trim_end()
        );
        let without = Keyring::read([files[0].as_slice()]);
        assert_eq!(without.signed(&signed, 0), Err(Unsigned::NoSignature));
        assert_eq!(Keyring::default().signed(&signed, 0), Err(Unsigned::NoKeys));
    }

    #[test]
    fn what_was_changed_or_added_is_refused() {
        let mine = key("mine");
        let file = public(&mine);
        let keyring = Keyring::read([file.as_slice()]);
        let signed = sign(TEXT, &mine);
        let changed = signed.replace("Debian", "debian");
        assert_eq!(keyring.signed(&changed, 0), Err(Unsigned::NoSignature));
        for wrong in [
            format!("SHA256: evil\n{signed}"),
            format!("{signed}\nSHA256: evil\n"),
            TEXT.to_owned(),
            String::new(),
        ] {
            let refused = keyring.signed(&wrong, 0);
            assert!(matches!(refused, Err(Unsigned::Form(_))), "{refused:?}");
        }
    }
}
