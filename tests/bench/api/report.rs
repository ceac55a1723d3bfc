//! The section of the page that the API's figures are written to.

use mwctl_tests::performance::{self, Samples, Table};

/// Everything that was measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    table: Table,
    /// All that is in memory, and what of it is no file's.
    idle: (u64, u64),
    growth: Vec<u64>,
}

impl Report {
    /// Adds what the embedded API takes, and the most that p50 should be, in milliseconds.
    pub(crate) fn add(&mut self, what: &'static str, samples: Samples, aim: f64) {
        self.table.add(what, samples, aim);
    }

    /// Adds what the real one takes for the same.
    pub(crate) fn reference(&mut self, what: &str, samples: Samples) {
        self.table.reference(what, samples);
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
             {}\n\
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
            self.table.text(),
            megabytes(self.idle.1),
            megabytes(self.idle.0),
            steps.join(", ")
        )
    }
}
