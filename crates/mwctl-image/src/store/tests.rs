//! The store with images made on the spot.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::digest::Digest;
use crate::image::Root;
use crate::import::{ImportError, ImportOptions};
use crate::reference::Reference;

/// A store and a folder of layouts.
struct Bench {
    folder: TempDir,
    store: Store,
}

fn name(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn options() -> ImportOptions {
    ImportOptions {
        name: None,
        architecture: "amd64".to_owned(),
    }
}

fn layer(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, name, content.as_bytes())
            .unwrap();
    }
    builder.into_inner().unwrap()
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), Owners::of_process()).unwrap();
        Self { folder, store }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Writes an OCI layout of one image.
    fn layout(&self, below: &str, called: &str, layers: &[&[(&str, &str)]]) -> PathBuf {
        let layers: Vec<Vec<u8>> = layers.iter().map(|files| layer(files)).collect();
        self.layout_of(below, called, &layers)
    }

    fn layout_of(&self, below: &str, called: &str, layers: &[Vec<u8>]) -> PathBuf {
        let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux",
            "config": {
                "Entrypoint": ["/run"], "Cmd": ["it"], "Env": ["A=1=2"], "User": "me",
                "WorkingDir": "/srv", "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
            },
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        self.layout_with(below, called, layers, &config)
    }

    fn layout_with(
        &self,
        below: &str,
        called: &str,
        layers: &[Vec<u8>],
        config: &serde_json::Value,
    ) -> PathBuf {
        let root = self.path(below);
        let blobs = root.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        let put = |bytes: &[u8], kind: &str| {
            let digest = Digest::of(bytes);
            fs::write(blobs.join(digest.hex()), bytes).unwrap();
            json!({"mediaType": kind, "digest": digest, "size": bytes.len()})
        };
        let layers: Vec<_> = layers
            .iter()
            .map(|layer| put(layer, crate::oci::LAYER))
            .collect();
        let config = put(config.to_string().as_bytes(), crate::oci::CONFIG);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": crate::oci::MANIFEST,
            "config": config, "layers": layers,
        });
        let mut entry = put(manifest.to_string().as_bytes(), crate::oci::MANIFEST);
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": called});
        let index = json!({"schemaVersion": 2, "manifests": [entry]});
        fs::write(root.join("index.json"), index.to_string()).unwrap();
        fs::write(root.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        root
    }

    fn import(&self, path: &Path) -> Record {
        let mut records = self.store.import(path, &options()).unwrap();
        records.remove(0)
    }

    fn layers(&self, reference: &str) -> Vec<PathBuf> {
        match self.store.resolve(&name(reference)).unwrap().root {
            Root::Layers(layers) => layers,
            Root::Host(_) => panic!("not the host"),
        }
    }

    /// How many files are below a folder of the store.
    fn count(&self, below: &str) -> usize {
        fs::read_dir(self.store.root().join(below)).unwrap().count()
    }
}

#[test]
fn an_imported_image_is_there_with_its_digests_and_folders() {
    let bench = Bench::new();
    let layout = bench.layout("layout", "a/b:1", &[&[("x", "lower")], &[("x", "upper")]]);
    let record = bench.import(&layout);
    assert_eq!(record.reference.as_str(), "docker.io/a/b:1");
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["digest"], record.manifest.as_str());

    let image = bench.store.resolve(&name("a/b:1")).unwrap();
    assert_eq!(image.digest, record.manifest);
    assert_eq!(image.config.entrypoint, ["/run"]);
    assert_eq!(image.config.environment, [("A".into(), "1=2".into())]);
    assert_eq!(image.config.ports.len(), 2);
    assert_eq!(
        (&*image.config.user, &*image.config.directory),
        ("me", "/srv")
    );
    let read = |folder: &PathBuf| fs::read_to_string(folder.join("x")).unwrap();
    let contents: Vec<String> = bench.layers("a/b:1").iter().map(read).collect();
    assert_eq!(contents, ["lower", "upper"]);

    let by_digest = name(&format!("a/b@{}", record.manifest));
    assert_eq!(
        bench.store.resolve(&by_digest).unwrap().digest,
        record.manifest
    );
    let other = name(&format!("a/c@{}", record.manifest));
    assert!(bench.store.resolve(&other).is_err());
}

