//! Watches of the API, turned into sightings: one stream per kind, taken up again by itself whatever happens to its connection.

use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt};
use kube::Client;
use kube::api::{Api, DynamicObject, PartialObjectMeta};
use kube::core::ApiResource;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};

use super::Sighting;
use crate::observed::{Object, Traced, Watched};

/// What a watch tells, without an end.
pub(crate) type Sightings = BoxStream<'static, Sighting>;

/// The whole objects of a kind, in all namespaces.
pub(crate) fn of_objects<T: Watched>(client: Client) -> Sightings {
    let events = watcher(Api::<T>::all(client), watcher::Config::default());
    sightings(events, Arc::clone(T::KIND.resource()), |object| {
        T::wrap(Arc::new(object))
    })
}

/// The metadata of the objects of a kind, in all namespaces.
pub(super) fn of_metadata(client: Client, resource: Arc<ApiResource>) -> Sightings {
    let api = Api::<PartialObjectMeta<DynamicObject>>::all_with(client, &resource);
    let events = watcher(api, watcher::Config::default());
    let kind = Arc::clone(&resource);
    sightings(
        events,
        resource,
        move |mut object: PartialObjectMeta<DynamicObject>| {
            // The largest part, of which nobody asks.
            object.metadata.managed_fields = None;
            Object::Other(Arc::new(Traced {
                resource: Arc::clone(&kind),
                meta: object.metadata,
            }))
        },
    )
}

fn sightings<T: Send + 'static>(
    events: impl futures::Stream<Item = watcher::Result<Event<T>>> + Send + 'static,
    resource: Arc<ApiResource>,
    wrap: impl Fn(T) -> Object + Send + 'static,
) -> Sightings {
    let mut listed = HashSet::new();
    let plural = resource.plural.clone();
    events
        .inspect(move |event| {
            if let Err(error) = event {
                tracing::debug!(plural, %error, "a watch is taken up again");
            }
        })
        .default_backoff()
        .filter_map(async |event| event.ok())
        .map(move |event| match event {
            Event::Init => {
                listed.clear();
                Sighting::ListBegins(Arc::clone(&resource))
            }
            Event::InitApply(object) => {
                let object = wrap(object);
                listed.insert(object.uid().to_owned());
                Sighting::Saw(object)
            }
            Event::InitDone => Sighting::Listed(Arc::clone(&resource), std::mem::take(&mut listed)),
            Event::Apply(object) => Sighting::Saw(wrap(object)),
            Event::Delete(object) => Sighting::Lost(wrap(object).uid().to_owned()),
        })
        .boxed()
}
