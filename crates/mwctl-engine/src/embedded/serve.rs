//! Serves a cluster from this process: the API, its controllers, and the folder by which others find them.

use std::io;
use std::path::Path;
use std::time::Duration;

use mwctl_apiserver::server::{Endpoint, Kubeconfig, OpenServer, Server};
use mwctl_apiserver::status::Status;
use mwctl_controllers::Controllers;

use super::claim::{Claim, ClaimError, Clusters, context};
use super::lease::Lease;
use super::node::{self, NodeError, NodeOptions, Running};

/// How a cluster is served.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Pods become ready though nothing runs in them.
    pub simulate_pods: bool,
    /// When it ends by itself.
    pub ttl: Option<Duration>,
    /// Its objects are kept, and are there again when a cluster of this name is served so.
    pub persist: bool,
    /// Nothing but the API.
    pub without_controllers: bool,
    /// It has a node of this machine, whose pods are containers.
    pub node: Option<NodeOptions>,
}

/// A cluster that is served until this is dropped.
#[derive(Debug)]
pub struct Serving {
    // In this order: nobody finds a cluster whose API has ended.
    claim: Claim,
    node: Option<Running>,
    _controllers: Option<mwctl_controllers::Handle>,
    _endpoint: Endpoint,
}

/// A cluster can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Its name or its folder can't be had.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The API doesn't start.
    #[error("the API doesn't start")]
    Api(#[from] Status),
    /// What is kept of it can't be used.
    #[error("the cluster's objects can't be had: {}", with_causes(.0))]
    Data(#[source] OpenServer),
    /// There is no socket for it.
    #[error("the API gets no port")]
    Listen(#[source] io::Error),
    /// The controllers don't run.
    #[error("the controllers don't start")]
    Controllers(#[from] mwctl_controllers::StartError),
    /// There is no node.
    #[error("the cluster's node doesn't start: {}", with_causes(.0))]
    Node(#[source] NodeError),
}

/// Serves the cluster `name`.
///
/// Cancel safety: dropping it leaves nothing behind.
pub async fn serve(
    clusters: &Clusters,
    name: &str,
    options: Options,
) -> Result<Serving, ServeError> {
    // Before anything is made for a name that leads out of the folder.
    clusters.check_free(name)?;
    let server = if options.persist {
        Server::open(&clusters.data(name)).map_err(ServeError::Data)?
    } else {
        Server::new()?
    };
    let endpoint = server.listen(0).await.map_err(ServeError::Listen)?;
    let mut controllers =
        mwctl_controllers::Options::default().simulate_pods(options.simulate_pods);
    controllers.settings.root_certificate = Some(endpoint.kubeconfig().authority.clone());
    let lease = Lease::of_this_process(options.simulate_pods, options.ttl);
    let mut kubeconfig = endpoint.kubeconfig().clone();
    kubeconfig.images = options.node.as_ref().map(|node| node.images.clone());
    let claim = clusters.claim(name, |folder| describe(folder, name, &lease, &kubeconfig))?;
    let volumes = if options.persist {
        clusters.data(name).join("volumes")
    } else {
        claim.folder().join("volumes")
    };
    let mut mountable = Vec::new();
    if options.node.is_some() {
        mountable.push(volumes.clone());
        controllers.settings.volumes = Some(volumes);
    }
    let controllers = if options.without_controllers {
        None
    } else {
        Some(Controllers::start(server.client(), controllers).await?)
    };
    let node = match options.node {
        None => None,
        Some(mut wanted) => {
            wanted.mountable.extend(mountable);
            wanted.checkouts = Some(clusters.checkouts(name));
            let name = context(name);
            let started = node::start(&server, &endpoint, &name, claim.folder(), wanted).await;
            Some(started.map_err(ServeError::Node)?)
        }
    };
    Ok(Serving {
        claim,
        node,
        _controllers: controllers,
        _endpoint: endpoint,
    })
}

/// All of what went wrong, for what shows one line: a log, a status.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

fn describe(folder: &Path, name: &str, lease: &Lease, kubeconfig: &Kubeconfig) -> io::Result<()> {
    kubeconfig.write(&folder.join("kubeconfig"), &context(name))?;
    std::fs::write(folder.join("lease.json"), serde_json::to_vec(lease)?)
}

impl Serving {
    /// The folder's claim, with the kubeconfig's place.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Is back when its node has lost all of its containers at once, because somebody killed the first process of them. Nothing can run
    /// there any more.
    pub async fn is_lost(&self) {
        match &self.node {
            Some(node) => node.lost().await,
            None => std::future::pending().await,
        }
    }

    /// Ends the cluster, and is back when none of its containers runs any more.
    pub async fn stop(self) {
        let Self { claim, node, .. } = self;
        drop(claim);
        if let Some(node) = node {
            node.stop().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_finds_a_cluster_can_use_it() {
        let folder = tempfile::tempdir().unwrap();
        let clusters = Clusters::new(folder.path().to_owned());
        let serving = serve(&clusters, "one", Options::default()).await.unwrap();
        let known = clusters.find("one").unwrap();
        assert_eq!(known.kubeconfig, serving.claim().kubeconfig());
        let read = kube::config::Kubeconfig::read_from(&known.kubeconfig).unwrap();
        let cluster = crate::kube::Cluster::connect(read, "mwctl-one", "default");
        let client = cluster.await.unwrap().client;
        let version = client.apiserver_version().await.unwrap();
        assert_eq!((&*version.major, &*version.minor), ("1", "34"));
        drop(serving);
        assert!(clusters.find("one").is_none());
    }

    #[tokio::test]
    async fn what_is_kept_is_there_again() {
        use k8s_openapi::api::core::v1::ConfigMap;
        let folder = tempfile::tempdir().unwrap();
        let clusters = Clusters::new(folder.path().join("clusters"));
        let kept = Options {
            persist: true,
            ..Options::default()
        };
        let connect = async |serving: &Serving| {
            let read = kube::config::Kubeconfig::read_from(serving.claim().kubeconfig()).unwrap();
            let cluster = crate::kube::Cluster::connect(read, "mwctl-one", "default");
            kube::Api::<ConfigMap>::default_namespaced(cluster.await.unwrap().client)
        };
        let serving = serve(&clusters, "one", kept.clone()).await.unwrap();
        let mut map = ConfigMap::default();
        map.metadata.name = Some("a".to_owned());
        let made = connect(&serving)
            .await
            .create(&kube::api::PostParams::default(), &map)
            .await
            .unwrap();
        drop(serving);
        // The first server ends a moment after whoever served it.
        let serving = loop {
            match serve(&clusters, "one", kept.clone()).await {
                Err(ServeError::Data(_)) => tokio::task::yield_now().await,
                serving => break serving.unwrap(),
            }
        };
        let found = connect(&serving).await.get("a").await.unwrap();
        assert_eq!(found.metadata.uid, made.metadata.uid);
        drop(serving);
        assert!(clusters.keeps("one") && !clusters.keeps("../one"));
        clusters.forget("one").unwrap();
        assert!(!clusters.keeps("one"));
    }
}