#[test]
fn a_name_that_isnt_there_gets_what_to_type() {
    let bench = Bench::new();
    let error = bench.store.resolve(&name("nothing")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no image `docker.io/library/nothing:latest` in the store"
    );
    assert!(!error.hints().is_empty());
}

#[test]
fn this_machine_is_an_image_without_layers() {
    let bench = Bench::new();
    let host = bench.store.resolve(&name("mwctl.local/host")).unwrap();
    assert!(matches!(&host.root, Root::Host(over) if over.is_empty()));
    assert!(bench.store.resolve(&name("mwctl.local/other")).is_err());
}

#[test]
fn an_image_upon_this_machine_is_believed_only_where_it_was_made_here() {
    let bench = Bench::new();
    let host = bench.store.originals(&name("mwctl.local/host"));
    let host = host.unwrap().unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&host.config).unwrap();
    let own = layer(&[("srv/app", "mine")]);
    config["rootfs"]["diff_ids"] = json!([Digest::of(&own)]);
    for (called, is_upon_host) in [
        ("mwctl.local/service:1", true),
        ("example.org/mwctl.local/service:1", false),
    ] {
        let layout = bench.layout_with("over", called, std::slice::from_ref(&own), &config);
        bench.import(&layout);
        let image = bench.store.resolve(&name(called)).unwrap();
        let layers = match &image.root {
            Root::Host(layers) if is_upon_host => layers,
            Root::Layers(layers) if !is_upon_host => layers,
            other => panic!("{called}: {other:?}"),
        };
        let text = fs::read_to_string(layers[0].join("srv/app")).unwrap();
        assert_eq!(text, "mine");
    }
}

#[test]
fn documents_and_archives_are_given_as_they_came() {
    let bench = Bench::new();
    let layout = bench.layout("layout", "a/b:1", &[&[("x", "lower")]]);
    let record = bench.import(&layout);
    let originals = bench.store.originals(&name("a/b:1")).unwrap().unwrap();
    assert_eq!(Digest::of(&originals.manifest), record.manifest);
    let manifest: serde_json::Value = serde_json::from_slice(&originals.manifest).unwrap();
    let digest: Digest = serde_json::from_value(manifest["layers"][0]["digest"].clone()).unwrap();
    let into = bench.path("archive");
    assert!(bench.store.write_archive(&digest, &into).unwrap());
    assert_eq!(Digest::of(&fs::read(&into).unwrap()), digest);
    assert_eq!(
        manifest["config"]["digest"],
        Digest::of(&originals.config).as_str()
    );
    assert_eq!(bench.store.originals(&name("a/c:1")).unwrap(), None);
    let nothing = bench.store.write_archive(&Digest::of(b"not here"), &into);
    assert!(!nothing.unwrap());
}

#[test]
fn equal_layers_are_there_once_and_in_an_image_once() {
    let bench = Bench::new();
    let a: &[(&str, &str)] = &[("a", "1")];
    let b: &[(&str, &str)] = &[("b", "1")];
    bench.import(&bench.layout("1", "one:1", &[a, b, a]));
    bench.import(&bench.layout("2", "two:1", &[a, b]));
    // An overlay refuses a folder twice; the upper one says all that the lower one does.
    let layers = bench.layers("one:1");
    assert_eq!(layers.len(), 2);
    assert!(layers[0].join("b").exists() && layers[1].join("a").exists());
    let ways = format!("layers/{}", Owners::of_process().folder());
    assert_eq!(bench.count(&ways), 4, "two layers, and a note of each");
}

#[test]
fn an_image_without_layers_has_an_empty_folder() {
    let bench = Bench::new();
    bench.import(&bench.layout("layout", "empty:1", &[]));
    let layers = bench.layers("empty:1");
    assert_eq!(layers.len(), 1);
    assert_eq!(fs::read_dir(&layers[0]).unwrap().count(), 0);
}

