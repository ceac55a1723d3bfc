//! What a pod refers to: ConfigMaps, Secrets and claims of volumes. Which ones, and what was found.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolume, PersistentVolumeClaim, Pod, Secret};
use kube::{Api, Client};

use super::state::containers;

/// What was found, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    pub(crate) config_maps: BTreeMap<String, ConfigMap>,
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// The folders of claims that have a volume of this machine.
    pub(crate) claims: BTreeMap<String, String>,
}

/// The names of what is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) config_maps: BTreeSet<String>,
    pub(crate) secrets: BTreeSet<String>,
    pub(crate) claims: BTreeSet<String>,
}

impl Sources {
    /// One by its name; none where it is optional and isn't there.
    pub(crate) fn config_map(
        &self,
        name: &str,
        optional: Option<bool>,
    ) -> Result<Option<&ConfigMap>, String> {
        found(self.config_maps.get(name), "configmap", name, optional)
    }

    /// As [`Sources::config_map`].
    pub(crate) fn secret(
        &self,
        name: &str,
        optional: Option<bool>,
    ) -> Result<Option<&Secret>, String> {
        found(self.secrets.get(name), "secret", name, optional)
    }

    /// Asks for all that is needed. What isn't there is no error here.
    pub(crate) async fn fetch(
        client: &Client,
        namespace: &str,
        needs: &Needs,
    ) -> Result<Self, kube::Error> {
        let config_maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let mut found = Self::default();
        for name in &needs.config_maps {
            if let Some(map) = config_maps.get_opt(name).await? {
                found.config_maps.insert(name.clone(), map);
            }
        }
        for name in &needs.secrets {
            if let Some(secret) = secrets.get_opt(name).await? {
                found.secrets.insert(name.clone(), secret);
            }
        }
        for name in &needs.claims {
            if let Some(folder) = folder_of(client, namespace, name).await? {
                found.claims.insert(name.clone(), folder);
            }
        }
        Ok(found)
    }
}

/// The folder of this machine that a claim is bound to, if it is.
async fn folder_of(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<String>, kube::Error> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let claim = claims.get_opt(name).await?;
    let Some(volume) = claim.and_then(|claim| claim.spec?.volume_name) else {
        return Ok(None);
    };
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let spec = volumes
        .get_opt(&volume)
        .await?
        .and_then(|volume| volume.spec);
    Ok(spec.and_then(|spec| {
        let host = spec.host_path.map(|source| source.path);
        host.or_else(|| spec.local.map(|source| source.path))
    }))
}

fn found<'a, T>(
    it: Option<&'a T>,
    kind: &str,
    name: &str,
    optional: Option<bool>,
) -> Result<Option<&'a T>, String> {
    match (it, optional) {
        (None, Some(true)) => Ok(None),
        (None, _) => Err(format!("{kind} {name:?} not found")),
        (found, _) => Ok(found),
    }
}

impl Needs {
    /// What the volumes of a pod need.
    pub(crate) fn of_volumes(pod: &Pod) -> Self {
        let mut needs = Self::default();
        for volume in pod
            .spec
            .iter()
            .filter_map(|spec| spec.volumes.as_ref())
            .flatten()
        {
            let claim = volume.persistent_volume_claim.as_ref();
            needs.claims.extend(claim.map(|it| it.claim_name.clone()));
            needs
                .config_maps
                .extend(volume.config_map.iter().map(|it| it.name.clone()));
            needs
                .secrets
                .extend(volume.secret.iter().filter_map(|it| it.secret_name.clone()));
            for source in volume
                .projected
                .iter()
                .filter_map(|it| it.sources.as_ref())
                .flatten()
            {
                needs
                    .config_maps
                    .extend(source.config_map.iter().map(|it| it.name.clone()));
                needs
                    .secrets
                    .extend(source.secret.iter().map(|it| it.name.clone()));
            }
        }
        needs
    }

    /// What the environment of one of its containers needs.
    pub(crate) fn of_environment(pod: &Pod, name: &str) -> Self {
        let mut needs = Self::default();
        for (_, container) in containers(pod).filter(|(_, container)| container.name == name) {
            for from in container.env_from.iter().flatten() {
                needs
                    .config_maps
                    .extend(from.config_map_ref.iter().map(|it| it.name.clone()));
                needs
                    .secrets
                    .extend(from.secret_ref.iter().map(|it| it.name.clone()));
            }
            for from in container
                .env
                .iter()
                .flatten()
                .filter_map(|variable| variable.value_from.as_ref())
            {
                needs
                    .config_maps
                    .extend(from.config_map_key_ref.iter().map(|it| it.name.clone()));
                needs
                    .secrets
                    .extend(from.secret_key_ref.iter().map(|it| it.name.clone()));
            }
        }
        needs
    }
}
