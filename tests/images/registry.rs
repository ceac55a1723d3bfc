//! Pulls from a registry that moves, spoils and locks away what it has.

use mwctl_engine::images::{Credentials, Owners, PullError, Reference, Registry, Remote, Store};
use mwctl_tests::registry;
use serde_json::json;
use tempfile::TempDir;

use crate::archive;

struct Place {
    folder: TempDir,
    registry: registry::Registry,
    store: Store,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), Owners::of_process()).unwrap();
        Self {
            folder,
            registry: registry::Registry::start().unwrap(),
            store,
        }
    }

    /// A layer of its own for each number.
    fn layer(&self, number: u64) -> Vec<u8> {
        let path = self.folder.path().join("layer.tar");
        archive::write(&path, number, 3);
        std::fs::read(path).unwrap()
    }

    fn reference(&self, name: &str) -> Reference {
        Reference::parse(&format!("{}/{name}", self.registry.host())).unwrap()
    }

    fn client(&self, accounts: Credentials) -> Registry {
        Registry::new(vec![self.registry.host()], accounts)
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(future)
    }

    fn pull(&self, name: &str, accounts: Credentials) -> Result<String, PullError> {
        let (client, reference) = (self.client(accounts), self.reference(name));
        let pulled = Self::run(client.pull(&self.store, &reference, "amd64", &|_| {}));
        pulled.map(|record| record.manifest.to_string())
    }

    fn find(&self, name: &str) -> Result<Remote, PullError> {
        let (client, reference) = (self.client(Credentials::default()), self.reference(name));
        Self::run(client.find(&reference, "amd64"))
    }
}

fn nobody() -> Credentials {
    Credentials::default()
}

#[test]
fn a_layer_is_asked_for_once_and_a_moved_tag_brings_what_is_new() {
    let place = Place::new();
    let (one, two) = (place.layer(1), place.layer(2));
    let config = json!({"Cmd": ["/bin/sh"]});
    let put = |layers: &[Vec<u8>]| place.registry.put("a/b:1", "amd64", &config, layers);
    let (_, first) = put(std::slice::from_ref(&one));
    assert_eq!(place.pull("a/b:1", nobody()).unwrap(), first);
    place.registry.asked();
    let (index, second) = put(&[one.clone(), two.clone()]);
    assert_eq!(place.pull("a/b:1", nobody()).unwrap(), second);
    let asked = place.registry.asked();
    let blob = |bytes: &[u8]| format!("GET /v2/a/b/blobs/{}", registry::digest(bytes));
    assert!(
        asked.contains(&blob(&two)) && !asked.contains(&blob(&one)),
        "{asked:?}"
    );

    // What was before can be had by its digest, and the tag means something else.
    assert_eq!(
        place.pull(&format!("a/b@{first}"), nobody()).unwrap(),
        first
    );
    let found = place.find("a/b:1").unwrap();
    assert_eq!(
        (found.digest.as_str(), found.index.unwrap().as_str()),
        (&*second, &*index)
    );
    let client = place.client(nobody());
    place.registry.asked();
    let head = Place::run(client.head(&place.reference("a/b:1"))).unwrap();
    assert_eq!(head.as_str(), index);
    let asked = place.registry.asked();
    assert!(
        asked.iter().all(|it| !it.starts_with("GET /v2/a")),
        "{asked:?}"
    );
}

#[test]
fn bytes_that_arent_what_their_digest_says_are_refused_and_named() {
    let place = Place::new();
    let layer = place.layer(1);
    let (_, manifest) =
        place
            .registry
            .put("a/b:1", "amd64", &json!({}), std::slice::from_ref(&layer));
    place.registry.spoil(&registry::digest(&layer));
    let refused = place.pull("a/b:1", nobody()).unwrap_err();
    let told = format!("{refused:?} {refused}");
    assert!(told.contains(&registry::digest(&layer)), "{told}");
    assert!(place.store.records().unwrap().is_empty());
    place.registry.spoil(&manifest);
    let refused = place.find("a/b:1").unwrap_err();
    assert!(
        matches!(
            refused,
            PullError::Damaged { .. } | PullError::Failed { .. }
        ),
        "{refused:?}"
    );
}

#[test]
fn a_closed_registry_opens_to_an_account_and_tells_others_what_to_type() {
    let place = Place::new();
    place
        .registry
        .put("a/b:1", "amd64", &json!({}), &[place.layer(1)]);
    place.registry.close("me:secret");
    let refused = place.pull("a/b:1", nobody()).unwrap_err();
    assert!(matches!(refused, PullError::Denied { .. }), "{refused:?}");
    assert!(refused.hints()[0].contains(&format!("docker login {}", place.registry.host())));
    let file = place.folder.path().join("config.json");
    // `me:secret`, as `docker login` writes it.
    let known = json!({"auths": {place.registry.host(): {"auth": "bWU6c2VjcmV0"}}});
    std::fs::write(&file, known.to_string()).unwrap();
    place.pull("a/b:1", Credentials::new(vec![file])).unwrap();
    assert!(place.registry.asked().contains(&"GET /token".to_owned()));
}

#[test]
fn what_isnt_there_is_told_apart_from_what_is_for_others() {
    let place = Place::new();
    place
        .registry
        .put("a/b:1", "arm64", &json!({}), &[place.layer(1)]);
    let missing = place.pull("a/b:2", nobody()).unwrap_err();
    assert!(matches!(missing, PullError::NotFound { .. }), "{missing:?}");
    let other = place.pull("a/b:1", nobody()).unwrap_err();
    assert!(matches!(other, PullError::Architecture { .. }), "{other:?}");
}
