//! Samples, and the section of the page that they are written to.

use std::time::Duration;

use mwctl_tests::performance;

use super::{ROUNDS, WARM};

/// What was measured, of one thing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(performance::Samples);

impl Samples {
    /// Takes a round's time, unless it was one to warm up.
    pub(crate) fn take(&mut self, round: usize, time: Duration) {
        if round >= WARM {
            self.0.take(time);
        }
    }

    fn percentile(&self, percent: usize) -> f64 {
        self.0.percentile(percent)
    }
}

/// Everything that was measured, in order.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<(&'static str, Samples)>);

impl Report {
    /// Adds one thing.
    pub(crate) fn add(&mut self, what: &'static str, samples: Samples) {
        self.0.push((what, samples));
    }

    fn p50(&self, what: &str) -> f64 {
        let found = self.0.iter().find(|(name, _)| name.starts_with(what));
        found.map_or(f64::NAN, |(_, samples)| samples.percentile(50))
    }

    fn page(&self) -> String {
        let mut rows = String::new();
        for (what, samples) in &self.0 {
            let (half, most) = (samples.percentile(50), samples.percentile(95));
            rows.extend([format!("| {what} | {half:.1} | {most:.1} |\n")]);
        }
        let beyond = self.p50("save → new code answers") - self.p50("node's own start");
        let ratio = self.p50("`kubectl exec -i tar x`") / self.p50("save → file in the container");
        let (profile, processors) = (performance::profile(), performance::processors());
        format!(
            "Milliseconds on the test bed, a real Kubernetes v1.34 on one machine with {processors} processors; \
             {ROUNDS} rounds after {WARM} to warm up; `mwctl` built {profile}.\n\
             Written by `tests/bench/run loop`; the references are taken in the same run.\n\n\
             | what | p50 | p95 |\n|---|---|---|\n{rows}\n\
             New code answers {beyond:.1} ms later than node takes to start by itself (aim: at most 30). \
             A file is there {ratio:.0} times sooner than by `kubectl exec -i tar x`.\n\
             Aim for a file in the container: p50 at most 10, p95 at most 40.\n\n\
             - The service is `tests/cluster/fixtures/plain`, in `mwctl develop`. A save is one write of `lib/place.js`, of some 30 bytes.\n\
             - *File in the container*: from before the write until the file has its new content under `/proc/<pid>/root` of \
             the container's first process, looked at every 100 µs. No API lies between.\n\
             - *New code answers*: from before the write until `GET /` shows it, asked every millisecond from within the pod's own network. \
             It includes the window in which a batch closes, the old process's end, and node's start.\n\
             - *Node's own start*: the same program in the same container's files and network, started by hand, asked in the same way. \
             It is not in the container's control group. The start of `nsenter` is part of it.\n\
             - *Open stream*: a line through `kubectl exec -i … cat` and back. `kubectl exec true` and `tar` include the start of `kubectl`.\n"
        )
    }

    /// Prints it, and writes it to the page.
    pub(crate) fn write(&self) {
        performance::write("The edit loop", &self.page());
    }
}
