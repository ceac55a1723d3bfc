//! Bases that are recorded, move, and are taken anew: `mwctl images outdated` and `update`, against a registry and an
//! archive of the tests' own.

use insta::assert_snapshot;
use mwctl_engine::images::oci::architecture;
use mwctl_tests::registry::Registry;
use serde_json::json;

use crate::archive::{Archive, layer};
use crate::folder::Folder;

/// A service that is built upon a base of a registry.
struct Place {
    folder: Folder,
    registry: Registry,
}

impl Place {
    fn new() -> Self {
        let registry = Registry::start().unwrap();
        let host = registry.host();
        let folder = Folder::new()
            .file(
                "mwctl.yaml",
                "apiVersion: mwctl/v1\nkind: Service\nname: teller\ncontainer:\n  command: [/app]\n  \
                 build: {file: Dockerfile}\n",
            )
            .file("Dockerfile", &format!("FROM {host}/base:1\nCOPY app /app\n"))
            .file("app", "run");
        Self { folder, registry }
    }

    /// Lets the base's name mean another image; its digest.
    fn put(&self, files: &[(&str, &[u8])]) -> String {
        let config = json!({"Env": ["PATH=/bin"]});
        let (_, digest) = self
            .registry
            .put("base:1", architecture(), &config, &[layer(files)]);
        digest
    }

    /// What a run says, with names that are the same each time.
    fn mwctl(&self, arguments: &[&str]) -> String {
        let host = self.registry.host();
        let plain = ["--plain-http", &host];
        let told = self.folder.mwctl(arguments.iter().copied().chain(plain));
        self.named(&told)
    }

    fn named(&self, told: &str) -> String {
        let told = told.replace(&self.registry.host(), "REGISTRY");
        let told = numbered(&told);
        let mut lines = Vec::new();
        for line in told.lines() {
            // The image's key has the registry's port in it.
            let end = line
                .find(" build mwctl.local/")
                .map_or(line.len(), |at| at + 6);
            lines.push(&line[..end]);
        }
        lines.join("\n") + "\n"
    }

    fn lock(&self) -> Option<String> {
        let text = self.folder.text("mwctl.lock")?;
        let checked = |line: &&str| !line.trim_start().starts_with("checked: ");
        let lines: Vec<&str> = text.lines().filter(checked).collect();
        let text = lines.join("\n").replace(architecture(), "ARCHITECTURE");
        Some(self.named(&text))
    }

