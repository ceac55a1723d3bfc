//! Images for a machine that docker can't reach into: `minikube image load`, and whether to
//! believe it.

use std::collections::BTreeMap;
use std::sync::Arc;

use mwctl_core::delivery::{Facts, choose};
use mwctl_core::minikube::profile;
use mwctl_core::model::Build;
use mwctl_engine::delivery::{DeliveryError, by};
use mwctl_engine::image::base::LocalLayout;
use mwctl_engine::image::{Bases, Builder, Built, Cache, Request};
use mwctl_engine::images::Credentials;
use mwctl_engine::progress::silent;
use sha2::{Digest as _, Sha256};

use super::*;

/// Builds an image upon a base of nothing.
async fn build(stage: &Stage) -> (Builder, Built) {
    let layout = stage.home().join("layout");
    let put = |text: &str| {
        let hash = hex::encode(Sha256::digest(text));
        let folder = layout.join("blobs/sha256");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(&hash), text).unwrap();
        json!({"mediaType": "x/y", "digest": format!("sha256:{hash}"), "size": text.len()})
    };
    let config = put(r#"{"architecture":"amd64","rootfs":{"diff_ids":[]}}"#);
    let manifest = put(&json!({"config": config, "layers": []}).to_string());
    let index = json!({"manifests": [manifest]});
    std::fs::write(layout.join("index.json"), index.to_string()).unwrap();
    let source = stage.home().join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("server.js"), "").unwrap();
    let bases = Bases::new(vec![Arc::new(LocalLayout)]);
    let cache = Cache::new(stage.home().join("cache"));
    let builder = Builder::new(cache, stage.runner(), bases, "amd64");
    let recipe = Build {
        file: None,
        base: format!("oci-layout:{}", layout.display()),
        directory: "/srv/service".to_owned(),
        user: 1000,
        owner: 1000,
        entrypoint: Vec::new(),
        environment: BTreeMap::new(),
        exclude: Vec::new(),
        dependencies: None,
    };
    let request = Request {
        service: "service",
        source: &source,
        build: &recipe,
        rules: None,
    };
    let built = builder.image(request, &silent).await.unwrap();
    (builder, built)
}

async fn deliver(images_after: impl Fn(&Built) -> Value) -> (Stage, Result<(), DeliveryError>) {
    let stage = Stage::new(&json!({}));
    let (builder, built) = build(&stage).await;
    let scenario = json!({
        "image load": {"exit": 0},
        "image ls": {"out": [images_after(&built)]},
    });
    std::fs::write(stage.home().join("scenario.json"), scenario.to_string()).unwrap();
    let profile = profile(&CONFIG.replace("docker", "kvm2")).unwrap();
    let kind = Kind::Minikube {
        profile: "work".to_owned(),
    };
    let facts = Facts {
        kind: &kind,
        profile: Some(&profile),
        advertised: None,
        asked: None,
    };
    let delivery = by(
        choose(facts).choice,
        stage.runner(),
        &Credentials::default(),
    )
    .await;
    let delivery = delivery.unwrap();
    let result = delivery.deliver(&builder, &built, &silent).await;
    (stage, result.map(drop))
}

fn listed(tag: &str, id: &str) -> Value {
    json!([{"id": id.trim_start_matches("sha256:"), "repoDigests": [], "repoTags": [tag], "size": "1"}])
}

#[tokio::test]
async fn a_load_that_failed_and_exits_0_is_an_error() {
    let (stage, result) = deliver(|_| json!([])).await;
    let error = result.unwrap_err();
    assert!(
        matches!(error, DeliveryError::NotArrived { .. }),
        "{error:?}"
    );
    let load = stage
        .calls()
        .into_iter()
        .find(|call| call.contains("image load"));
    // The file is called by its content: minikube takes two of one name for one.
    assert!(load.unwrap().contains("mwctl-"));
}

#[tokio::test]
async fn an_older_image_of_the_name_is_not_taken_for_the_new_one() {
    let (_, result) = deliver(|built| listed(built.reference(), "sha256:old")).await;
    assert!(matches!(result, Err(DeliveryError::NotArrived { .. })));
}

#[tokio::test]
async fn an_image_that_is_listed_is_believed() {
    let (stage, result) = deliver(|built| listed(built.reference(), &built.config.digest)).await;
    result.unwrap();
    assert!(!stage.calls().iter().any(|call| call.contains("image load")));
}