#[test]
fn a_wrong_digest_is_refused_and_nothing_has_the_name() {
    let bench = Bench::new();
    let layout = bench.layout("layout", "bad:1", &[&[("a", "1")]]);
    let layer = layout
        .join("blobs/sha256")
        .join(Digest::of(&layer(&[("a", "1")])).hex());
    let mut bytes = fs::read(&layer).unwrap();
    bytes[600] ^= 1;
    fs::write(&layer, bytes).unwrap();
    let error = bench.store.import(&layout, &options()).unwrap_err();
    assert!(
        matches!(error, ImportError::Store(StoreError::Damaged { .. })),
        "{error}"
    );
    assert!(bench.store.records().unwrap().is_empty());
    assert_eq!(bench.count("work"), 0);
}

#[test]
fn a_layer_that_isnt_what_the_configuration_says_is_refused() {
    let bench = Bench::new();
    let layout = bench.layout("layout", "bad:1", &[&[("a", "1")]]);
    // The manifest names another layer, which is whole; only the configuration tells.
    let blobs = layout.join("blobs/sha256");
    let (right, wrong) = (layer(&[("a", "1")]), layer(&[("a", "2")]));
    fs::write(blobs.join(Digest::of(&wrong).hex()), &wrong).unwrap();
    let mut index: serde_json::Value =
        serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    let manifest = fs::read_to_string(blobs.join(&digest[7..])).unwrap();
    let manifest = manifest.replace(Digest::of(&right).hex(), Digest::of(&wrong).hex());
    let digest = Digest::of(manifest.as_bytes());
    fs::write(blobs.join(digest.hex()), manifest).unwrap();
    index["manifests"][0]["digest"] = json!(digest);
    fs::write(layout.join("index.json"), index.to_string()).unwrap();

    let error = bench.store.import(&layout, &options()).unwrap_err();
    assert!(
        matches!(error, ImportError::Store(StoreError::Damaged { .. })),
        "{error}"
    );
    assert!(bench.store.records().unwrap().is_empty());
}

#[test]
fn archives_are_imported_packed_or_plain_from_a_file_or_a_stream() {
    let bench = Bench::new();
    let layout = bench.layout("layout", "a:1", &[&[("x", "1")]]);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_dir_all("", &layout).unwrap();
    let plain = builder.into_inner().unwrap();
    let expected = bench.import(&layout);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&*plain, 1).unwrap();
    for (name, bytes) in [("plain", plain), ("gzip", gzip), ("zstd", zstd)] {
        let other = Bench::new();
        let path = other.path(name);
        fs::write(&path, &bytes).unwrap();
        assert_eq!(other.import(&path).manifest, expected.manifest, "{name}");
        assert_eq!(other.count("work"), 0, "{name}");
        let other = Bench::new();
        let records = other.store.import_stream(Cursor::new(bytes), &options());
        assert_eq!(records.unwrap()[0].manifest, expected.manifest, "{name}");
        assert_eq!(other.count("work"), 0, "{name}");
    }
}

#[test]
fn what_docker_saved_before_layouts_is_imported() {
    let bench = Bench::new();
    let one = layer(&[("x", "1")]);
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/x"]},
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(&one), Digest::of(&one)]},
    });
    let list = json!([{
        "Config": "abc.json", "RepoTags": ["saved:1", "saved:2"], "Layers": ["1/layer.tar", "2/layer.tar"],
    }]);
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes).unwrap();
    };
    add("abc.json", config.to_string().as_bytes());
    add("1/layer.tar", &one);
    add("manifest.json", list.to_string().as_bytes());
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder
        .append_link(&mut header, "2/layer.tar", "../1/layer.tar")
        .unwrap();
    let path = bench.path("saved.tar");
    fs::write(&path, builder.into_inner().unwrap()).unwrap();

    let records = bench.store.import(&path, &options()).unwrap();
    let names: Vec<&str> = records.iter().map(|r| r.reference.as_str()).collect();
    assert_eq!(
        names,
        ["docker.io/library/saved:1", "docker.io/library/saved:2"]
    );
    assert_eq!(bench.layers("saved:2").len(), 1);
}

