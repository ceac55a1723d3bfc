//! SIGKILL at random moments: whatever has a name afterwards is whole, and nothing else stays.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::archive;
use crate::program::{Home, files};

/// How many files an image has: enough that a kill hits every part of an import.
const FILES: usize = 400;

fn kills() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a test's own setting")]
    let wanted = std::env::var("MWCTL_KILLS");
    wanted.map_or(12, |text| text.parse().unwrap())
}

/// Names under which something is must be whole: each image's layers have all of its files, each
/// blob the content of its digest.
fn assert_sound(home: &Home) -> BTreeMap<String, String> {
    let list = home.answer(["image", "list"]);
    let mut images = BTreeMap::new();
    for image in list["items"].as_array().unwrap() {
        let reference = image["reference"].as_str().unwrap();
        let layer = image["layers"][0]["folder"].as_str().unwrap();
        let found = files(Path::new(layer));
        assert_eq!(found.len(), FILES + 1, "{reference}");
        let contents: Vec<Vec<u8>> = found.iter().map(|f| std::fs::read(f).unwrap()).collect();
        assert!(
            contents.iter().all(|content| *content == contents[0]),
            "{reference} is a mixture"
        );
        assert!(!contents[0].is_empty(), "{reference} is torn");
        let digest = image["manifest"].as_str().unwrap();
        images.insert(reference.to_owned(), digest.to_owned());
    }
    assert_whole_blobs(home);
    images
}

fn assert_whole_blobs(home: &Home) {
    for blob in files(&home.store().join("blobs/sha256")) {
        let name = blob.file_name().unwrap().to_str().unwrap();
        let found = hex::encode(Sha256::digest(std::fs::read(&blob).unwrap()));
        assert_eq!(found, name, "a torn blob has a name");
    }
}

/// Moments from the beginning to after the end, in no order that repeats.
fn moment(kill: u64, whole: Duration) -> Duration {
    let spread = kill.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    whole.mul_f64(1.2 * spread as f64 / (1_u64 << 24) as f64)
}

fn kill_at(moment: Duration, mut children: Vec<Child>) {
    let until = Instant::now() + moment;
    for child in &mut children {
        // Not a wait for a condition: the moment is what is tested.
        let left = until.saturating_duration_since(Instant::now());
        std::thread::park_timeout(left);
        child.kill().unwrap();
    }
    for mut child in children {
        child.wait().unwrap();
    }
}

/// Nothing is left that is being made, nor a lock of it.
fn assert_tidy(home: &Home) {
    for folder in ["work", "pins", "locks"] {
        let left = std::fs::read_dir(home.store().join(folder)).unwrap();
        assert_eq!(left.count(), 0, "{folder}");
    }
}

#[test]
fn a_store_whose_users_are_killed_at_random_moments_stays_sound() {
    let home = Home::new();
    for number in 0..4 {
        archive::write(&home.path(&format!("{number}.tar")), number, FILES);
    }
    let begin = Instant::now();
    home.answer(["image", "import", "--name", "first:0", "0.tar"]);
    let whole = begin.elapsed();
    let first = home.answer(["image", "inspect", "first:0"])["manifest"].clone();

    for kill in 0..kills() {
        // Two at once, so that one meets what the other has just left.
        let number = kill % 4;
        let (archive, name) = (format!("{number}.tar"), format!("image-{number}:1"));
        let import = ["image", "import", "--name", &name, &archive];
        let mut children = vec![home.spawn(import), home.spawn(import)];
        if kill % 3 == 0 {
            children.push(home.spawn(["image", "remove", &name]));
        }
        kill_at(moment(kill, whole), children);
        assert_sound(&home);
    }

    // Everything works, and nothing of those that were killed is left.
    for number in 0..4 {
        let (archive, name) = (format!("{number}.tar"), format!("image-{number}:1"));
        home.answer(["image", "import", "--name", &name, &archive]);
    }
    home.answer(["image", "prune"]);
    let images = assert_sound(&home);
    assert_eq!(images.len(), 5);
    assert_eq!(first, images["docker.io/library/first:0"].as_str());
    assert_tidy(&home);
    // Four contents, and each has a manifest, a configuration and an archive.
    assert_eq!(files(&home.store().join("blobs")).len(), 12);
    let layers = std::fs::read_dir(home.store().join("layers/kept"))
        .or_else(|_| std::fs::read_dir(home.store().join("layers/single")));
    let layers = layers.unwrap().filter(|entry| {
        let kind = entry.as_ref().unwrap().file_type().unwrap();
        kind.is_dir()
    });
    assert_eq!(layers.count(), 4);
}

