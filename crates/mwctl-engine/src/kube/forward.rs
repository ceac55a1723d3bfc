//! Leads local ports to a service's pod: the listener stays while pods come and go.
//!
//! Each connection is dialled to the pod that is ready at that moment. While none is, a new
//! connection waits for a short time and is then closed, so that a client sees an end and no hang.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use mwctl_core::name::ServiceName;
use mwctl_core::observed::ObservedPod;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Cluster;
use super::pods::follow;
use crate::event::{Event, Events};

/// How long a connection waits for a ready pod: a restart of a process in its pod is shorter.
const PATIENCE: Duration = Duration::from_secs(15);

/// A port can't be forwarded.
#[derive(Debug, thiserror::Error)]
pub enum Forward {
    /// The local port can't be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What leads where.
#[derive(Clone, Debug)]
pub struct Route {
    /// The service.
    pub service: ServiceName,
    /// The selector of its pods.
    pub selector: String,
    /// Where to listen; port 0 for any that is free.
    pub local: SocketAddr,
    /// The port in the pod.
    pub port: u16,
}

/// Forwards until dropped; ends only when the local port can't be had.
pub async fn run(cluster: &Cluster, route: &Route, events: &Events) -> Result<(), Forward> {
    let failed = |source| Forward::Listen {
        address: route.local,
        source,
    };
    let listener = TcpListener::bind(route.local).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    events.send(Event::Forwarding {
        service: route.service.clone(),
        local,
        port: route.port,
    });
    // pod watch --ready pod's name--> connections
    let (ready_tx, ready_rx) = watch::channel(None);
    let mut connections = JoinSet::new();
    let mut pods = pin!(follow(cluster, &route.selector));
    loop {
        tokio::select! {
            Some(found) = pods.next() => if let Ok(found) = found {
                let ready = found
                    .values()
                    .map(ObservedPod::of)
                    .find(|pod| pod.ready && !pod.terminating)
                    .map(|pod| pod.name);
                ready_tx.send_replace(ready);
            },
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(cluster.clone(), stream, ready_rx.clone(), route.port));
                }
                Err(error) => tracing::warn!("cannot accept on {local}: {error}"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(
    cluster: Cluster,
    mut stream: TcpStream,
    mut ready_rx: watch::Receiver<Option<String>>,
    port: u16,
) {
    let pod = tokio::time::timeout(PATIENCE, ready_rx.wait_for(Option::is_some)).await;
    let Ok(Ok(pod)) = pod.map(|pod| pod.map(|pod| pod.clone())) else {
        tracing::debug!("no pod was ready for a connection");
        return;
    };
    let Some(pod) = pod else { return };
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let mut forwarder = match api.portforward(&pod, &[port]).await {
        Ok(forwarder) => forwarder,
        Err(error) => {
            tracing::debug!("cannot forward to {pod}: {error}");
            return;
        }
    };
    let Some(mut far) = forwarder.take_stream(port) else {
        return;
    };
    drop(stream.set_nodelay(true));
    drop(tokio::io::copy_bidirectional(&mut stream, &mut far).await);
    drop(far.shutdown().await);
    drop(far);
    drop(forwarder.join().await);
}