#[test]
fn a_root_filesystem_is_an_image_when_it_is_named() {
    let bench = Bench::new();
    let path = bench.path("root.tar");
    fs::write(&path, layer(&[("etc/passwd", "root")])).unwrap();
    let unnamed = bench.store.import(&path, &options()).unwrap_err();
    assert!(matches!(unnamed, ImportError::NoName { .. }));
    let named = ImportOptions {
        name: Some(name("debian:bookworm")),
        ..options()
    };
    let records = bench.store.import(&path, &named).unwrap();
    assert_eq!(records[0].reference, name("debian:bookworm"));
    fs::write(&path, layer(&[("anything", "else")])).unwrap();
    let other = bench.store.import(&path, &named).unwrap_err();
    assert!(matches!(other, ImportError::Unknown { .. }));
}

#[test]
fn another_architecture_is_said_so() {
    let bench = Bench::new();
    let layout = bench.layout("layout", "a:1", &[]);
    let mut index: serde_json::Value =
        serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    index["manifests"][0]["platform"] = json!({"os": "linux", "architecture": "s390x"});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    let error = bench.store.import(&layout, &options()).unwrap_err();
    assert!(matches!(error, ImportError::Architecture { .. }), "{error}");
}

#[test]
fn what_nothing_refers_to_goes_and_what_lives_stays() {
    let bench = Bench::new();
    let shared: &[(&str, &str)] = &[("shared", "1")];
    bench.import(&bench.layout("1", "one:1", &[shared, &[("a", "1")]]));
    bench.import(&bench.layout("2", "two:1", &[shared, &[("b", "1")]]));
    assert_eq!(bench.store.collect(false).unwrap(), Collected::default());

    let running = bench.store.resolve(&name("one:1")).unwrap();
    assert!(bench.store.remove(&name("one:1")).unwrap());
    assert!(!bench.store.remove(&name("one:1")).unwrap());
    let collected = bench.store.collect(false).unwrap();
    // Its documents and archives go, the folders that are mounted don't.
    assert_eq!((collected.layers, collected.blobs), (0, 3));
    let Root::Layers(layers) = &running.root else {
        panic!("not the host");
    };
    assert!(layers[1].join("a").exists());

    let own = layers[1].clone();
    drop(running);
    let collected = bench.store.collect(false).unwrap();
    assert_eq!((collected.layers, collected.blobs), (1, 0));
    assert!(!own.exists());
    assert_eq!(bench.layers("two:1").len(), 2);
}

#[test]
fn what_a_killed_process_left_is_no_obstacle_and_goes() {
    let bench = Bench::new();
    let root = bench.store.root();
    for folder in ["work", "pins", "locks"] {
        fs::write(root.join(folder).join("123-0.lock"), "").unwrap();
    }
    fs::create_dir_all(root.join("work/123-0/layer")).unwrap();
    fs::write(root.join("pins/123-0"), "{").unwrap();
    // A small file that was being written, which is its own lock.
    fs::write(root.join("work/124-0.lock"), "half of i").unwrap();
    let way = root.join("layers").join(Owners::of_process().folder());
    // Killed between the note and the layer.
    fs::write(way.join("0123.json"), "{}").unwrap();
    bench.store.collect(false).unwrap();
    for folder in ["work", "pins", "locks"] {
        assert_eq!(bench.count(folder), 0, "{folder}");
    }
    assert_eq!(fs::read_dir(way).unwrap().count(), 0);
}

#[test]
fn a_layer_that_a_power_cut_may_have_torn_is_made_again() {
    let bench = Bench::new();
    bench.import(&bench.layout("layout", "a:1", &[&[("x", "whole")]]));
    let folder = bench.layers("a:1").remove(0);
    let note = folder.with_extension("json");
    let text = fs::read_to_string(&note).unwrap();
    assert!(text.contains("\"settled\":true"), "{text}");
    fs::write(folder.join("x"), "").unwrap();
    assert_eq!(
        bench.layers("a:1").len(),
        1,
        "a settled layer isn't looked into"
    );
    assert!(
        !fs::read_to_string(folder.join("x"))
            .unwrap()
            .contains("whole")
    );

    let before = of_boot(&text, "another boot").replace("\"settled\":true", "\"settled\":false");
    fs::write(&note, before).unwrap();
    assert_eq!(bench.layers("a:1")[0], folder);
    assert_eq!(fs::read_to_string(folder.join("x")).unwrap(), "whole");
}

