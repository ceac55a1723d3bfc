//! The section of the page that the API's figures are written to.

use std::fmt::Write as _;

use mwctl_tests::performance::{self, Samples};

/// Everything that was measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    /// All that is in memory, and what of it is no file's.
    idle: (u64, u64),
    growth: Vec<u64>,
}

#[derive(Debug)]
struct Row {
    what: &'static str,
    samples: Samples,
    /// The most that p50 should be, in milliseconds; not a number where there is no aim.
    aim: f64,
    real: Option<Samples>,
}

impl Report {
    /// Adds what the embedded API takes.
    pub(crate) fn add(&mut self, what: &'static str, samples: Samples, aim: f64) {
        self.rows.push(Row {
            what,
            samples,
            aim,
            real: None,
        });
    }

    /// Adds what the real one takes for the same.
    pub(crate) fn reference(&mut self, what: &str, samples: Samples) {
        let row = self.rows.iter_mut().find(|row| row.what == what);
        row.expect("it was measured").real = Some(samples);
    }

    /// Adds the memory of a cluster that does nothing, in kB.
    pub(crate) fn idle(&mut self, resident: u64, own: u64) {
        self.idle = (resident, own);
    }

    /// Adds the memory after each tenth of the writes, in kB.
    pub(crate) fn growth(&mut self, kilobytes: Vec<u64>) {
        self.growth = kilobytes;
    }

    /// Prints it, and writes it to the page.
    pub(crate) fn write(&self) {
        performance::write("The embedded API", &self.text());
    }

    /// Prints it alone.
    #[expect(clippy::print_stdout, reason = "a benchmark's answer")]
    pub(crate) fn show(&self) {
        println!("{}", self.text());
    }

    fn text(&self) -> String {
        let number = |value: f64| {
            if value.is_nan() {
                "–".to_owned()
            } else {
                format!("{value:.3}")
            }
        };
        let mut rows = String::new();
        for row in &self.rows {
            let real = |percent| {
                let real = row.real.as_ref();
                real.map_or(f64::NAN, |real| real.percentile(percent))
            };
            let aim = if row.aim.is_nan() {
                "–".to_owned()
            } else {
                format!("{}", row.aim)
            };
            let ratio = real(50) / row.samples.percentile(50);
            let ratio = if ratio.is_nan() {
                "–".to_owned()
            } else {
                format!("{ratio:.1}")
            };
            // Writing to a string can't fail.
            writeln!(
                rows,
                "| {} | {} | {} | {aim} | {} | {} | {ratio} |",
                row.what,
                number(row.samples.percentile(50)),
                number(row.samples.percentile(95)),
                number(real(50)),
                number(real(95)),
            )
            .unwrap_or_default();
        }
        let megabytes = |kilobytes: u64| kilobytes as f64 / 1024.0;
        let steps: Vec<String> = (self.growth.iter())
            .map(|size| format!("{:.1}", megabytes(*size)))
            .collect();
        let (first, last) = (self.growth.first(), self.growth.last());
        let ratio = first
            .zip(last)
            .map_or(f64::NAN, |(first, last)| *last as f64 / *first as f64);
        format!(
            "Milliseconds on a machine with {} processors, of load {} at the end (what ran or waited in the minute before; beyond the processors, the figures \
             are those of a busy machine); `mwctl` built {}; *real* is a kube-apiserver v1.34 with its etcd on the same machine, in the same run, over TLS. \
             Written by `tests/bench/run api`.\n\n\
             | what | p50 | p95 | aim for p50 | real, p50 | real, p95 | real ÷ ours, p50 |\n|---|---|---|---|---|---|---|\n{rows}\n\
             An idle cluster with its controllers, a whole `mwctl cluster run`, has {:.1} MB of its own in memory (aim: at most 20), and {:.1} MB \
             with the pages of the program's file that were used once, which all of its processes share and which go when others need them. \
             A million writes, of which a thousand objects stay: {} MB after each hundred thousand; the last is {ratio:.3} of the first \
             (aim: at most 1.05).\n\n\
             A create is a ConfigMap of some 200 bytes through kube-rs, typed, with validation and field ownership, and its answer read. \
             Clients have one thread. *In process* is handed over without HTTP's bytes, to a server on that thread; *over TLS* is to one on threads \
             of its own. *At the server* is the function that answers a request, without a \
             client.\n",
            performance::processors(),
            performance::load(),
            performance::profile(),
            megabytes(self.idle.1),
            megabytes(self.idle.0),
            steps.join(", ")
        )
    }
}
