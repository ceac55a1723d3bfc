//! Which kinds the server has: what is to be watched, and under which path a kind lies.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Client;
use kube::core::ApiResource;
use kube::discovery::{Discovery, Scope, verbs};

/// A kind that the server has.
#[derive(Clone, Debug)]
pub(crate) struct ServedKind {
    pub(crate) resource: Arc<ApiResource>,
    pub(crate) is_namespaced: bool,
}

/// All kinds that can be listed, watched and deleted, by group and kind.
#[derive(Debug, Default)]
pub(crate) struct Served(BTreeMap<(String, String), ServedKind>);

impl Served {
    /// Asks the server.
    pub(crate) async fn ask(client: Client) -> kube::Result<Self> {
        let discovery = Discovery::new(client).run_aggregated().await?;
        let kinds = (discovery.groups())
            .flat_map(kube::discovery::ApiGroup::recommended_resources)
            .filter(|(_, capabilities)| {
                [verbs::LIST, verbs::WATCH, verbs::DELETE]
                    .iter()
                    .all(|verb| capabilities.supports_operation(verb))
            })
            // The same events as in the core group, under a second path.
            .filter(|(resource, _)| resource.group != "events.k8s.io")
            .map(|(resource, capabilities)| {
                let kind = ServedKind {
                    is_namespaced: capabilities.scope == Scope::Namespaced,
                    resource: Arc::new(resource),
                };
                let name = (kind.resource.group.clone(), kind.resource.kind.clone());
                (name, kind)
            })
            .collect();
        Ok(Self(kinds))
    }

    /// The kind of this name, whatever version of its group is asked for.
    pub(crate) fn find(&self, api_version: &str, kind: &str) -> Option<&ServedKind> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        self.0.get(&(group.to_owned(), kind.to_owned()))
    }

    /// All kinds.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<ApiResource>> {
        self.0.values().map(|kind| &kind.resource)
    }

    /// The kinds that lie in namespaces.
    pub(crate) fn namespaced(&self) -> impl Iterator<Item = &Arc<ApiResource>> {
        (self.0.values().filter(|kind| kind.is_namespaced)).map(|kind| &kind.resource)
    }
}