/// Stages side by side and upon each other, programs, copies, a cache. `ROUND` makes other steps of it, but no other image.
const DOCKERFILE: &str = "\
FROM system:1 AS tools
ARG ROUND
RUN --mount=type=cache,target=/cache echo $ROUND >> /cache/rounds && mkdir /tools && cd /tools \
 && for a in 0 1 2 3 4 5 6 7 8 9; do for b in 0 1 2 3 4 5 6 7 8 9; do echo tool $a$b > $a$b; done; done
FROM system:1 AS texts
ARG ROUND
COPY texts /texts
RUN cat /texts/* > /all
FROM system:1
ARG ROUND
WORKDIR /srv
COPY --from=tools /tools tools
COPY --from=texts /all texts
RUN --mount=type=cache,target=/cache test -e /cache && cat tools/* texts > all
COPY texts own
";

const BUILT: &str = "mwctl.local/service:image";

fn build_home() -> Home {
    let home = Home::new();
    archive::write_system(&home.path("system.tar"));
    home.answer(["image", "import", "--name", "system:1", "system.tar"]);
    home.write("service/Dockerfile", DOCKERFILE);
    for number in 0..100 {
        let name = format!("service/texts/{number}");
        home.write(&name, &format!("text {number}\n").repeat(50));
    }
    home
}

/// A program of a killed build ends with it.
fn assert_no_program(round: &str) {
    let mark = format!("ROUND={round}\0");
    let until = Instant::now() + Duration::from_secs(20);
    let lives = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let mut environments = processes.map(|it| std::fs::read(it.path().join("environ")));
        environments
            .any(|it| it.is_ok_and(|it| it.windows(mark.len()).any(|at| at == mark.as_bytes())))
    };
    while lives() {
        assert!(Instant::now() < until, "a program of round {round} goes on");
        std::thread::yield_now();
    }
}

#[test]
fn builds_that_are_killed_at_random_moments_are_made_again_as_if_nothing_had_been() {
    let reference = build_home();
    let begin = Instant::now();
    let made = reference.answer(["build", "service", "--export", "reference"]);
    let whole = begin.elapsed();
    let expected = made["items"][0]["manifest"].clone();
    drop(reference);

    let home = build_home();
    for kill in 0..kills() {
        if kill % 2 == 0 {
            // All anew; else the layers are there, and the steps are not.
            home.output(["image", "prune", "--all"]);
        }
        let round = format!("{}-{kill}", std::process::id());
        let argument = format!("ROUND={round}");
        let build = ["build", "service", "--arg", &argument];
        let mut children = vec![home.spawn(build), home.spawn(build)];
        match kill % 4 {
            1 => children.push(home.spawn(["image", "prune"])),
            3 => children.push(home.spawn(["image", "remove", BUILT])),
            _ => {}
        }
        kill_at(moment(kill, whole), children);
        assert_no_program(&round);
        assert_whole_blobs(&home);
        for image in home.answer(["image", "list"])["items"].as_array().unwrap() {
            if image["reference"] == BUILT {
                assert_eq!(image["manifest"], expected, "kill {kill}: half an image");
            }
        }
        // The export reads every file of every layer, and checks their digests.
        let out = format!("out-{kill}");
        let export = build.into_iter().chain(["--export", &out]);
        let made = home.answer(export)["items"][0]["manifest"].clone();
        assert_eq!(made, expected, "kill {kill}");
        std::fs::remove_dir_all(home.path(&out)).unwrap();
        home.answer(["image", "remove", BUILT]);
    }
    home.answer(["image", "prune", "--all"]);
    assert_tidy(&home);
    assert_eq!(
        home.answer(["build", "service"])["items"][0]["manifest"],
        expected
    );
}