    /// The digests of an image's layers.
    fn layers(&self, image: &str) -> Vec<String> {
        let told = self.folder.mwctl(["image", "inspect", image, "-o", "json"]);
        let (document, _) = told.rsplit_once("[exit status: ").unwrap();
        let answer: serde_json::Value = serde_json::from_str(document).unwrap();
        let layers = answer["layers"].as_array().unwrap().iter();
        layers
            .map(|layer| layer["digest"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// Digests by numbers, in the order in which they are named: they have the machine's architecture in them.
fn numbered(text: &str) -> String {
    let mut known: Vec<String> = Vec::new();
    let digest = regex::Regex::new(r"\b(?:sha256:)?([0-9a-f]{64}|[0-9a-f]{12})\b").unwrap();
    let replaced = digest.replace_all(text, |found: &regex::Captures<'_>| {
        let short = found[1][..12].to_owned();
        let at = known.iter().position(|it| *it == short).unwrap_or_else(|| {
            known.push(short);
            known.len() - 1
        });
        format!("DIGEST-{at}")
    });
    replaced.into_owned()
}

#[test]
fn a_base_is_recorded_moves_and_is_taken_anew() {
    let place = Place::new();
    place.put(&[("etc/base", b"one")]);
    let mut told = vec![
        place.mwctl(&["images", "outdated"]),
        place.mwctl(&["images", "update", "--dry-run"]),
    ];
    assert_eq!(place.lock(), None);
    told.push(place.mwctl(&["images", "update"]));
    let before = place.folder.text("mwctl.lock");
    told.push(place.lock().unwrap());
    told.push(place.mwctl(&["images", "update"]));
    told.push(place.mwctl(&["images", "outdated", "--exit-code"]));
    place.put(&[("etc/base", b"two")]);
    told.push(place.mwctl(&["images", "outdated", "--exit-code"]));
    told.push(place.mwctl(&["images", "outdated", "--output", "json"]));
    assert_eq!(place.folder.text("mwctl.lock"), before);
    told.push(place.mwctl(&["images", "update"]));
    assert_ne!(place.folder.text("mwctl.lock"), before);
    assert_snapshot!(told.join("\n"));
}

#[test]
fn builds_take_what_is_recorded_whatever_the_name_means_now() {
    let place = Place::new();
    let one = layer(&[("etc/base", b"one")]);
    place.put(&[("etc/base", b"one")]);
    place.mwctl(&["images", "update", "--no-build"]);
    let lock = place.folder.text("mwctl.lock").unwrap();
    place.put(&[("etc/base", b"two")]);
    let built = place.mwctl(&["build", "teller"]);
    assert!(built.ends_with("[exit status: 0]\n"), "{built}");
    let lowest = mwctl_tests::registry::digest(&one);
    assert_eq!(place.layers("mwctl.local/teller:image")[0], lowest);
    // The new base, and back to the old one by the old file.
    place.mwctl(&["images", "update"]);
    place.mwctl(&["build", "teller"]);
    assert_ne!(place.layers("mwctl.local/teller:image")[0], lowest);
    std::fs::write(place.folder.work().join("mwctl.lock"), lock).unwrap();
    place.mwctl(&["build", "teller"]);
    assert_eq!(place.layers("mwctl.local/teller:image")[0], lowest);
}

#[test]
fn other_engines_build_upon_what_is_recorded_too() {
    let mut place = Place::new();
    let recorded = place.put(&[("etc/base", b"one")]);
    place.mwctl(&["images", "update", "--no-build"]);
    let moved = place.put(&[("etc/base", b"two")]);
    // What engines are to have made.
    place.mwctl(&["build", "teller", "--export", "../.layout"]);
    let note = "echo \"${0##*/} $@\" >> $HOME/asked";
    place.folder = place
        .folder
        .program(
            "buildctl",
            &format!("{note}; cat base0/index.json >> $HOME/asked; cp -r $HOME/.layout image"),
        )
        .program("podman", &format!("{note}; exit 7"))
        .program(
            "docker",
            &format!("{note}; echo 'unknown flag: --build-context'; exit 125"),
        );
    let home = place.folder.home();
    let asked = || std::fs::read_to_string(format!("{home}/asked")).unwrap();
    let built = place
        .folder
        .mwctl(["build", "teller", "--engine", "buildkit"]);
    assert!(built.ends_with("[exit status: 0]\n"), "{built}");
    let name = format!("{}/base", place.registry.host());
    let told = asked();
    let given = format!("--opt context:{name}:1=oci-layout://base0@{recorded} ");
    assert!(told.contains(&given), "{told}");
    // It was there, and what the name means now wasn't.
    assert!(
        told.contains(&format!("\"digest\":\"{recorded}\"")),
        "{told}"
    );
    assert!(!told.contains(&moved), "{told}");

    let exact = format!("--build-context {name}:1=docker-image://{name}@{recorded} ");
    place
        .folder
        .mwctl(["build", "teller", "--engine", "podman"]);
    assert!(
        asked().contains("podman build --format oci --file "),
        "{}",
        asked()
    );
    assert_eq!(asked().matches(&exact).count(), 1);
    let old = place
        .folder
        .mwctl(["build", "teller", "--engine", "docker"]);
    assert_eq!(asked().matches(&exact).count(), 2);
    assert!(
        old.contains("too old to be told which base is recorded"),
        "{old}"
    );

    // What no registry has only those can have that are given it.
    let lock = place.folder.text("mwctl.lock").unwrap();
    let lock = lock.replace("kind: registry", "kind: store");
    let lines = lock
        .lines()
        .filter(|line| !line.trim_start().starts_with("from: "));
    let lock: Vec<&str> = lines.collect();
    std::fs::write(
        place.folder.work().join("mwctl.lock"),
        lock.join("\n") + "\n",
    )
    .unwrap();
    let refused = place
        .folder
        .mwctl(["build", "teller", "--engine", "podman"]);
    assert!(refused.contains("podman can't have `"), "{refused}");
    assert!(refused.ends_with("[exit status: 2]\n"), "{refused}");
    let built = place
        .folder
        .mwctl(["build", "teller", "--engine", "buildkit"]);
    assert!(built.ends_with("[exit status: 0]\n"), "{built}");

    // Nobody but Blubber knows what a Blubber file is built upon.
    let file = "# syntax=example.org/blubber:v1\nversion: v4\nvariants: {production: {base: a}}\n";
    std::fs::write(place.folder.work().join("blubber.yaml"), file).unwrap();
    let built = place.folder.mwctl([
        "build",
        "teller",
        "--engine",
        "buildkit",
        "--file",
        "blubber.yaml",
    ]);
    assert!(built.contains("`mwctl.lock` isn't followed"), "{built}");
}

#[test]
fn where_anything_fails_the_old_lock_stays() {
    let place = Place::new();
    place.put(&[("etc/base", b"one")]);
    place.mwctl(&["images", "update"]);
    let lock = place.folder.text("mwctl.lock");
    assert!(lock.is_some());
    place.put(&[("etc/base", b"two")]);
    std::fs::remove_file(place.folder.work().join("app")).unwrap();
    let failed = place.mwctl(&["images", "update"]);
    assert!(failed.ends_with("[exit status: 1]\n"), "{failed}");
    assert!(failed.contains("`mwctl.lock` is as it was"), "{failed}");
    assert_eq!(place.folder.text("mwctl.lock"), lock);
    let unknown = place.mwctl(&["images", "update", "debian:bookworm"]);
    assert_snapshot!(unknown);

    // A registry that is gone is no network.
    let Place { folder, registry } = place;
    drop(registry);
    for arguments in [["images", "outdated"], ["images", "update"]] {
        let told = folder.mwctl(arguments);
        assert!(told.contains("cannot reach the registry of"), "{told}");
        assert!(told.ends_with("[exit status: 4]\n"), "{told}");
    }
    assert_eq!(folder.text("mwctl.lock"), lock);
    // What is here can be recorded without asking anybody.
    let offline = folder.mwctl(["images", "update", "--offline", "--dry-run"]);
    assert!(offline.ends_with("[exit status: 0]\n"), "{offline}");
}

/// Two services, of which the one that comes first by name is built upon the other one's image.
fn stacked() -> Place {
    let place = Place::new();
    let host = place.registry.host();
    let service = "{source: {path: PATH}, container: {command: [/app], build: {file: Dockerfile}}}";
    let folder = Folder::new()
        .file(
            "mwctl.yaml",
            &format!(
                "apiVersion: mwctl/v1\nkind: Stack\nname: both\nservices:\n  above: {}\n  below: {}\n",
                service.replace("PATH", "above"),
                service.replace("PATH", "below"),
            ),
        )
        .file("below/Dockerfile", &format!("FROM {host}/base:1\nCOPY app /app\n"))
        .file("below/app", "run")
        .file("above/Dockerfile", "FROM mwctl.local/below:image\nCOPY more /more\n")
        .file("above/more", "more");
    Place { folder, ..place }
}

impl Place {
    /// The layers of an image that a run says it builds, by the service.
    fn built(&self, told: &str, service: &str) -> Vec<String> {
        let begins = format!("{service} build ");
        let mut lines = told.lines().filter_map(|line| line.strip_prefix(&begins));
        let name = lines.next().unwrap();
        self.layers(name)
    }
}

#[test]
fn what_is_built_upon_another_services_image_is_built_after_it_and_upon_just_that() {
    let place = stacked();
    let host = place.registry.host();
    let update = || {
        place
            .folder
            .mwctl(["images", "update", "--plain-http", &host])
    };
    let meant = || {
        let lock = place.folder.text("mwctl.lock").unwrap();
        let (_, entry) = lock.split_once("- ref: mwctl.local/below:image\n").unwrap();
        let (_, digest) = entry.split_once("digest: ").unwrap();
        digest.lines().next().unwrap().to_owned()
    };
    let (one, two) = (
        layer(&[("etc/base", b"one")]),
        layer(&[("etc/base", b"two")]),
    );
    place.put(&[("etc/base", b"one")]);
    // Nobody has built the image that the other one stands upon: now somebody does.
    let told = update();
    assert!(told.ends_with("[exit status: 0]\n"), "{told}");
    let place_of = |told: &str, what: &str| told.find(what).unwrap();
    assert!(
        place_of(&told, "below build ") < place_of(&told, "above build "),
        "{told}"
    );
    let before = meant();
    let lowest = mwctl_tests::registry::digest(&one);
    assert_eq!(place.built(&told, "above")[0], lowest);
    let (nothing, lock) = (update(), place.folder.text("mwctl.lock"));
    assert!(!nothing.contains(" build "), "{nothing}");

    place.put(&[("etc/base", b"two")]);
    let told = update();
    assert!(
        place_of(&told, "below build ") < place_of(&told, "above build "),
        "{told}"
    );
    let below = place.built(&told, "below");
    let above = place.built(&told, "above");
    assert_eq!(below[0], mwctl_tests::registry::digest(&two));
    assert_eq!(above[..2], below, "{told}");
    assert_ne!(meant(), before);
    // It has the name that the other one has for it, so that nothing is newer than what is recorded.
    let outdated = place
        .folder
        .mwctl(["images", "outdated", "--exit-code", "--plain-http", &host]);
    assert!(outdated.ends_with("[exit status: 0]\n"), "{outdated}");

    // Where the upper one fails, neither the lock nor that name has changed.
    let recorded = place.folder.text("mwctl.lock");
    assert_ne!(recorded, lock);
    place.put(&[("etc/base", b"one")]);
    std::fs::remove_file(place.folder.work().join("above/more")).unwrap();
    let failed = update();
    assert!(failed.contains("`mwctl.lock` is as it was"), "{failed}");
    assert_eq!(place.folder.text("mwctl.lock"), recorded);
    let named = place
        .folder
        .mwctl(["image", "inspect", "mwctl.local/below:image", "-o", "json"]);
    assert!(
        named.contains(&mwctl_tests::registry::digest(&two)),
        "{named}"
    );
}

#[test]
fn images_that_stand_upon_each_other_are_told() {
    let place = stacked();
    let host = place.registry.host();
    place.put(&[("etc/base", b"one")]);
    let file = place.folder.work().join("below/Dockerfile");
    let text = format!("FROM {host}/base:1 AS a\nFROM mwctl.local/above:image\n");
    std::fs::write(file, text).unwrap();
    let told = place
        .folder
        .mwctl(["images", "update", "--plain-http", &host]);
    assert!(
        told.contains("built upon each other: above, below"),
        "{told}"
    );
    assert!(told.ends_with("[exit status: 1]\n"), "{told}");
    assert_eq!(place.lock(), None);
}

#[test]
fn what_is_recorded_and_nowhere_to_be_had_is_told_with_its_line() {
    let place = Place::new();
    place.put(&[("etc/base", b"one")]);
    place.mwctl(&["images", "update", "--no-build"]);
    let lock = place.folder.text("mwctl.lock").unwrap();
    let digest = lock
        .split("digest: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let other = format!("sha256:{}", "0".repeat(64));
    let path = place.folder.work().join("mwctl.lock");
    std::fs::write(&path, lock.replace(digest, &other)).unwrap();
    assert_snapshot!(place.mwctl(&["build", "teller"]));
    std::fs::write(&path, lock.replace(digest, "sha256:0")).unwrap();
    assert_snapshot!(place.mwctl(&["build", "teller"]));
    let lint = place.folder.mwctl(["render"]);
    assert!(lint.ends_with("[exit status: 3]\n"), "{lint}");
}

#[test]
fn newer_packages_are_told_by_the_archives_signed_indices() {
    let archive = Archive::start();
    let place = Place::new();
    let files = archive.image(&[
        ("libc6", "2.36-9+deb12u9"),
        ("bash", "5.2.15-2"),
        ("tzdata", "2024a"),
    ]);
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(path, it)| (path.as_str(), it.as_slice()))
        .collect();
    place.put(&files);
    archive.publish(
        "stable",
        "Debian",
        &[
            ("libc6", "2.36-9+deb12u10"),
            ("bash", "5.2.15-2+b7"),
            ("zsh", "9"),
        ],
    );
    archive.publish(
        "stable-security",
        "Debian-Security",
        &[("libc6", "2.36-9+deb12u13"), ("tzdata", "2023c")],
    );
    place.mwctl(&["images", "update"]);
    let told = [
        place.lock().unwrap(),
        place.mwctl(&["images", "outdated"]),
        place.mwctl(&["images", "outdated", "--security", "--exit-code"]),
    ];
    assert_snapshot!(told.join("\n").replace(&archive.host(), "ARCHIVE"));

    archive.change("stable", "Packages", |text| text.replace("+b7", "+b8"));
    // What was fetched before is kept by its sum.
    std::fs::remove_dir_all(place.folder.work().join("../.cache/mwctl/debian")).unwrap();
    let spoiled = place.mwctl(&["images", "outdated"]);
    assert!(
        spoiled.contains("another sum than the archive signed"),
        "{spoiled}"
    );
    archive.change("stable", "InRelease", |text| {
        text.replace("Label: Debian", "Label: debian")
    });
    let forged = place.mwctl(&["images", "outdated"]);
    assert!(
        forged.contains("none of the image's keys has signed it"),
        "{forged}"
    );
    archive.publish_until("stable", "Thu, 03 Dec 2020 21:03:35 UTC");
    let old = place.mwctl(&["images", "outdated"]);
    assert!(old.contains("its time is over"), "{old}");
    drop(archive);
    let gone = place.mwctl(&["images", "outdated"]);
    assert!(gone.ends_with("[exit status: 4]\n"), "{gone}");
}

#[test]
fn debian_is_made_of_its_packages_where_nobody_has_it() {
    let system = layer(&[
        ("etc/passwd", b"root\n"),
        ("var/lib/dpkg/status", b"Package: bash\nVersion: 5.2\n"),
    ]);
    let folder = Folder::new()
        .file(
            "mwctl.yaml",
            "apiVersion: mwctl/v1\nkind: Service\nname: teller\ncontainer:\n  command: [/app]\n  \
             build: {file: Dockerfile}\n",
        )
        .file(
            "Dockerfile",
            "FROM mwctl.local/debian:bookworm\nCOPY app /app\n",
        )
        .file("app", "run")
        .file(".system.tar", std::str::from_utf8(&system).unwrap())
        .program(
            "mmdebstrap",
            "for last; do :; done; echo \"$@\" >> $HOME/asked; cp $HOME/.system.tar $last",
        );
    let mut told = vec![folder.mwctl(["build", "teller"])];
    told.push(folder.mwctl(["images", "update"]));
    let lock = folder.text("mwctl.lock").unwrap();
    told.push(folder.mwctl(["images", "outdated"]));
    // Made anew, and of the same packages: the same image.
    told.push(folder.mwctl(["images", "update"]));
    let told = numbered(&told.join("\n"));
    let told = told.replace(architecture(), "ARCHITECTURE");
    assert!(
        lock.contains("kind: bootstrap\n    from: bookworm\n"),
        "{lock}"
    );
    assert!(lock.contains("    bash: \"5.2\"\n"), "{lock}");
    assert_eq!(folder.text("mwctl.lock").unwrap(), lock);
    let asked = std::fs::read_to_string(format!("{}/asked", folder.home())).unwrap();
    assert_eq!(asked.lines().count(), 2, "{asked}");
    let lines = told.lines().map(|line| {
        let end = line
            .find(" build mwctl.local/")
            .map_or(line.len(), |at| at + 6);
        // How long it took is another thing each time.
        match line[..end]
            .strip_suffix(" ms")
            .and_then(|it| it.rsplit_once(' '))
        {
            Some((step, _)) => format!("{step} N ms"),
            None => line[..end].to_owned(),
        }
    });
    assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}