/// The note with another boot.
fn of_boot(text: &str, boot: &str) -> String {
    let mut note: serde_json::Value = serde_json::from_str(text).unwrap();
    note["boot"] = json!(boot);
    note.to_string()
}

#[test]
fn a_torn_archive_is_found_out_when_it_is_needed() {
    let bench = Bench::new();
    let layout = bench.layout("layout", "a:1", &[&[("x", "whole")]]);
    bench.import(&layout);
    let folder = bench.layers("a:1").remove(0);
    let blob = bench.store.blob(&Digest::of(&layer(&[("x", "whole")])));
    fs::write(&blob, b"torn").unwrap();
    fs::remove_file(folder.with_extension("json")).unwrap();
    let error = bench.store.resolve(&name("a:1")).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    // It is gone, so importing again heals.
    bench.import(&layout);
    assert_eq!(bench.layers("a:1"), [folder]);
}

#[test]
fn several_processes_make_a_layer_once() {
    let bench = Bench::new();
    let layout = bench.layout("layout", "a:1", &[&[("x", "1")]]);
    let made = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                // Locks of the kernel belong to opened files: threads are like processes to them.
                let store = Store::open(bench.store.root(), Owners::of_process()).unwrap();
                store.import(&layout, &options()).unwrap();
                let once = store.make::<StoreError>(&Name::of_nothing(), "nothing", |_| {
                    made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    Ok(Vec::new())
                });
                once.unwrap();
            });
        }
    });
    assert_eq!(made.into_inner(), 1);
    assert_eq!(bench.layers("a:1").len(), 1);
}

