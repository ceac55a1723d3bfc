//! Watches the kinds of objects that concern the network: one stream of all changes, taken up again by itself whatever happens.

use std::fmt::Debug;

use futures::stream::{BoxStream, StreamExt, select_all};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::cluster::Change;

/// All changes in the cluster that the network must know of, without an end.
pub fn cluster(client: &Client) -> BoxStream<'static, Change> {
    select_all([
        of(client, Change::Namespace),
        of(client, Change::Pod),
        of(client, Change::Service),
        of(client, Change::EndpointSlice),
        of(client, Change::NetworkPolicy),
    ])
    .boxed()
}

fn of<K>(client: &Client, change: fn(Event<K>) -> Change) -> BoxStream<'static, Change>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let kind = K::kind(&());
    watcher(Api::<K>::all(client.clone()), watcher::Config::default())
        .inspect(move |event| match event {
            // Pods wait for this one.
            Err(error @ watcher::Error::InitialListFailed(_)) => {
                tracing::warn!(%kind, %error, "the cluster doesn't say what there is");
            }
            Err(error) => tracing::debug!(%kind, %error, "a watch is taken up again"),
            Ok(_) => {}
        })
        .default_backoff()
        .filter_map(async |event| event.ok())
        .map(change)
        .boxed()
}
