//! Tokens of service accounts: signed claims (JWT) that this server alone issues and believes. They end by themselves, or with their account.

use crate::access::User;
use crate::registry::Registry;
use crate::storage::{GroupResource, Key};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::hmac;
use ring::rand::SystemRandom;
use serde_json::{Value, json};

/// For whom tokens are that don't say it.
pub(super) const AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

/// Signs and checks tokens.
pub(super) struct Tokens {
    key: hmac::Key,
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
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok()?;
        Some(Self { key })
    }

    /// A token of an account until `expires`, in seconds since 1970. `bound` is the object that it ends with: `{"pod": {"name", "uid"}}`.
    pub(super) fn issue(
        &self,
        account: &Account<'_>,
        audiences: &Value,
        expires: i64,
        bound: &Value,
    ) -> String {
        let now = Timestamp::now().as_second();
        let mut own = json!({
            "namespace": account.namespace, "serviceaccount": {"name": account.name, "uid": account.uid},
        });
        if let (Some(own), Some(bound)) = (own.as_object_mut(), bound.as_object()) {
            own.extend(bound.clone());
        }
        let claims = json!({
            "iss": AUDIENCE, "aud": audiences, "iat": now, "nbf": now, "exp": expires,
            "sub": format!("system:serviceaccount:{}:{}", account.namespace, account.name), "kubernetes.io": own,
        });
        let head = json!({"alg": "HS256", "typ": "JWT"});
        let signed = [head, claims]
            .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
            .join(".");
        let signature = hmac::sign(&self.key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// What a token of this server says, if it is one and not over.
    fn claims(&self, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(&self.key, signed.as_bytes(), &signature).ok()?;
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
        let issue = |expires| tokens.issue(&account, &json!([AUDIENCE]), expires, &Value::Null);
        let token = issue(now + 60);
        let (user, audiences) = tokens.user(&registry, &token).unwrap();
        assert_eq!(
            (user.name.as_str(), user.uid.as_str()),
            ("system:serviceaccount:default:a", made.uid())
        );
        assert_eq!(audiences, [AUDIENCE]);
        assert!(tokens.user(&registry, &issue(now - 1)).is_none());
        assert!(Tokens::new().unwrap().user(&registry, &token).is_none());
        for damaged in ["", ".", "a.b.c", &token[1..], &format!("{token}A")] {
            assert!(tokens.user(&registry, damaged).is_none(), "{damaged}");
        }
        registry.delete(&target, &DeleteOptions::default()).unwrap();
        assert!(tokens.user(&registry, &token).is_none());
    }
}