#[test]
fn a_lock_ends_with_its_process() {
    let bench = Bench::new();
    let lock = bench.store.root().join("locks/x");
    fs::write(&lock, "").unwrap();
    #[expect(clippy::disallowed_methods, reason = "another process is the point")]
    let mut child = std::process::Command::new("flock")
        .arg(&lock)
        .args(["sh", "-c", "echo locked; exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 7];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    assert!(Lock::attempt(&lock).unwrap().is_none());
    // `flock` holds it too, and `cat` ends with its input.
    child.kill().unwrap();
    child.wait().unwrap();
    drop(child);
    drop(Lock::exclusive(&lock).unwrap());
}

#[test]
fn a_store_of_a_later_program_is_refused() {
    let bench = Bench::new();
    fs::write(bench.store.root().join("format"), "2\n").unwrap();
    let refused = Store::open(bench.store.root(), Owners::of_process());
    assert!(matches!(refused, Err(StoreError::Format { .. })));
}

/// A layer of folders with modes, and links.
fn tree(entries: &[(&str, u32, Option<&str>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, mode, target) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_mode(*mode);
        header.set_entry_type(match target {
            Some(_) => tar::EntryType::Symlink,
            None if name.ends_with('/') => tar::EntryType::Directory,
            None => tar::EntryType::Regular,
        });
        match target {
            Some(target) => builder.append_link(&mut header, name, target).unwrap(),
            None => builder.append_data(&mut header, name, &b""[..]).unwrap(),
        }
    }
    builder.into_inner().unwrap()
}

#[test]
fn a_layer_without_its_folders_takes_those_of_the_image_that_it_is_in() {
    use std::os::unix::fs::PermissionsExt as _;

    use crate::view::{Found, View};

    let bench = Bench::new();
    let merged = tree(&[
        ("usr/", 0o755, None),
        ("usr/bin/", 0o755, None),
        ("usr/bin/sh", 0o755, None),
        ("bin", 0o777, Some("usr/bin")),
        ("tmp/", 0o1777, None),
    ]);
    let split = tree(&[("bin/", 0o755, None), ("bin/sh", 0o755, None)]);
    let upper = layer(&[("bin/foo", "foo"), ("tmp/x", "x")]);
    // The same layer upon both, the one where it is as it was supposed first.
    for (name, layers) in [
        ("split:1", vec![split, upper.clone()]),
        ("merged:1", vec![merged, upper]),
    ] {
        let layout = bench.layout_of(name, name, &layers);
        bench.import(&layout);
    }
    let view = |name: &str| {
        let mut layers = bench.layers(name);
        layers.reverse();
        View::new(layers)
    };
    let (merged, split) = (view("merged:1"), view("split:1"));
    for (view, place) in [(&merged, "/usr/bin/foo"), (&split, "/bin/foo")] {
        let (found, _) = view.find(Path::new("/bin/foo"));
        assert_eq!(found, Path::new(place));
        assert_eq!(view.read("/bin/foo").as_deref(), Some("foo"));
        assert!(view.read("/bin/sh").is_some() && view.read("/tmp/x").is_some());
    }
    let mode = |view: &View| match view.find(Path::new("/tmp")).1 {
        Found::Folder(folders) => fs::metadata(&folders[0]).unwrap().permissions().mode() & 0o7777,
        _ => panic!("no folder"),
    };
    assert_eq!((mode(&merged), mode(&split)), (0o1777, 0o755));
    // Both are told, stay where they are used, are made anew where they are torn, and go with the last image.
    let folders = |name: &str| {
        bench
            .store
            .details(&super::tests::name(name))
            .unwrap()
            .layers
    };
    let (of_merged, of_split) = (folders("merged:1"), folders("split:1"));
    assert_eq!(of_merged[1].digest, of_split[1].digest);
    assert_ne!(of_merged[1].folder, of_split[1].folder);
    assert_eq!(bench.store.collect(true).unwrap().layers, 0);
    let torn = of_merged[1].folder.clone().unwrap();
    let note = torn.with_extension("json");
    let text = fs::read_to_string(&note).unwrap();
    let text = text.replace("\"settled\":true", "\"settled\":false");
    let mut known: serde_json::Value = serde_json::from_str(&text).unwrap();
    known["boot"] = "another".into();
    fs::write(&note, known.to_string()).unwrap();
    fs::remove_dir_all(torn.join("usr")).unwrap();
    assert!(view("merged:1").read("/usr/bin/foo").is_some());
    // A store of before has neither the second form nor a note of what was supposed.
    let plain = of_split[1].folder.clone().unwrap().with_extension("json");
    let mut known: serde_json::Value = serde_json::from_slice(&fs::read(&plain).unwrap()).unwrap();
    assert_eq!(known["implied"], json!(["bin", "tmp"]));
    known.as_object_mut().unwrap().remove("implied");
    fs::write(&plain, known.to_string()).unwrap();
    fs::remove_file(&note).unwrap();
    assert!(view("merged:1").read("/usr/bin/foo").is_some());
    for image in ["split:1", "merged:1"] {
        bench.store.remove(&super::tests::name(image)).unwrap();
    }
    assert_eq!(bench.store.collect(true).unwrap().layers, 4);
}

#[test]
fn what_cant_be_imported_is_told_with_why() {
    use std::error::Error as _;

    let bench = Bench::new();
    let import = |bytes: &[u8]| {
        let path = bench.path("file");
        fs::write(&path, bytes).unwrap();
        let options = ImportOptions {
            name: Some(name("a:1")),
            ..options()
        };
        bench.store.import(&path, &options).unwrap_err()
    };
    let packed = import(b"\xfd7zXZ\0 and so on");
    assert!(packed.to_string().contains("packed with xz"), "{packed}");
    assert!(packed.hints()[0].contains("`unxz "));
    assert!(import(b"BZh9 and so on").hints()[0].contains("`bunzip2 "));
    let mut header = tar::Header::new_gnu();
    header.set_path("huge").unwrap();
    header.set_size(32 << 40);
    header.set_cksum();
    let mut archive = layer(&[("a", "A")]);
    archive.truncate(1024);
    archive.extend(header.as_bytes());
    let huge = import(&archive);
    let why = huge.source().unwrap().to_string();
    assert!(
        why.starts_with("`huge` claims 35184372088832 bytes"),
        "{why}"
    );
}
