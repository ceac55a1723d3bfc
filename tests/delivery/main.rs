//! Images delivered to a real containerd, dockerd or registry: whole, as differences, and after what they had is gone.
//!
//! `tests/compat/delivery/run` starts them, each for itself alone, and says in `MWCTL_TEST_NODE` how their programs are called. What is
//! asked and in which order is tested with scripted programs, beside the code.

#![allow(clippy::unwrap_used, reason = "a test fails where it can't go on")]

mod registry;
mod source;
mod ways;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use mwctl_engine::command::{Command, CommandRunner as _, ProcessRunner, ignore_lines};
use mwctl_engine::delivery::{
    Containerd, Delivery, DeliveryError, Docker, How, ImageDelivery, Imports,
};
use mwctl_engine::image::{Built, chain};
use mwctl_engine::progress::silent;

use self::source::Source;

/// Where the judge is, as the script says it.
fn judge() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "the script says where the judge is"
    )]
    std::env::var("MWCTL_TEST_NODE").expect("tests/compat/delivery/run starts the judges")
}

/// What a node says of what it has unpacked, by its own program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Containerd,
    Docker,
}

impl Kind {
    /// The node's own program.
    fn program(self) -> &'static str {
        match self {
            Self::Containerd => "ctr",
            Self::Docker => "docker",
        }
    }

    /// As minikube has it.
    fn runtime(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::Docker => "docker",
        }
    }
}

/// A service upon a base, and the node.
struct Stage {
    source: Source,
    kind: Kind,
    /// The words that call the node's program.
    words: Vec<String>,
    node: Arc<dyn Imports>,
    /// The same, as something that images are brought to.
    way: Arc<dyn ImageDelivery>,
    /// How often something was looked at.
    seen: AtomicUsize,
}

impl Stage {
    /// Of `containerd ctr …` or `docker docker …`.
    fn new(place: &str) -> Self {
        let mut words = place.split_whitespace().map(str::to_owned);
        let kind = match words.next().as_deref() {
            Some("containerd") => Kind::Containerd,
            Some("docker") => Kind::Docker,
            other => panic!("no such kind of node: {other:?}"),
        };
        let words: Vec<String> = words.collect();
        let runner = Arc::new(ProcessRunner::new());
        let (node, way) = match kind {
            Kind::Containerd => both(Containerd::new("node", words.clone(), runner.clone())),
            Kind::Docker => both(Docker::new("node", words.clone(), runner.clone())),
        };
        Self {
            source: Source::new(),
            kind,
            words,
            node,
            way,
            seen: AtomicUsize::new(0),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.source.path(name)
    }

    async fn built(&self, content: &str) -> Built {
        self.source.built("service", content).await
    }

    /// Delivers by a way to the node, and looks whether the node has unpacked just that.
    async fn delivered(&self, content: &str, way: Arc<dyn ImageDelivery>) -> (How, usize) {
        let built = self.built(content).await;
        let delivery = Delivery::new(vec![way]);
        let delivered = delivery
            .deliver(&self.source.builder, &built, &silent)
            .await;
        let delivered = delivered.unwrap().remove(0);
        assert!(self.node.has(&built).await.unwrap());
        for (path, expected) in [
            ("srv/service/server.js", Some(content)),
            ("etc/one", None),
            ("etc/two", Some("2")),
            ("etc/three", Some("3")),
        ] {
            let found = self.unpacked(built.reference(), path).await;
            assert_eq!(found.as_deref(), expected, "{path}");
        }
        (delivered.how, delivered.layers)
    }

    async fn run(&self, arguments: &[&str]) -> Option<String> {
        let words = self.words.iter().map(String::as_str);
        let command = Command::new(words.chain(arguments.iter().copied()));
        let output = ProcessRunner::new()
            .run(&command, &ignore_lines)
            .await
            .unwrap();
        (output.code == Some(0)).then(|| output.text())
    }

    /// A file of an image, as the node has unpacked it.
    async fn unpacked(&self, name: &str, path: &str) -> Option<String> {
        // containerd 2.4 keeps a place that was mounted upon in mind: each has its own.
        let place = self.path(&format!(
            "seen-{}",
            self.seen.fetch_add(1, Ordering::Relaxed)
        ));
        match self.kind {
            Kind::Containerd => {
                std::fs::create_dir_all(&place).unwrap();
                let at = place.to_str().unwrap();
                let mounted = self
                    .run(&["-n", "k8s.io", "images", "mount", name, at])
                    .await;
                assert!(mounted.is_some(), "{name} can't be mounted");
                let found = std::fs::read_to_string(place.join(path)).ok();
                self.run(&["-n", "k8s.io", "images", "unmount", "--rm", at])
                    .await
                    .unwrap();
                found
            }
            Kind::Docker => {
                let create = ["create", "--network", "none", "--name", "seen", name];
                self.run(&create).await.unwrap();
                let from = format!("seen:/{path}");
                let copied = self.run(&["cp", &from, place.to_str().unwrap()]).await;
                self.run(&["rm", "seen"]).await.unwrap();
                copied.map(|_| std::fs::read_to_string(&place).unwrap())
            }
        }
    }

    /// Removes all images, and with them what they were unpacked to.
    async fn remove_all(&self) {
        let (list, remove): (&[&str], &[&str]) = match self.kind {
            Kind::Containerd => (
                &["-n", "k8s.io", "images", "ls", "-q"],
                &["-n", "k8s.io", "images", "rm", "--sync"],
            ),
            Kind::Docker => (
                &["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"],
                &["image", "rm"],
            ),
        };
        let listed = self.run(list).await.unwrap();
        let names: Vec<&str> = listed.lines().collect();
        if !names.is_empty() {
            self.run(&[remove, &names].concat()).await.unwrap();
        }
        let known = self.node.known().await.unwrap();
        assert!(known.unwrap_or_default().is_empty());
    }
}

/// A place as both sides see it.
fn both<T: Imports + 'static>(place: T) -> (Arc<dyn Imports>, Arc<dyn ImageDelivery>) {
    let place = Arc::new(place);
    (place.clone(), place)
}

