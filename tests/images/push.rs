//! Images that go to a cluster by a registry: what is sent, what is taken over, who refuses, and what is told then.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use mwctl_core::cluster::Kind;
use mwctl_core::delivery::{Asked, Facts, choose};
use mwctl_core::model::Build;
use mwctl_engine::command::ProcessRunner;
use mwctl_engine::delivery::{Delivered, Delivery, DeliveryError, How, by};
use mwctl_engine::image::base::LocalLayout;
use mwctl_engine::image::{Bases, Builder, Built, Cache, Request};
use mwctl_engine::images::{Credentials, PushError};
use mwctl_engine::progress::silent;
use mwctl_tests::registry::{Registry, digest};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A registry, and services upon a base of two layers.
struct Stage {
    folder: TempDir,
    registry: Registry,
}

const SECRET: &str = "bWU6c2VjcmV0";

impl Stage {
    fn new() -> Self {
        let stage = Self {
            folder: tempfile::tempdir().unwrap(),
            registry: Registry::start().unwrap(),
        };
        stage.write_base(&[b"lower".to_vec(), b"upper".to_vec()]);
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The layers needn't be archives: nobody unpacks them here.
    fn write_base(&self, layers: &[Vec<u8>]) {
        let layout = self.path("base");
        let put = |bytes: &[u8]| {
            let digest = digest(bytes);
            let path = layout.join("blobs").join(digest.replace(':', "/"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
            json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": bytes.len()})
        };
        let layers: Vec<Value> = layers.iter().map(|layer| put(layer)).collect();
        let diff_ids: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
        let config =
            json!({"architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = put(config.to_string().as_bytes());
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        let manifest = put(manifest.to_string().as_bytes());
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        std::fs::write(layout.join("index.json"), index.to_string()).unwrap();
    }

    fn builder(&self) -> Builder {
        let bases = Bases::new(vec![Arc::new(LocalLayout)]);
        let runner = Arc::new(ProcessRunner::new());
        Builder::new(Cache::new(self.path("cache")), runner, bases, "amd64")
    }

    async fn built(&self, service: &str, content: &str) -> Built {
        let source = self.path(service);
        std::fs::create_dir_all(&source).unwrap();
        std::fs::write(source.join("server.js"), content).unwrap();
        let build = Build {
            file: None,
            base: format!("oci-layout:{}", self.path("base").display()),
            directory: "/srv/service".to_owned(),
            user: 1000,
            owner: 1000,
            entrypoint: Vec::new(),
            environment: BTreeMap::new(),
            exclude: Vec::new(),
            dependencies: None,
        };
        let request = Request {
            service,
            source: &source,
            build: &build,
            rules: None,
        };
        self.builder().image(request, &silent).await.unwrap()
    }

    /// The way into a cluster that says so itself, and whose nodes call the registry something else.
    async fn delivery(&self, accounts: &Credentials) -> Delivery {
        let advertised = format!(
            "host: {}\nhostFromContainerRuntime: registry:5000\nhelp: https://example.org/help\n",
            self.registry.host()
        );
        let facts = Facts {
            kind: &Kind::Unknown,
            profile: None,
            advertised: Some(&advertised),
            asked: None,
        };
        let runner = Arc::new(ProcessRunner::new());
        by(choose(facts).choice, runner, accounts).await.unwrap()
    }

    async fn deliver(&self, built: &Built) -> Result<Delivered, DeliveryError> {
        self.deliver_as(built, &Credentials::default()).await
    }

    async fn deliver_as(
        &self,
        built: &Built,
        accounts: &Credentials,
    ) -> Result<Delivered, DeliveryError> {
        let delivery = self.delivery(accounts).await;
        let delivered = delivery.deliver(&self.builder(), built, &silent).await?;
        assert!(delivery.has(built).await.unwrap());
        Ok(delivered.into_iter().next().unwrap())
    }

    /// Why it isn't there; and that it has no name.
    async fn refused(&self, built: &Built) -> (PushError, Vec<String>) {
        let error = self.deliver(built).await.unwrap_err();
        let hints = error.hints();
        assert!(
            error
                .to_string()
                .contains("`kube-public/local-registry-hosting` names it")
        );
        assert_eq!(self.registry.names(), Vec::<String>::new());
        let DeliveryError::Push { source, .. } = error else {
            panic!("{error:?}");
        };
        (source, hints)
    }
}

/// What has to be uploaded of an image, without its first layers.
fn contents(built: &Built, without: usize) -> Vec<String> {
    let layers = built.image.layers[without..].iter();
    let mut digests: Vec<String> = layers
        .chain([&built.config])
        .map(|it| it.digest.clone())
        .collect();
    digests.sort();
    digests
}

/// The name that an image has in the registry.
fn name(built: &Built) -> String {
    built.reference().replace("mwctl.local/", "mwctl/")
}

#[tokio::test]
async fn an_image_is_pushed_once_and_then_only_the_layer_that_changed() {
    let stage = Stage::new();
    let first = stage.built("one", "1").await;
    let delivered = stage.deliver(&first).await.unwrap();
    assert_eq!((delivered.how, delivered.layers), (How::Full, 3));
    assert_eq!(stage.registry.received(), contents(&first, 0));
    let manifest = stage.registry.manifest(&name(&first)).unwrap();
    assert_eq!(manifest["config"]["digest"], first.config.digest);
    assert_eq!(stage.registry.names(), [name(&first)]);

    let again = stage.deliver(&first).await.unwrap();
    assert_eq!((again.how, again.bytes), (How::Present, 0));
    let second = stage.built("one", "2").await;
    let delivered = stage.deliver(&second).await.unwrap();
    assert_eq!((delivered.how, delivered.layers), (How::Delta, 1));
    assert_eq!(stage.registry.received(), contents(&second, 2));
    let size = second.image.layers[2].size + second.config.size;
    assert_eq!(delivered.bytes, size);
    // The name is made of the content: what was before is still there, and nothing is the latest.
    assert_eq!(stage.registry.names().len(), 2);
}

#[tokio::test]
async fn pods_ask_for_it_by_the_nodes_name_of_the_registry() {
    let stage = Stage::new();
    let built = stage.built("one", "1").await;
    let delivery = stage.delivery(&Credentials::default()).await;
    let named = delivery.named(built.reference());
    assert_eq!(named, format!("registry:5000/{}", name(&built)));
    assert_eq!(delivery.made(&named), built.reference());
    let words = delivery.in_words();
    assert!(words.contains(&format!(
        "registry `{}`: the cluster's",
        stage.registry.host()
    )));
}

#[tokio::test]
async fn what_another_repository_has_is_taken_over_from_there_until_the_registry_lost_it() {
    let stage = Stage::new();
    stage.deliver(&stage.built("one", "1").await).await.unwrap();
    stage.registry.received();
    let other = stage.built("two", "2").await;
    let delivered = stage.deliver(&other).await.unwrap();
    assert_eq!((delivered.how, delivered.layers), (How::Delta, 1));
    assert_eq!(stage.registry.received(), contents(&other, 2));
    stage.registry.empty();
    let third = stage.built("three", "3").await;
    let delivered = stage.deliver(&third).await.unwrap();
    assert_eq!((delivered.how, delivered.layers), (How::Full, 3));
    assert_eq!(stage.registry.received(), contents(&third, 0));
}

#[tokio::test]
async fn several_images_at_once_bring_their_base_once() {
    let stage = Stage::new();
    let images = [stage.built("one", "1").await, stage.built("two", "2").await];
    let (delivery, builder) = (
        stage.delivery(&Credentials::default()).await,
        stage.builder(),
    );
    let [one, two] = images
        .each_ref()
        .map(|built| delivery.deliver(&builder, built, &silent));
    let (one, two) = tokio::join!(one, two);
    let layers = [one, two].map(|delivered| delivered.unwrap()[0].layers);
    assert_eq!(layers.iter().sum::<usize>(), 3 + 1, "{layers:?}");
}

#[tokio::test]
async fn an_account_is_needed_told_and_used() {
    let stage = Stage::new();
    let built = stage.built("one", "1").await;
    stage.registry.close("me:secret");
    let (error, hints) = stage.refused(&built).await;
    assert!(matches!(error, PushError::Denied { .. }), "{error:?}");
    let host = stage.registry.host();
    assert_eq!(hints[0], format!("log in to it: `docker login {host}`"));
    assert_eq!(
        hints[1],
        "the cluster names a page about it: https://example.org/help"
    );
    assert!(hints[2].contains("`--registry none`"), "{hints:?}");
    let file = stage.path("config.json");
    let known = json!({"auths": {host: {"auth": SECRET}}});
    std::fs::write(&file, known.to_string()).unwrap();
    let delivered = stage
        .deliver_as(&built, &Credentials::new(vec![file]))
        .await;
    assert_eq!(delivered.unwrap().how, How::Full);
}

#[tokio::test]
async fn what_is_too_large_at_once_goes_in_pieces_and_what_is_too_large_is_told() {
    let stage = Stage::new();
    let large = vec![7; 3 << 20];
    stage.write_base(&[large.clone(), b"upper".to_vec()]);
    let built = stage.built("one", "1").await;
    stage.registry.limit(1 << 20);
    let delivered = stage.deliver(&built).await.unwrap();
    assert_eq!(delivered.layers, 3);
    assert!(stage.registry.received().contains(&digest(&large)));
    let asked = stage.registry.asked();
    let pieces = asked.iter().filter(|asked| asked.starts_with("PATCH "));
    assert_eq!(pieces.count(), 3, "{asked:?}");

    stage.registry.empty();
    stage.registry.limit(1 << 19);
    let (error, hints) = stage.refused(&built).await;
    let told = error.to_string();
    assert!(told.ends_with(&format!(
        "takes no layer of {} bytes: {}",
        3 << 20,
        digest(&large)
    )));
    assert!(hints[0].contains("client_max_body_size"), "{hints:?}");
}

#[tokio::test]
async fn a_registry_that_fails_for_a_moment_is_asked_again_and_one_that_goes_on_is_told() {
    let stage = Stage::new();
    let built = stage.built("one", "1").await;
    stage.registry.refuse("PUT /v2/mwctl/one/blobs/", 503, 1);
    stage.registry.refuse("POST /v2/mwctl/one/blobs/", 0, 1);
    stage
        .registry
        .refuse("PUT /v2/mwctl/one/manifests/", 500, 1);
    assert_eq!(stage.deliver(&built).await.unwrap().how, How::Full);
    stage.registry.empty();
    stage
        .registry
        .refuse("PUT /v2/mwctl/one/blobs/", 503, usize::MAX);
    let (error, _) = stage.refused(&built).await;
    assert!(
        error.to_string().contains("failed to take a layer"),
        "{error}"
    );
}

#[tokio::test]
async fn where_a_registry_dies_halfway_what_arrived_stays_and_nothing_has_a_name() {
    let stage = Stage::new();
    let built = stage.built("one", "1").await;
    stage
        .registry
        .refuse("PUT /v2/mwctl/one/manifests/", 0, usize::MAX);
    let (error, _) = stage.refused(&built).await;
    assert!(
        error.to_string().contains("failed to take the manifest"),
        "{error}"
    );
    assert_eq!(stage.registry.received(), contents(&built, 0));
    stage.registry.forgive();
    let delivered = stage.deliver(&built).await.unwrap();
    assert_eq!((delivered.how, delivered.layers), (How::Delta, 0));
    assert_eq!(stage.registry.received(), Vec::<String>::new());
}

#[tokio::test]
async fn a_registry_that_isnt_there_is_told_with_the_way_around_it() {
    let stage = Stage::new();
    let built = stage.built("one", "1").await;
    let asked: Asked = "127.0.0.1:1".parse().unwrap();
    let facts = Facts {
        kind: &Kind::Unknown,
        profile: None,
        advertised: None,
        asked: Some(&asked),
    };
    let runner = Arc::new(ProcessRunner::new());
    let delivery = by(choose(facts).choice, runner, &Credentials::default())
        .await
        .unwrap();
    let error = delivery
        .deliver(&stage.builder(), &built, &silent)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot use the registry `127.0.0.1:1` (`--registry` names it)"
    );
    let hints = error.hints();
    assert_eq!(hints.len(), 1, "{hints:?}");
    let DeliveryError::Push { source, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        source.to_string(),
        "cannot reach the registry at `127.0.0.1:1`"
    );
}
