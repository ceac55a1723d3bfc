//! A real registry between this machine and the nodes: what it takes, what it takes over, and what comes back out of it.

use std::sync::Arc;

use mwctl_core::cluster::Kind;
use mwctl_core::delivery::{Asked, Facts, choose};
use mwctl_engine::command::ProcessRunner;
use mwctl_engine::delivery::{Delivery, How, by};
use mwctl_engine::image::Built;
use mwctl_engine::images::oci::architecture;
use mwctl_engine::images::{Credentials, Owners, Reference, Registry, Store};
use mwctl_engine::progress::silent;

use crate::judge;
use crate::source::Source;

struct Stage {
    source: Source,
    host: String,
    delivery: Delivery,
}

impl Stage {
    /// Of `registry HOST:PORT`.
    async fn new(place: &str) -> Self {
        let host = place.strip_prefix("registry ").unwrap();
        let asked: Asked = host.parse().unwrap();
        let facts = Facts {
            kind: &Kind::Unknown,
            profile: None,
            advertised: None,
            asked: Some(&asked),
        };
        let runner = Arc::new(ProcessRunner::new());
        let delivery = by(choose(facts).choice, runner, &Credentials::default()).await;
        Self {
            source: Source::new(),
            host: host.to_owned(),
            delivery: delivery.unwrap(),
        }
    }

    /// Delivers, and pulls it back by the name that pods have.
    async fn delivered(&self, service: &str, content: &str) -> (How, usize) {
        let built = self.source.built(service, content).await;
        let delivered = self.delivery.deliver(&self.source.builder, &built, &silent);
        let delivered = delivered.await.unwrap().remove(0);
        self.pulled(&built).await;
        (delivered.how, delivered.layers)
    }

    async fn pulled(&self, built: &Built) {
        let store = tempfile::tempdir().unwrap();
        let store = Store::open(store.path(), Owners::of_process()).unwrap();
        let reference = Reference::parse(&self.delivery.named(built.reference())).unwrap();
        let registry = Registry::new(vec![self.host.clone()], Credentials::default());
        let pulled = registry.pull(&store, &reference, architecture(), &|_| {});
        assert_eq!(pulled.await.unwrap().manifest.as_str(), built.image.digest);
    }
}

#[tokio::test]
async fn a_real_registry_takes_what_it_lacks_and_gives_it_back() {
    let stage = Stage::new(&judge()).await;
    assert_eq!(stage.delivered("one", "1").await, (How::Full, 3));
    assert_eq!(stage.delivered("one", "1").await, (How::Present, 0));
    assert_eq!(stage.delivered("one", "2").await, (How::Delta, 1));
    // The base is taken over from the other repository.
    assert_eq!(stage.delivered("two", "3").await, (How::Delta, 1));
    // What takes several answers of a megabyte is one layer, too.
    assert_eq!(
        stage.delivered("one", &"4".repeat(9 << 20)).await,
        (How::Delta, 1)
    );
}
