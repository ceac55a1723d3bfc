//! Tokens of service accounts: signed claims (JWT) that this server issues and believes. They end by themselves, or with their account. Others
//! can check them by the public key, which stands where `OpenID` Connect looks for it.

use crate::access::User;
use crate::registry::Registry;
use crate::status::Status;
use crate::storage::{GroupResource, Key};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use serde_json::{Value, json};
use std::fmt::Display;

/// For whom tokens are that don't say it.
pub(super) const AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

/// What is known of a token's user beside the name begins so.
const EXTRA: &str = "authentication.kubernetes.io";

/// Signs and checks tokens.
pub(super) struct Tokens {
    key: EcdsaKeyPair,
}

/// A service account that a token is to be made for.
pub(super) struct Account<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) uid: &'a str,
}

impl Tokens {
    /// Tokens by a new key. None if the system has no randomness.
    pub(super) fn new() -> Option<Self> {
        let (kind, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let key = EcdsaKeyPair::generate_pkcs8(kind, &random).ok()?;
        let key = EcdsaKeyPair::from_pkcs8(kind, key.as_ref(), &random).ok()?;
        Some(Self { key })
    }

    /// The name of the key.
    fn key_id(&self) -> String {
        let hash = ring::digest::digest(&ring::digest::SHA256, self.key.public_key().as_ref());
        URL_SAFE_NO_PAD.encode(hash)
    }

    /// Where `OpenID` Connect's clients find what they need (`/.well-known/openid-configuration`, `OpenID` Connect Discovery 1.0).
    pub(super) fn configuration() -> Value {
        json!({
            "issuer": AUDIENCE, "jwks_uri": format!("{AUDIENCE}/openid/v1/jwks"), "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"],
        })
    }

    /// The public key (RFC 7517, RFC 7518 section 6.2.1).
    pub(super) fn keys(&self) -> Value {
        // A byte that says that both coordinates follow.
        let point = self.key.public_key().as_ref().get(1..).unwrap_or_default();
        let (x, y) = point.split_at(point.len() / 2);
        json!({"keys": [{
            "use": "sig", "kty": "EC", "kid": self.key_id(), "crv": "P-256", "alg": "ES256",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        }]})
    }

    /// A token of an account until `expires`, in seconds since 1970. `bound` is the object that it ends with: `{"pod": {"name", "uid"}}`.
    pub(super) fn issue(
        &self,
        account: &Account<'_>,
        audiences: &Value,
        expires: i64,
        bound: &Value,
    ) -> Result<String, Status> {
        let now = Timestamp::now().as_second();
        let mut own = json!({
            "namespace": account.namespace, "serviceaccount": {"name": account.name, "uid": account.uid},
        });
        if let (Some(own), Some(bound)) = (own.as_object_mut(), bound.as_object()) {
            own.extend(bound.clone());
        }
        let claims = json!({
            "iss": AUDIENCE, "aud": audiences, "iat": now, "nbf": now, "exp": expires, "jti": uuid::Uuid::new_v4().to_string(),
            "sub": format!("system:serviceaccount:{}:{}", account.namespace, account.name), "kubernetes.io": own,
        });
        let head = json!({"alg": "ES256", "kid": self.key_id()});
        let signed = [head, claims]
            .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
            .join(".");
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.map_err(|_| Status::internal("the system has no randomness"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// What a token of this server says, if it is one and not over.
    fn claims(&self, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key());
        key.verify(signed.as_bytes(), &signature).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        (claims["exp"].as_i64()? > Timestamp::now().as_second()).then_some(claims)
    }

    /// Whose a token is, and for whom it is, if its account and what it is bound to are still there.
    pub(super) fn user(&self, registry: &Registry, token: &str) -> Option<(User, Vec<String>)> {
        let claims = self.claims(token)?;
        let own = &claims["kubernetes.io"];
        let namespace = own["namespace"].as_str()?;
        let is_there = |plural: &str, told: &Value| {
            let key = Key::new(namespace, told["name"].as_str().unwrap_or_default());
            let object = registry.store().get(&GroupResource::new("", plural), &key);
            object.is_some_and(|object| told["uid"] == object.uid())
        };
        let bound = [("pod", "pods"), ("secret", "secrets")];
        let account = &own["serviceaccount"];
        let lives = is_there("serviceaccounts", account)
            && bound
                .iter()
                .all(|(claim, plural)| own[*claim].is_null() || is_there(plural, &own[*claim]));
        let audiences = claims["aud"]
            .as_array()?
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned);
        let mut user = User::service_account(namespace, account["name"].as_str()?);
        account["uid"].as_str()?.clone_into(&mut user.uid);
        let mut know = |name: &str, value: &dyn Display| {
            let name = format!("{EXTRA}/{name}");
            user.extra.insert(name, vec![value.to_string()]);
        };
        if let Some(id) = claims["jti"].as_str() {
            know("credential-id", &format_args!("JTI={id}"));
        }
        for kind in ["pod", "node"] {
            for field in ["name", "uid"] {
                if let Some(value) = own[kind][field].as_str() {
                    know(&format!("{kind}-{field}"), &value);
                }
            }
        }
        lives.then(|| (user, audiences.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;
    use crate::registry::{DeleteOptions, WriteOptions};

    #[test]
    fn a_token_is_believed_while_its_account_lives_and_its_time_lasts() {
        let registry = Registry::new(kinds::builtin()).unwrap();
        let target = registry.core("serviceaccounts", "default", "a").unwrap();
        let body = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}});
        let made = registry
            .create(&target, body, &WriteOptions::default())
            .unwrap()
            .object;
        let account = Account {
            namespace: "default",
            name: "a",
            uid: made.uid(),
        };
        let tokens = Tokens::new().unwrap();
        let now = Timestamp::now().as_second();
        let issue = |expires| {
            let made = tokens.issue(&account, &json!([AUDIENCE]), expires, &Value::Null);
            made.unwrap()
        };
        let token = issue(now + 60);
        let (user, audiences) = tokens.user(&registry, &token).unwrap();
        assert_eq!(
            (user.name.as_str(), user.uid.as_str()),
            ("system:serviceaccount:default:a", made.uid())
        );
        assert_eq!(audiences, [AUDIENCE]);
        let extra = &user.extra["authentication.kubernetes.io/credential-id"];
        assert!(extra[0].starts_with("JTI="), "{extra:?}");
        assert!(tokens.user(&registry, &issue(now - 1)).is_none());
        assert!(Tokens::new().unwrap().user(&registry, &token).is_none());
        for damaged in ["", ".", "a.b.c", &token[1..], &format!("{token}A")] {
            assert!(tokens.user(&registry, damaged).is_none(), "{damaged}");
        }
        registry.delete(&target, &DeleteOptions::default()).unwrap();
        assert!(tokens.user(&registry, &token).is_none());
    }
}
