//! A scripted engine that writes the layout of an image where it was told to.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::*;
use crate::command::Command;
use crate::command::fake::ScriptedRunner;
use crate::image::{Bases, digest};
use crate::progress::silent;
use mwctl_image::{Credentials, build::Outside};

/// A service's folder, a store, and an engine.
struct Bench {
    folder: tempfile::TempDir,
    runner: Arc<ScriptedRunner>,
}

/// Writes an image without layers, with this command, as a layout.
fn write_layout(root: &Path, command: &str) {
    let put = |value: serde_json::Value| {
        let bytes = value.to_string();
        let digest = digest::of(bytes.as_bytes());
        let path = root.join("blobs").join(digest.replace(':', "/"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &bytes).unwrap();
        json!({"mediaType": "x/y", "digest": digest, "size": bytes.len()})
    };
    let config = put(json!({
        "architecture": architecture(), "os": "linux", "config": {"Cmd": [command]},
        "rootfs": {"type": "layers", "diff_ids": []},
    }));
    let manifest = put(json!({"schemaVersion": 2, "config": config, "layers": []}));
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    std::fs::write(root.join("index.json"), index.to_string()).unwrap();
    std::fs::write(root.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// Does what the last command of each engine does.
fn write_result(command: &Command) {
    write_layout(&command.directory.as_ref().unwrap().join(RESULT), "/run");
}

impl Bench {
    fn new(runner: ScriptedRunner) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bench = Self {
            folder,
            runner: Arc::new(runner),
        };
        bench.write("Dockerfile", "FROM debian\nRUN <<EOF\nx\nEOF\n");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path("source").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn machine(&self) -> Machine {
        Machine {
            store: self.path("store"),
            outside: Outside::default(),
            accounts: Credentials::default(),
        }
    }

    fn builder(&self) -> Builder {
        let cache = Cache::new(self.path("cache"));
        Builder::new(
            cache,
            self.runner.clone(),
            Bases::new(Vec::new()),
            architecture(),
        )
    }

    async fn plan(&self, engine: Engine) -> Planned {
        let file = BuildFile {
            path: "Dockerfile".to_owned(),
            variant: None,
            arguments: BTreeMap::new(),
            engine: Some(engine),
            network: None,
        };
        let (machine, builder, source) = (self.machine(), self.builder(), self.path("source"));
        let planned = machine.plan_foreign(&builder, "s", &source, &file, engine);
        planned.await.unwrap()
    }

    async fn build(&self, planned: &Planned) -> Result<Built, FileError> {
        let (machine, builder) = (self.machine(), self.builder());
        machine.build_foreign(&builder, planned, &silent).await
    }
}

#[tokio::test]
async fn what_an_engine_makes_is_an_image_of_the_store_and_made_once() {
    for (engine, last) in [
        (Engine::Buildkit, "buildctl build"),
        (Engine::Docker, "docker save"),
        (Engine::Podman, "podman save"),
        (Engine::Buildah, "buildah push"),
    ] {
        let program = engine.program();
        let runner =
            ScriptedRunner::new()
                .doing(last, write_result)
                .on(&format!("{program} build"), 0, "");
        let bench = Bench::new(runner);
        let planned = bench.plan(engine).await;
        assert!(planned.built.is_none());
        let built = bench.build(&planned).await.unwrap();
        assert_eq!(built.reference(), planned.reference);
        assert_eq!(built.image.defaults().command_line(), ["/run"]);
        let asked = bench.runner.asked().len();
        // The second time it is there.
        let again = bench.plan(engine).await;
        assert_eq!(again.reference, planned.reference);
        bench.build(&again).await.unwrap();
        assert_eq!(bench.runner.asked().len(), asked);
    }
}

#[tokio::test]
async fn a_changed_file_is_another_image_upon_the_same_foundation_for_who_develops() {
    let bench = Bench::new(ScriptedRunner::new().doing("buildctl build", write_result));
    let first = bench.plan(Engine::Buildkit).await;
    bench.build(&first).await.unwrap();
    bench.write("src/a", "1");
    let second = bench.plan(Engine::Buildkit).await;
    assert_ne!(second.reference, first.reference);
    let (machine, builder) = (bench.machine(), bench.builder());
    let kept = machine
        .kept_foreign(&builder, &second, &first.reference)
        .await;
    assert_eq!(kept.unwrap().unwrap().reference, first.reference);
    bench.write("Dockerfile", "FROM debian\n");
    let third = bench.plan(Engine::Buildkit).await;
    let kept = machine
        .kept_foreign(&builder, &third, &first.reference)
        .await;
    assert!(kept.unwrap().is_none());
    // Another engine's image is another one.
    assert_ne!(bench.plan(Engine::Docker).await.reference, third.reference);
}

#[tokio::test]
async fn buildkit_is_given_the_bases_of_the_store() {
    let seen: Arc<Mutex<Vec<bool>>> = Arc::default();
    let is_there = seen.clone();
    let runner = ScriptedRunner::new().doing("buildctl build", move |command| {
        let base = command.directory.as_ref().unwrap().join("base0/index.json");
        is_there.lock().unwrap().push(base.is_file());
        write_result(command);
    });
    let bench = Bench::new(runner);
    let before = bench.plan(Engine::Buildkit).await;
    write_layout(&bench.path("debian"), "/bin/sh");
    let (layout, options) = (
        bench.path("debian"),
        ImportOptions {
            name: Some(Reference::parse("debian").unwrap()),
            architecture: architecture().to_owned(),
        },
    );
    let store = bench.path("store");
    let imported = local::with(&store, move |store| store.import(&layout, &options));
    let digest = imported.await.unwrap()[0].manifest.to_string();
    let planned = bench.plan(Engine::Buildkit).await;
    assert_ne!(planned.reference, before.reference);
    bench.build(&planned).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [true]);
    let asked = bench.runner.asked();
    let given = format!("--opt context:debian=oci-layout://base0@{digest}");
    assert!(asked[0].contains(&given), "{asked:?}");
}

#[tokio::test]
async fn who_isnt_there_or_fails_is_told_with_what_helps() {
    let bench = Bench::new(ScriptedRunner::new());
    let planned = bench.plan(Engine::Podman).await;
    let error = bench.build(&planned).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("its program `podman` isn't on PATH"),
        "{error}"
    );
    assert!(
        error.hints()[0].contains("apt install podman"),
        "{:?}",
        error.hints()
    );

    let said = "step 3\nERROR: process did not complete successfully: exit code: 7\n";
    let bench = Bench::new(ScriptedRunner::new().on("buildctl", 1, said));
    let planned = bench.plan(Engine::Buildkit).await;
    let error = bench.build(&planned).await.unwrap_err();
    assert!(error.to_string().ends_with("exit code: 7"), "{error}");
    assert!(error.hints().is_empty());

    let said = "dial unix /run/buildkit/buildkitd.sock: connect: no such file or directory\n";
    let bench = Bench::new(ScriptedRunner::new().on("buildctl", 1, said));
    let planned = bench.plan(Engine::Buildkit).await;
    let error = bench.build(&planned).await.unwrap_err();
    assert!(
        error.hints()[0].starts_with("start `buildkitd`"),
        "{:?}",
        error.hints()
    );

    // It ended well, and there is nothing.
    let bench = Bench::new(ScriptedRunner::new().on("docker", 0, ""));
    let planned = bench.plan(Engine::Docker).await;
    let error = bench.build(&planned).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot import what docker made");
}
