//! What images cost to build and to bring into a cluster, beside `BuildKit` and buildah in the same run.
//!
//! `tests/bench/run image` starts a bed and this, which prints what it found and writes it to its section of
//! `docs/reference/performance.md`. It judges nothing: the gate is a reader. Root is needed, since the other builders mount.

#[path = "image/builders.rs"]
mod builders;
#[path = "image/delivery.rs"]
mod delivery;
#[path = "image/place.rs"]
mod place;
#[path = "image/report.rs"]
mod report;

use builders::{Buildah, Builder, Buildkit, Mwctl};
use mwctl_tests::cluster::command;
use mwctl_tests::performance::{Samples, timed};
use place::{Place, run};
use report::{Built, Report};

/// So often from nothing, and so often after an edit or none.
const COLD: usize = 5;
const ROUNDS: usize = 20;

fn main() {
    let place = Place::new();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let delivery = runtime.block_on(delivery::measure(&place));
    let mwctl = Mwctl::new(&place, "built");
    let (buildkit, buildah) = (Buildkit::new(&place), Buildah::new(&place));
    let builders: [&dyn Builder; 3] = [&mwctl, &buildkit, &buildah];
    let mut built = builders.map(|builder| warm(&place, builder));
    let (Rolled { ready, answers }, own_start) = (rolled(&place), own_start(&place));
    // Last of all: for minutes after thousands of files have gone, a file system looks long for numbers for new ones.
    for _ in 1..COLD {
        for (builder, built) in builders.iter().zip(&mut built) {
            cold(&mut built.cold, *builder);
        }
    }
    let [ours, buildkit, buildah] = built;
    let report = Report {
        ours,
        buildkit,
        buildah,
        delivery,
        ready,
        answers,
        own_start,
        packing: place.packing(),
        fifty: fifty(&place),
    };
    if std::env::args().any(|word| word == "--alone") {
        report.show();
    } else {
        report.write();
    }
}

/// From nothing, once the disk has written what others left to it.
fn cold(samples: &mut Samples, builder: &dyn Builder) {
    builder.forget();
    run(&mut command("sync"));
    samples.take(timed(|| builder.build()));
}

/// From nothing, with nothing changed, and after each of some edits.
fn warm(place: &Place, builder: &dyn Builder) -> Built {
    let mut built = Built::default();
    cold(&mut built.cold, builder);
    // What the disk has yet to write of that would keep an edit's few files waiting.
    run(&mut command("sync"));
    for _ in 0..ROUNDS {
        built.unchanged.take(timed(|| builder.build()));
    }
    for _ in 0..ROUNDS {
        place.edit();
        built.edited.take(timed(|| builder.build()));
    }
    built
}

/// An edit → `mwctl up` → a new container on the embedded node.
#[derive(Default)]
struct Rolled {
    /// It is ready, as `mwctl up` says by its end. Nobody asks it anything meanwhile.
    ready: Samples,
    /// It answers whoever asks the service, the old one no more.
    answers: Samples,
}

fn rolled(place: &Place) -> Rolled {
    let mut rolled = Rolled::default();
    let deployed = place.up();
    run(&mut command("sync"));
    for _ in 0..ROUNDS {
        place.edit();
        rolled.ready.take(timed(|| place.begin_up().end()));
    }
    for _ in 0..ROUNDS {
        let said = place.edit();
        let start = std::time::Instant::now();
        let up = place.begin_up();
        deployed.says(&said);
        rolled.answers.take(start.elapsed());
        up.end();
    }
    rolled
}

/// The service's program, started by hand → it answers.
fn own_start(place: &Place) -> Samples {
    let mut samples = Samples::default();
    for _ in 0..ROUNDS {
        samples.take(place.own_start());
    }
    samples
}

/// What a store has of a service, and of fifty versions of it, in bytes on the disk.
fn fifty(place: &Place) -> (u64, u64) {
    let mwctl = Mwctl::new(place, "fifty");
    mwctl.build();
    let one = mwctl.stored();
    for version in 1..50 {
        place.edit();
        mwctl.build_as(&format!("mwctl.local/echo:{version}"));
    }
    (one, mwctl.stored())
}
