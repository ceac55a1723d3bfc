//! The section of the page that the images' figures are written to.

use std::fmt::Write as _;

use mwctl_tests::performance::{self, Samples};

use crate::delivery::Delivered;

/// One builder's times.
#[derive(Debug, Default)]
pub(crate) struct Built {
    pub(crate) cold: Samples,
    pub(crate) unchanged: Samples,
    pub(crate) edited: Samples,
}

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) ours: Built,
    pub(crate) buildkit: Built,
    pub(crate) buildah: Built,
    pub(crate) delivery: Delivered,
    pub(crate) ready: Samples,
    pub(crate) answers: Samples,
    pub(crate) own_start: Samples,
    /// In MB/s.
    pub(crate) packing: f64,
    /// Bytes of one version, and of fifty.
    pub(crate) fifty: (u64, u64),
}

/// One of the things that were measured of each builder.
type Part = fn(&Built) -> &Samples;

impl Report {
    /// Prints it, and writes it to the page.
    pub(crate) fn write(&self) {
        performance::write("Images", &self.text());
    }

    /// Prints it alone.
    #[expect(clippy::print_stdout, reason = "a benchmark's answer")]
    pub(crate) fn show(&self) {
        println!("{}", self.text());
    }

    fn builds(&self) -> String {
        let mut text = "| `mwctl build` | p50 | p95 | aim for p50 | BuildKit, p50 | BuildKit ÷ ours | buildah, p50 | buildah ÷ ours |\n\
             |---|---|---|---|---|---|---|---|\n"
            .to_owned();
        let rows: [(&str, Part, &str); 3] = [
            (
                "from nothing, with the base there",
                |built| &built.cold,
                "BuildKit's",
            ),
            ("nothing changed", |built| &built.unchanged, "10"),
            ("one source file changed", |built| &built.edited, "10"),
        ];
        for (what, part, aim) in rows {
            let p50 = |built| part(built).percentile(50);
            let (ours, buildkit, buildah) =
                (p50(&self.ours), p50(&self.buildkit), p50(&self.buildah));
            let p95 = part(&self.ours).percentile(95);
            writeln!(
                text,
                "| {what} | {ours:.1} | {p95:.1} | {aim} | {buildkit:.1} | {:.1} | {buildah:.1} | {:.1} |",
                buildkit / ours,
                buildah / ours,
            )
            .expect("a string takes everything");
        }
        text
    }

    fn rest(&self) -> String {
        let mut text = "| what | p50 | p95 | aim for p50 |\n|---|---|---|---|\n".to_owned();
        let start = self.own_start.percentile(50);
        for (what, samples, aim) in [
            (
                "an edit's layer → containerd has it unpacked",
                &self.delivery.edit,
                100.0,
            ),
            (
                "the whole image → containerd, once",
                &self.delivery.whole,
                f64::NAN,
            ),
            (
                "containerd's own import of the base, once",
                &self.delivery.import,
                f64::NAN,
            ),
            (
                "an edit, `mwctl up` → the new container is ready",
                &self.ready,
                start + 30.0,
            ),
            (
                "an edit, `mwctl up` → it alone answers",
                &self.answers,
                f64::NAN,
            ),
            ("node's own start → it answers", &self.own_start, f64::NAN),
        ] {
            let aim = if aim.is_nan() {
                "–".to_owned()
            } else {
                format!("{aim:.0}")
            };
            let (p50, p95) = (samples.percentile(50), samples.percentile(95));
            writeln!(text, "| {what} | {p50:.1} | {p95:.1} | {aim} |")
                .expect("a string takes everything");
        }
        text
    }

    fn text(&self) -> String {
        let (one, fifty) = self.fifty;
        format!(
            "Milliseconds on a machine with {} processors, of load {} at the end; `mwctl` built {}, as root. A service of Node with 461 packages, \
             which `npm ci` installs from a folder, upon an image of Node; the same Dockerfile, base and folder for all. Written by \
             `tests/bench/run image`.\n\n\
             {}\n{}\n\
             Packing a layer, its digest computed: {:.0} MB/s (aim: at least 300). A store with one version of the service has {:.1} MB on the disk; \
             with fifty that differ in a file, {:.1} MB: {:.1} kB for each that was added.\n\n\
             - Each is a whole command of each program; five times from nothing, else twenty, once the disk has written what was left to it. BuildKit exports nothing: its image couldn't be used \
             yet. Its daemon runs; nobody else has one.\n\
             - *Unpacked* is what the containerd of the test bed says. There is one layer above the base.\n\
             - *Ready* is what `mwctl up` has said by its end, a whole command that nobody disturbs. *Answers* is asked every millisecond from before the \
             command, of the service; the old container answers as well until it has left it.\n",
            performance::processors(),
            performance::load(),
            performance::profile(),
            self.builds(),
            self.rest(),
            self.packing,
            one as f64 / 1e6,
            fifty as f64 / 1e6,
            (fifty.saturating_sub(one)) as f64 / 49.0 / 1e3,
        )
    }
}