/// A node whose garbage collection comes between the question and the import: it says once that it knows layers which it then lacks.
#[derive(Debug)]
struct Forgetful {
    node: Arc<dyn Imports>,
    said: BTreeSet<String>,
    asked: AtomicBool,
}

#[async_trait]
impl Imports for Forgetful {
    fn describe(&self) -> String {
        self.node.describe()
    }

    async fn has(&self, built: &Built) -> Result<bool, DeliveryError> {
        self.node.has(built).await
    }

    async fn known(&self) -> Result<Option<BTreeSet<String>>, DeliveryError> {
        self.asked.store(true, Ordering::Relaxed);
        Ok(Some(self.said.clone()))
    }

    async fn import(&self, archive: &Path, built: &Built) -> Result<(), DeliveryError> {
        self.node.import(archive, built).await
    }

    async fn forget(&self, built: &Built) -> Result<(), DeliveryError> {
        self.node.forget(built).await
    }
}

#[tokio::test]
async fn a_real_node_takes_whole_images_differences_and_what_it_lost() {
    let stage = Stage::new(&judge());
    let node = || stage.way.clone();
    assert_eq!(stage.delivered("first", node()).await, (How::Full, 3));
    assert_eq!(stage.delivered("first", node()).await, (How::Present, 0));
    assert_eq!(stage.delivered("second", node()).await, (How::Delta, 1));
    assert_eq!(stage.delivered("first", node()).await, (How::Present, 0));

    // What was unpacked is enough: the archives may be thrown away, as kind's and minikube's nodes do.
    if stage.kind == Kind::Containerd {
        let base = stage.built("second").await.image;
        for layer in &base.layers[..2] {
            stage
                .run(&["-n", "k8s.io", "content", "rm", &layer.digest])
                .await
                .unwrap();
        }
        assert_eq!(stage.delivered("third", node()).await, (How::Delta, 1));
    }

    // All is gone, and the node says so.
    stage.remove_all().await;
    assert_eq!(stage.delivered("fourth", node()).await, (How::Full, 3));

    // All is gone, and the node said otherwise a moment ago.
    let said = chain(&stage.built("fourth").await.image.diff_ids);
    stage.remove_all().await;
    let forgetful = Arc::new(Forgetful {
        node: stage.node.clone(),
        said: said.into_iter().collect(),
        asked: AtomicBool::new(false),
    });
    assert_eq!(
        stage.delivered("fifth", forgetful.clone()).await,
        (How::Full, 3)
    );
    assert!(forgetful.asked.load(Ordering::Relaxed));
}
