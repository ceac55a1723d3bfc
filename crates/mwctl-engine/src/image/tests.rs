//! Images made in temporary folders, upon a base in an OCI layout made here.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use mwctl_core::develop::Rules;
use mwctl_core::model::{Build, Dependencies, Develop};
use serde_json::{Value, json};

use super::*;
use crate::command::fake::ScriptedRunner;
use crate::image::base::LocalLayout;
use crate::progress::{Progress, silent};

/// A checkout, a base and a cache.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    pub(crate) runner: Arc<ScriptedRunner>,
    pub(crate) build: Build,
}

const INSTALL: &str = "npm install";

/// What npm would leave in the folder it runs in.
fn npm(command: &crate::command::Command) {
    let folder = command.directory.as_ref().unwrap();
    let package = std::fs::read_to_string(folder.join("package.json")).unwrap();
    let modules = folder.join("node_modules");
    std::fs::create_dir_all(modules.join(".bin")).unwrap();
    std::fs::write(modules.join("module.js"), package).unwrap();
    std::os::unix::fs::symlink("../module.js", modules.join(".bin/module")).unwrap();
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bench = Self {
            runner: Arc::new(ScriptedRunner::new().doing(INSTALL, npm)),
            build: Build {
                file: None,
                base: format!("oci-layout:{}", folder.path().join("base").display()),
                directory: "/srv/service".to_owned(),
                user: 1000,
                owner: 1001,
                entrypoint: vec!["node".to_owned(), "server.js".to_owned()],
                environment: BTreeMap::from([("A".to_owned(), "1".to_owned())]),
                exclude: vec!["*.log".to_owned()],
                dependencies: Some(Dependencies {
                    command: vec!["npm".to_owned(), "install".to_owned()],
                    environment: BTreeMap::new(),
                    inputs: vec!["package.json".to_owned()],
                    directories: vec!["node_modules".to_owned()],
                    lock_files: vec![],
                }),
            },
            folder,
        };
        bench.write_base("one");
        bench.write("package.json", "{}");
        bench.write("server.js", "run()");
        bench.write("lib/a.js", "a");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.path("source")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.source().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Makes (or replaces) the base: an index, a manifest for two architectures, one layer.
    pub(crate) fn write_base(&self, content: &str) {
        let root = self.path("base");
        let put = |bytes: &[u8]| {
            let digest = digest::of(bytes);
            let path = root.join("blobs").join(digest.replace(':', "/"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
            json!({"mediaType": "x/y", "digest": digest, "size": bytes.len()})
        };
        let layer = put(content.as_bytes());
        let config = put(json!({
            "architecture": "amd64",
            "config": {"Entrypoint": ["/entry"], "Cmd": ["arg"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        })
        .to_string()
        .as_bytes());
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
        let mut entry = put(manifest.to_string().as_bytes());
        entry["platform"] = json!({"os": "linux", "architecture": "amd64"});
        let mut other = entry.clone();
        other["platform"]["architecture"] = json!("arm64");
        other["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
        let index = json!({"schemaVersion": 2, "manifests": [other, entry]});
        std::fs::write(root.join("index.json"), index.to_string()).unwrap();
    }

    pub(crate) fn builder(&self) -> Builder {
        self.builder_in("cache")
    }

    fn builder_in(&self, cache: &str) -> Builder {
        let bases = Bases::new(vec![Arc::new(LocalLayout)]);
        Builder::new(
            Cache::new(self.path(cache)),
            self.runner.clone(),
            bases,
            "amd64",
        )
    }

    pub(crate) async fn built(&self) -> Built {
        self.built_by(&self.builder(), &self.source()).await
    }

    pub(crate) async fn built_by(&self, builder: &Builder, source: &Path) -> Built {
        let request = Request {
            service: "service",
            source,
            build: &self.build,
            rules: None,
        };
        builder.image(request, &silent).await.unwrap()
    }

    /// The entries of one of the image's own layers: name → (mode, owner, content or target).
    fn entries(&self, layer: &BlobDescriptor) -> BTreeMap<String, (u32, u64, String)> {
        let blob = self.builder().cache().blob(&layer.digest);
        let mut archive = tar::Archive::new(std::fs::File::open(blob).unwrap());
        let mut entries = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().mtime().unwrap(), 0);
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            if let Some(target) = entry.link_name().unwrap() {
                text = target.to_string_lossy().into_owned();
            }
            let header = entry.header();
            let about = (header.mode().unwrap(), header.uid().unwrap(), text);
            entries.insert(entry.path().unwrap().to_string_lossy().into_owned(), about);
        }
        entries
    }
}

#[tokio::test]
async fn an_image_has_the_files_the_dependencies_and_the_list_of_the_files() {
    let bench = Bench::new();
    bench.write("noise.log", "x");
    bench.write("node_modules/mine.js", "x");
    bench.write("ignored", "x");
    bench.write(".gitignore", "ignored\n");
    std::os::unix::fs::symlink("server.js", bench.source().join("link")).unwrap();
    let built = bench.built().await;
    let [dependencies, source] = built.own_layers() else {
        panic!("{:?}", built.own_layers());
    };
    let dependencies = bench.entries(dependencies);
    let names: Vec<&str> = dependencies.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "srv/service/",
            "srv/service/node_modules/",
            "srv/service/node_modules/.bin/",
            "srv/service/node_modules/.bin/module",
            "srv/service/node_modules/module.js",
        ]
    );
    assert_eq!(
        dependencies["srv/service/node_modules/.bin/module"].2,
        "../module.js"
    );
    let source = bench.entries(source);
    let list = "/usr/lib/mwctl/source-files".trim_start_matches('/');
    assert_eq!(
        source[list].2,
        ".gitignore\nlib/a.js\nlink\npackage.json\nserver.js\n"
    );
    assert_eq!(source[list].1, 0);
    assert_eq!(
        source["srv/service/server.js"],
        (0o644, 1001, "run()".to_owned())
    );
    assert_eq!(source["srv/service/link"].2, "server.js");
    assert!(
        !source.contains_key("srv/"),
        "a folder of the base is ours now"
    );
}

#[tokio::test]
async fn the_configuration_is_the_bases_with_ours_on_top() {
    let built = Bench::new().built().await;
    let config: Value = serde_json::from_str(&built.image.config).unwrap();
    assert_eq!(config["config"]["Env"], json!(["PATH=/bin", "A=1"]));
    assert_eq!(config["config"]["User"], "1000");
    assert_eq!(config["history"].as_array().unwrap().len(), 3);
    let defaults = built.defaults();
    assert_eq!(defaults.command_line(), ["node", "server.js"]);
    assert_eq!(defaults.directory, "/srv/service");
    let base = built.base.defaults();
    assert_eq!(base.command_line(), ["/entry", "arg"]);
}

#[tokio::test]
async fn the_same_inputs_give_the_same_digests_in_another_place_and_at_another_time() {
    let bench = Bench::new();
    let first = bench.built().await;
    let copy = bench.path("copy");
    for name in ["server.js", "package.json", "lib/a.js"] {
        let to = copy.join(name);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(bench.source().join(name), &to).unwrap();
        let file = std::fs::File::open(&to).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    let second = bench.built_by(&bench.builder_in("other"), &copy).await;
    assert_eq!(first, second);
}

#[tokio::test]
async fn nothing_is_made_twice_and_dependencies_are_kept_between_images() {
    let bench = Bench::new();
    let first = bench.built().await;
    assert_eq!(bench.built().await, first);
    bench.write("server.js", "other()");
    let second = bench.built().await;
    assert_ne!(first.reference(), second.reference());
    assert_eq!(first.own_layers()[0], second.own_layers()[0]);
    assert_eq!(bench.runner.asked(), [INSTALL]);
    bench.write("package.json", r#"{"a":1}"#);
    let third = bench.built().await;
    assert_ne!(second.own_layers()[0], third.own_layers()[0]);
    assert_eq!(bench.runner.asked().len(), 2);
}

#[tokio::test]
async fn everything_that_counts_changes_the_name() {
    let mut bench = Bench::new();
    let mut seen = BTreeSet::from([bench.built().await.reference().to_owned()]);
    let mut differs = async |bench: &Bench, what: &str| {
        let reference = bench.built().await.reference().to_owned();
        assert!(seen.insert(reference), "{what} changed nothing");
    };
    bench.write("lib/b.js", "");
    differs(&bench, "a new file").await;
    std::fs::rename(
        bench.source().join("lib/b.js"),
        bench.source().join("lib/c.js"),
    )
    .unwrap();
    differs(&bench, "a new name").await;
    let program = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bench.source().join("server.js"), program).unwrap();
    differs(&bench, "a mode").await;
    bench.build.user = 5;
    differs(&bench, "the user").await;
    bench
        .build
        .environment
        .insert("B".to_owned(), "2".to_owned());
    differs(&bench, "a variable").await;
    bench.build.entrypoint.push("x".to_owned());
    differs(&bench, "the entrypoint").await;
    bench.write_base("two");
    bench.builder().forget_base(&bench.build.base);
    differs(&bench, "the base").await;
}

#[tokio::test]
async fn a_change_is_seen_although_size_and_time_stamp_stay() {
    let bench = Bench::new();
    let path = bench.source().join("server.js");
    let old = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
    let set = |text: &str| {
        std::fs::write(&path, text).unwrap();
        std::fs::File::open(&path)
            .unwrap()
            .set_modified(old)
            .unwrap();
    };
    set("aaaa");
    let first = bench.built().await;
    set("bbbb");
    assert_ne!(first.reference(), bench.built().await.reference());
}

#[tokio::test]
async fn a_difference_holds_only_the_layers_that_are_lacking() {
    let bench = Bench::new();
    let builder = bench.builder();
    let built = bench.built().await;
    let chains = chain(&built.image.diff_ids);
    let names = async |known: &[&String]| {
        let path = bench.path("archive.tar");
        let known: BTreeSet<String> = known.iter().map(|id| (*id).clone()).collect();
        let written = builder.archive(&built, &known, &path).await.unwrap();
        let mut archive = tar::Archive::new(std::fs::File::open(&path).unwrap());
        let entries = archive.entries().unwrap();
        let names: Vec<_> = entries
            .map(|e| e.unwrap().path().unwrap().into_owned())
            .collect();
        assert_eq!(names.len(), 5 + written.layers);
        (written.layers, names)
    };
    assert_eq!(names(&[]).await.0, 3);
    assert_eq!(names(&[&chains[0]]).await.0, 2);
    // Whoever knows a chain knows all below it.
    let (layers, files) = names(&[&chains[1]]).await;
    assert_eq!(layers, 1);
    let last = built.own_layers()[1].digest.replace(':', "/");
    assert!(
        files.contains(&PathBuf::from(format!("blobs/{last}"))),
        "{files:?}"
    );
    let foreign = "sha256:of-another-image".to_owned();
    assert_eq!(names(&[&foreign]).await.0, 3);
}

#[tokio::test]
async fn a_program_that_is_missing_or_offline_is_an_error_with_its_cure_and_leaves_nothing() {
    let mut bench = Bench::new();
    bench.runner = Arc::new(ScriptedRunner::new());
    let source = bench.source();
    let request = Request {
        service: "service",
        source: &source,
        build: &bench.build,
        rules: None,
    };
    let error = bench.builder().image(request, &silent).await.unwrap_err();
    assert_eq!(error.hints(), ["install `npm`, or put it on PATH"]);
    let offline = "npm error code ENOTFOUND\nnpm error network request failed";
    bench.runner = Arc::new(ScriptedRunner::new().on(INSTALL, 1, offline));
    let error = bench.builder().image(request, &silent).await.unwrap_err();
    assert!(error.hints()[0].contains("connection"), "{error:?}");
    assert!(!bench.path("cache/images/dependencies").exists());
    let left = std::fs::read_dir(bench.path("cache/images/tmp")).unwrap();
    assert_eq!(left.count(), 0);
}

#[tokio::test]
async fn a_base_that_is_nowhere_or_damaged_is_an_error_that_says_who_was_asked() {
    let bench = Bench::new();
    let bases = Bases::new(vec![Arc::new(LocalLayout)]);
    let error = bases.resolve("node:20", "amd64").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no image `docker.io/library/node:20` for amd64: local files: not there"
    );
    assert!(bases.resolve(&bench.build.base, "s390x").await.is_err());
    assert!(
        bases
            .resolve("oci-archive:/no/such/file", "amd64")
            .await
            .is_err()
    );
    std::fs::write(
        bench.path("base/index.json"),
        r#"{"manifests":[{"digest":"sha256:../../x"}]}"#,
    )
    .unwrap();
    let error = bases.resolve(&bench.build.base, "amd64").await.unwrap_err();
    assert!(
        error.to_string().contains("is no digest") || error.to_string().contains("cannot access"),
        "{error}"
    );
}

#[tokio::test]
async fn an_archive_we_wrote_is_a_base_for_others() {
    let mut bench = Bench::new();
    let builder = bench.builder();
    let built = bench.built().await;
    let path = bench.path("image.tar");
    builder
        .archive(&built, &BTreeSet::new(), &path)
        .await
        .unwrap();
    bench.build.base = format!("oci-archive:{}", path.display());
    let upon = bench.built().await;
    assert_eq!(upon.base.digest, built.image.digest);
    assert_eq!(upon.image.layers.len(), 5);
    let whole = bench.path("whole.tar");
    let written = builder
        .archive(&upon, &BTreeSet::new(), &whole)
        .await
        .unwrap();
    assert_eq!(written.layers, 5);
}

#[tokio::test]
async fn the_steps_of_a_build_are_told() {
    let bench = Bench::new();
    let told = Mutex::new(Vec::new());
    let source = bench.source();
    let request = Request {
        service: "service",
        source: &source,
        build: &bench.build,
        rules: None,
    };
    bench
        .builder()
        .image(request, &|progress| {
            if let Progress::Finished { what, .. } = progress {
                told.lock().unwrap().push(what);
            }
        })
        .await
        .unwrap();
    let told = told.into_inner().unwrap();
    assert_eq!(told[0], INSTALL);
    assert!(told[1].starts_with("pack mwctl.local/service:"), "{told:?}");
}

#[tokio::test]
async fn a_developed_container_keeps_its_image_until_one_is_needed() {
    let bench = Bench::new();
    bench.write("setup.sh", "one");
    let develop = Develop {
        directory: "/srv/service".to_owned(),
        exclude: Vec::new(),
        dependencies: None,
        restart: Vec::new(),
        rebuild: vec!["setup.sh".to_owned()],
        command: Vec::new(),
        environment: BTreeMap::new(),
        in_place: false,
        mount: false,
        on_change: Vec::new(),
        stop_timeout_ms: 1000,
    };
    let rules = Rules::new(&develop, &[]).unwrap();
    let builder = bench.builder();
    let plan = async |build: &Build| {
        let request = Request {
            service: "service",
            source: &bench.source(),
            build,
            rules: Some(&rules),
        };
        builder.plan(request).await.unwrap()
    };
    let first = plan(&bench.build).await;
    let runs = first.reference.clone();
    assert!(builder.kept(&first, &runs).is_none(), "it was never made");
    builder.build(first, &silent).await.unwrap();

    bench.write("server.js", "run('otherwise')");
    bench.write("package.json", r#"{"dependencies": {"more": "1"}}"#);
    let edited = plan(&bench.build).await;
    assert_ne!(edited.reference, runs);
    let kept = builder
        .kept(&edited, &runs)
        .expect("files are brought by themselves");
    assert_eq!((&kept.reference, kept.built.is_some()), (&runs, true));
    assert!(builder.kept(&edited, "mwctl.local/other:abc").is_none());

    bench.write("setup.sh", "two");
    assert!(builder.kept(&plan(&bench.build).await, &runs).is_none());
    bench.write("setup.sh", "one");
    let mut otherwise = bench.build.clone();
    otherwise.user += 1;
    assert!(builder.kept(&plan(&otherwise).await, &runs).is_none());
    bench.write_base("another system");
    builder.forget_base(&bench.build.base);
    assert!(builder.kept(&plan(&bench.build).await, &runs).is_none());
}

#[tokio::test]
async fn a_recorded_base_is_taken_as_it_is_recorded_or_not_at_all() {
    use mwctl_core::lock::{FILE, Lock};

    let bench = Bench::new();
    let before = bench.built().await;
    let text = format!(
        "version: 1\nbases:\n- ref: '{}'\n  source: {{kind: layout}}\n  digest: {}\n  \
         platform: linux/amd64\n  checked: 2026-11-23T19:00:00Z\n",
        bench.build.base, before.base.digest,
    );
    let lock = Arc::new(Lock::parse(Path::new(FILE), &text).unwrap());
    // To record what it is anyway makes no other image.
    let builder = bench.builder();
    builder.set_lock(lock.clone());
    let recorded = bench.built_by(&builder, &bench.source()).await;
    assert_eq!(recorded.reference(), before.reference());

    bench.write_base("two");
    let builder = bench.builder_in("another cache");
    builder.set_lock(lock);
    let error = builder.base(&bench.build.base).await.unwrap_err();
    let told = error.to_string();
    let line = "as `mwctl.lock:5:11` records it: local files: has sha256:";
    assert!(told.contains(line), "{told}");
    assert!(error.hints()[0].contains("mwctl images update oci-layout:"));
    // Without the record it is what it is now.
    builder.set_lock(Arc::default());
    assert_ne!(
        builder.base(&bench.build.base).await.unwrap().digest,
        before.base.digest
    );
}
