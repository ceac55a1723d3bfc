//! The page of figures, `docs/reference/performance.md`: each benchmark writes its own section and leaves the others'. And what is
//! measured: times, and their percentiles. It measures nothing itself.

pub mod real;
mod table;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use table::Table;

/// Times of one thing.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// Takes one.
    pub fn take(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The sample below or at which this share of all lies, in milliseconds; not a number without any.
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted
            .get(rank - 1)
            .map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}

impl Extend<Duration> for Samples {
    fn extend<T: IntoIterator<Item = Duration>>(&mut self, times: T) {
        self.0.extend(times);
    }
}

/// How long something took.
pub fn timed(what: impl FnOnce()) -> Duration {
    let start = Instant::now();
    what();
    start.elapsed()
}

/// How the programs that are measured were built.
pub fn profile() -> &'static str {
    if cfg!(debug_assertions) {
        "without optimisation"
    } else {
        "optimised, as released"
    }
}

/// How many processors the machine has for this process.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

/// How many tasks ran or waited for a processor in the minute before, on average: 0 on an idle machine.
///
/// # Panics
/// When the system doesn't tell.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").expect("Linux");
    let first = text.split_whitespace().next().expect("three numbers");
    first.to_owned()
}

/// Prints a section and puts it where readers look for it, in the place of the one with this heading.
///
/// # Panics
/// When the page is not there or cannot be written.
#[expect(clippy::print_stdout, reason = "a benchmark's answer")]
pub fn write(heading: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/performance.md");
    let page = std::fs::read_to_string(&path).expect("the page is there");
    std::fs::write(&path, replaced(&page, heading, text)).expect("the page can be written");
    println!("## {heading}\n\n{text}");
}

/// The page with another section of this heading, at its end if there was none.
fn replaced(page: &str, heading: &str, text: &str) -> String {
    let section = format!("## {heading}\n\n{}\n", text.trim_end());
    let title = format!("## {heading}\n");
    let Some(start) = page.find(&title) else {
        return format!("{}\n\n{section}", page.trim_end());
    };
    let after = start + title.len();
    match page[after..].find("\n## ") {
        Some(end) => format!("{}{section}\n{}", &page[..start], &page[after + end + 1..]),
        None => format!("{}{section}", &page[..start]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_takes_the_place_of_its_own_alone() {
        let page = "# P\n\nwords\n\n## a\n\n1\n\n## b\n\n2\n";
        assert_eq!(
            replaced(page, "a", "3"),
            "# P\n\nwords\n\n## a\n\n3\n\n## b\n\n2\n"
        );
        assert_eq!(
            replaced(page, "b", "3\n"),
            "# P\n\nwords\n\n## a\n\n1\n\n## b\n\n3\n"
        );
        assert_eq!(
            replaced(page, "c", "3"),
            "# P\n\nwords\n\n## a\n\n1\n\n## b\n\n2\n\n## c\n\n3\n"
        );
    }

    #[test]
    fn a_percentile_is_one_of_the_samples() {
        let mut samples = Samples::default();
        assert!(samples.percentile(50).is_nan());
        samples.extend((1..=10).map(Duration::from_millis));
        assert!((samples.percentile(50) - 5.0).abs() < 1e-9);
        assert!((samples.percentile(99) - 10.0).abs() < 1e-9);
    }
}
