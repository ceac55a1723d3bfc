//! Who asks: the administrator by a random token, a service account by one of its own, or whom a connection inside this process is for.

use super::header_text;
use super::tokens::Tokens;
use crate::access::{self, AUTHENTICATED, Attributes, Decision, User};
use crate::registry::Registry;
use crate::status::Status;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header;
use http::request::Parts;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::collections::BTreeMap;

/// The secrets that tell who somebody is.
pub(super) struct Credentials {
    admin: String,
    pub(super) tokens: Tokens,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Credentials(…)")
    }
}

impl Credentials {
    /// New secrets, known to nobody.
    pub(super) fn random() -> Result<Self, Status> {
        let no_randomness = || Status::internal("the system has no randomness");
        let mut bytes = [0; 32];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| no_randomness())?;
        Ok(Self {
            admin: URL_SAFE_NO_PAD.encode(bytes),
            tokens: Tokens::new().ok_or_else(no_randomness)?,
        })
    }

    pub(super) fn admin_token(&self) -> &str {
        &self.admin
    }

    /// Who makes a request. Who says nothing is anonymous; who says something that is not true is refused.
    pub(super) fn user(&self, registry: &Registry, parts: &Parts) -> Result<User, Status> {
        let user = if let Some(user) = parts.extensions.get::<User>() {
            user.clone()
        } else if !parts.headers.contains_key(header::AUTHORIZATION) {
            User::anonymous()
        } else {
            let token = header_text(parts, header::AUTHORIZATION).strip_prefix("Bearer ");
            let known = token.and_then(|token| self.bearer(registry, token.trim()));
            known
                .ok_or_else(|| Status::new(401, "Unauthorized", "Unauthorized"))?
                .0
        };
        impersonated(registry, parts, user)
    }

    /// Whose a token is, and for whom it is; the administrator's is for everybody.
    pub(super) fn bearer(&self, registry: &Registry, token: &str) -> Option<(User, Vec<String>)> {
        if same(token, &self.admin) {
            return Some((User::admin(), vec![super::tokens::AUDIENCE.to_owned()]));
        }
        self.tokens.user(registry, token)
    }
}

/// Whom a request is made for (`kubectl --as`), if its maker may speak for them.
fn impersonated(registry: &Registry, parts: &Parts, user: User) -> Result<User, Status> {
    let told = |name: &str| -> Vec<String> {
        let values = parts.headers.get_all(name).iter();
        values
            .filter_map(|value| value.to_str().ok())
            .map(str::to_owned)
            .collect()
    };
    let (name, groups) = (told("impersonate-user").pop(), told("impersonate-group"));
    let Some(name) = name else {
        return if groups.is_empty() {
            Ok(user)
        } else {
            Err(Status::internal(
                "requested [{Group }] without impersonating a user",
            ))
        };
    };
    let account = name
        .strip_prefix("system:serviceaccount:")
        .and_then(|rest| rest.split_once(':'));
    let mut asked = match account {
        Some((namespace, name)) => vec![("serviceaccounts", namespace, name)],
        None => vec![("users", "", name.as_str())],
    };
    asked.extend(groups.iter().map(|group| ("groups", "", group.as_str())));
    let policy = registry.policy();
    for (resource, namespace, name) in asked {
        let attributes = Attributes {
            verb: "impersonate",
            target: access::Target::Resource(access::Resource {
                resource,
                namespace,
                name,
                ..access::Resource::default()
            }),
        };
        if let Decision::Refused(why) = access::authorize(&policy, &user, &attributes) {
            return Err(access::forbidden(&user, &attributes, &why));
        }
    }
    let mut other = match account {
        Some((namespace, name)) => User::service_account(namespace, name),
        None => User {
            name,
            uid: String::new(),
            groups: vec![AUTHENTICATED.to_owned()],
            extra: BTreeMap::new(),
        },
    };
    if !groups.is_empty() {
        other.groups = groups;
        other.groups.push(AUTHENTICATED.to_owned());
    }
    Ok(other)
}

/// Compares secrets in a time that tells nothing of where they differ.
fn same(told: &str, secret: &str) -> bool {
    let differ = told
        .bytes()
        .zip(secret.bytes())
        .fold(0, |differ, (a, b)| differ | (a ^ b));
    std::hint::black_box(differ) == 0 && told.len() == secret.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;

    fn parts(headers: &[(&'static str, &str)]) -> Parts {
        let mut request = http::Request::new(());
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        request.into_parts().0
    }

    fn registry() -> Registry {
        Registry::new(kinds::builtin()).unwrap()
    }

    #[test]
    fn only_the_whole_token_is_the_administrators() {
        let (registry, credentials) = (registry(), Credentials::random().unwrap());
        let token = credentials.admin_token();
        assert!(token.len() > 40 && token != Credentials::random().unwrap().admin_token());
        let user = |header: &str| credentials.user(&registry, &parts(&[("authorization", header)]));
        assert_eq!(user(&format!("Bearer {token}")), Ok(User::admin()));
        for wrong in [
            "",
            "Bearer ",
            token,
            &format!("Bearer {token}x"),
            &format!("Bearer {}", &token[1..]),
        ] {
            assert_eq!(user(wrong).unwrap_err().code, 401, "{wrong}");
        }
        assert_eq!(
            credentials.user(&registry, &parts(&[])),
            Ok(User::anonymous())
        );
    }

    #[test]
    fn a_connection_inside_the_process_says_for_whom_it_is() {
        let mut parts = parts(&[]);
        parts.extensions.insert(User::node("n"));
        assert_eq!(
            Credentials::random().unwrap().user(&registry(), &parts),
            Ok(User::node("n"))
        );
    }

    #[test]
    fn only_who_may_speaks_for_another() {
        let (registry, credentials) = (registry(), Credentials::random().unwrap());
        let bearer = format!("Bearer {}", credentials.admin_token());
        let told = [
            ("authorization", bearer.as_str()),
            ("impersonate-user", "jane"),
            ("impersonate-group", "dev"),
        ];
        let jane = credentials.user(&registry, &parts(&told)).unwrap();
        assert_eq!(
            (jane.name.as_str(), jane.groups),
            ("jane", vec!["dev".to_owned(), AUTHENTICATED.to_owned()])
        );
        let told = [("impersonate-user", "jane")];
        assert_eq!(
            credentials.user(&registry, &parts(&told)).unwrap_err().code,
            403
        );
    }
}
