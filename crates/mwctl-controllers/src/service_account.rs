//! What every namespace has: the service account `default`, and the certificate of the cluster's authority in `kube-root-ca.crt`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use crate::action::{Action, Target};
use crate::controller::{Context, Controller};
use crate::observed::{Change, Key, Kind, Object, Observed};

/// The controller's name.
pub(crate) const NAME: &str = "serviceaccount-controller";

/// The account that pods have if they ask for none.
const ACCOUNT: &str = "default";

/// The map that pods mount with their token.
const CERTIFICATE: &str = "kube-root-ca.crt";

/// The controller.
pub(crate) static CONTROLLER: Controller = Controller {
    name: NAME,
    reads: &[Kind::Namespace, Kind::ServiceAccount, Kind::ConfigMap],
    traces_all: false,
    wakes,
    reconcile,
};

fn wakes(change: &Change, _: &Observed) -> Vec<Key> {
    match change.object() {
        Object::Namespace(namespace) => vec![Key::of(namespace.as_ref())],
        object @ (Object::ServiceAccount(_) | Object::ConfigMap(_)) => {
            let key = object.key();
            let is_ours = [ACCOUNT, CERTIFICATE].contains(&key.name.as_str());
            is_ours
                .then(|| Key::cluster(key.namespace))
                .into_iter()
                .collect()
        }
        _ => Vec::new(),
    }
}

fn reconcile(context: &Context<'_>, key: &Key) -> Vec<Action> {
    let observed = context.observed;
    let is_active = (observed.namespaces.get(key))
        .is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_none());
    if !is_active {
        return Vec::new();
    }
    let meta = |name: &str| ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(key.name.clone()),
        ..ObjectMeta::default()
    };
    let mut actions = Vec::new();
    if (observed.service_accounts.get(&Key::new(&key.name, ACCOUNT))).is_none() {
        let account = ServiceAccount {
            metadata: meta(ACCOUNT),
            ..ServiceAccount::default()
        };
        actions.push(Action::Create(account.into(), None));
    }
    let Some(certificate) = &context.settings.root_certificate else {
        return actions;
    };
    let data = BTreeMap::from([("ca.crt".to_owned(), certificate.clone())]);
    match observed.config_maps.get(&Key::new(&key.name, CERTIFICATE)) {
        None => {
            let mut meta = meta(CERTIFICATE);
            meta.annotations = Some(BTreeMap::from([(
                "kubernetes.io/description".to_owned(),
                "The certificate authority of this cluster's API server.".to_owned(),
            )]));
            let map = ConfigMap {
                metadata: meta,
                data: Some(data),
                ..ConfigMap::default()
            };
            actions.push(Action::Create(map.into(), None));
        }
        Some(map) if map.data.as_ref() != Some(&data) => actions.push(Action::Patch {
            target: Target::of(map.as_ref()),
            subresource: None,
            patch: json!({"data": data}),
            announcement: None,
        }),
        Some(_) => {}
    }
    actions
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Namespace;

    use super::*;
    use crate::world::World;

    #[test]
    fn every_namespace_has_a_default_account_and_gets_it_back() {
        let mut world = World::with(&[NAME]);
        world.create::<Namespace>(json!({"metadata": {"name": "here"}}));
        let key = Key::new("here", "default");
        assert!(world.get::<ServiceAccount>(&key).is_some());
        world.delete::<ServiceAccount>(&key, None);
        assert!(world.get::<ServiceAccount>(&key).is_some());
    }

    #[test]
    fn the_certificate_is_put_right_when_somebody_changes_it() {
        let mut world = World::with(&[NAME]);
        world.settings().root_certificate = Some("PEM".to_owned());
        world.create::<Namespace>(json!({"metadata": {"name": "here"}}));
        let key = Key::new("here", CERTIFICATE);
        world.patch::<ConfigMap>(&key, &json!({"data": {"ca.crt": "other"}}));
        let data = world.get::<ConfigMap>(&key).unwrap().data.unwrap();
        assert_eq!(data["ca.crt"], "PEM");
    }
}
