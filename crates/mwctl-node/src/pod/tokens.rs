//! The tokens of a pod's service account: each is asked for once, and again before it is too old, as the kubelet does.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};

use super::probes::{after, until};
use super::volumes::{self, TokenNeed};

/// None is kept for longer, however long it lasts.
const OLDEST: Duration = Duration::from_hours(24);
/// None is asked for more often, however short it lasts.
const YOUNGEST: Duration = Duration::from_secs(1);
/// When one is asked for again that the cluster didn't give.
const AGAIN: Duration = Duration::from_mins(1);

/// What a pod has got.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<BTreeMap<TokenNeed, Token>>);

#[derive(Clone, Debug)]
struct Token {
    text: String,
    /// When it is to be asked for again.
    renewed: Timestamp,
    /// Whether that time has come.
    old: bool,
}

impl Tokens {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<TokenNeed, Token>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that the pod's volumes want. Only what isn't there, or is old, is asked for.
    pub(crate) async fn fetch(
        &self,
        client: &Client,
        pod: &Pod,
    ) -> Result<BTreeMap<TokenNeed, String>, kube::Error> {
        let mut all = BTreeMap::new();
        for need in volumes::tokens(pod) {
            let known = self.lock().get(&need).filter(|token| !token.old).cloned();
            let text = if let Some(known) = known {
                known.text
            } else {
                let token = ask(client, pod, &need).await?;
                let text = token.text.clone();
                self.lock().insert(need.clone(), token);
                text
            };
            all.insert(need, text);
        }
        Ok(all)
    }

    /// When the first of them is to be renewed.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.lock().values().map(|token| token.renewed).min()
    }

    /// Whether one is to be renewed now, which counts as begun: it is due again only after a while.
    pub(crate) fn are_due(&self, now: Timestamp) -> bool {
        let mut due = false;
        for token in self.lock().values_mut() {
            if token.renewed <= now {
                token.old = true;
                token.renewed = after(now, AGAIN);
                due = true;
            }
        }
        due
    }
}

async fn ask(client: &Client, pod: &Pod, need: &TokenNeed) -> Result<Token, kube::Error> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let account = pod.spec.as_ref();
    let account = account.and_then(|spec| spec.service_account_name.as_deref());
    let bound = BoundObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
    };
    let spec = TokenRequestSpec {
        audiences: need.audience.clone().into_iter().collect(),
        bound_object_ref: Some(bound),
        expiration_seconds: Some(need.seconds),
    };
    let request = TokenRequest {
        spec,
        ..TokenRequest::default()
    };
    let name = account.filter(|name| !name.is_empty()).unwrap_or("default");
    let answer = accounts
        .create_token_request(name, &PostParams::default(), &request)
        .await?;
    let now = Timestamp::now();
    let status = answer.status;
    let given = status.map(|it| (it.token, it.expiration_timestamp.0));
    let (text, expires) = given.unwrap_or_else(|| (String::new(), now));
    Ok(Token {
        text,
        renewed: renewal(now, expires),
        old: false,
    })
}

/// When a fifth of its time is left, or a day has gone by.
fn renewal(now: Timestamp, expires: Timestamp) -> Timestamp {
    let lasts = until(expires, now);
    after(now, (lasts * 4 / 5).clamp(YOUNGEST, OLDEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_token_is_renewed_when_a_fifth_of_its_time_is_left() {
        assert_eq!(renewal(at(100), at(700)), at(580));
        assert_eq!(renewal(at(0), at(1 << 32)), at(24 * 3600));
        // Nobody is asked over and over again.
        assert_eq!(renewal(at(100), at(50)), at(101));
    }

    #[test]
    fn a_renewal_that_fails_is_tried_again_later() {
        let tokens = Tokens::default();
        assert_eq!((tokens.next(), tokens.are_due(at(9))), (None, false));
        let need = TokenNeed {
            audience: None,
            seconds: 600,
        };
        let token = Token {
            text: String::new(),
            renewed: at(10),
            old: false,
        };
        tokens.lock().insert(need, token);
        assert!(!tokens.are_due(at(9)));
        assert!(tokens.are_due(at(10)) && !tokens.are_due(at(11)));
        assert!(tokens.lock().values().all(|token| token.old));
        assert_eq!(tokens.next(), Some(at(70)));
    }
}
