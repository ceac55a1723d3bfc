//! Into the test bed's containerd: the whole image, and what an edit changes; beside containerd's own import of the base alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mwctl_core::model::Build;
use mwctl_engine::command::ProcessRunner;
use mwctl_engine::delivery::{Containerd, Delivery};
use mwctl_engine::image::base::LocalLayout;
use mwctl_engine::image::{Bases, Builder, Cache, Request};
use mwctl_engine::images::oci::architecture;
use mwctl_engine::progress::silent;
use mwctl_tests::cluster::command;
use mwctl_tests::performance::{Samples, real, timed};
use serde_json::Value;

use crate::place::{Place, run};

/// Edits that are delivered.
const ROUNDS: usize = 20;

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    /// All of it, once, where the node has nothing of it.
    pub(crate) whole: Samples,
    /// What an edit changes.
    pub(crate) edit: Samples,
    /// The node's own import of all of it.
    pub(crate) import: Samples,
}

/// Measures it.
pub(crate) async fn measure(place: &Place) -> Delivered {
    let mut delivered = Delivered::default();
    let ctr = ctr();
    let archive = place.path("base.tar");
    run(command("tar")
        .args(["--create", "--file"])
        .arg(&archive)
        .arg("--directory")
        .arg(place.layout())
        .arg("."));
    let (program, words) = ctr.split_first().expect("words");
    delivered.import.take(timed(|| {
        let mut import = command(program);
        // A namespace of its own: what the node knows in another is no help.
        import
            .args(words)
            .args(["--namespace", "bench", "images", "import"]);
        run(import
            .args(["--digests", "--base-name", "bench.local/base"])
            .arg(&archive));
    }));
    let runner = Arc::new(ProcessRunner::new());
    let node = Arc::new(Containerd::new("node", ctr, runner.clone()));
    let bases = Bases::new(vec![Arc::new(LocalLayout)]);
    let builder = Builder::new(
        Cache::new(place.path("cache")),
        runner,
        bases,
        architecture(),
    );
    let delivery = Delivery::new(vec![node]);
    let source = place.path("source");
    std::fs::create_dir(&source).expect("a folder");
    for round in 0..=ROUNDS {
        std::fs::copy(place.service().join("server.js"), source.join("server.js")).expect("a copy");
        let recipe = recipe(place);
        let request = Request {
            service: "echo",
            source: &source,
            build: &recipe,
            rules: None,
        };
        let built = builder.image(request, &silent).await.expect("an image");
        let took = sent(&delivery, &builder, &built).await;
        if round == 0 {
            delivered.whole.take(took);
        } else {
            delivered.edit.take(took);
        }
        place.edit();
    }
    delivered
}

async fn sent(
    delivery: &Delivery,
    builder: &Builder,
    built: &mwctl_engine::image::Built,
) -> Duration {
    let start = Instant::now();
    let sent = delivery.deliver(builder, built, &silent).await;
    sent.expect("a delivery");
    start.elapsed()
}

/// One layer upon the base.
fn recipe(place: &Place) -> Build {
    Build {
        file: None,
        base: format!("oci-layout:{}", place.layout().display()),
        directory: "/srv/service".to_owned(),
        user: 1000,
        owner: 1000,
        entrypoint: vec!["node".to_owned()],
        environment: BTreeMap::new(),
        exclude: Vec::new(),
        dependencies: None,
    }
}

/// The words that call the program of the test bed's containerd.
fn ctr() -> Vec<String> {
    let told = serde_json::to_value(real::kubeconfig()).expect("a kubeconfig");
    let extensions = &told["clusters"][0]["cluster"]["extensions"];
    let ours = &extensions[0]["extension"];
    let word = |value: &Value| value.as_str().expect("a word").to_owned();
    vec![
        word(&ours["ctr"]),
        "--address".to_owned(),
        word(&ours["socket"]),
    ]
}
