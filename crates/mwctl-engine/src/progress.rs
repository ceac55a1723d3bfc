//! How long work tells what it is doing, to whoever wants to show it.
//!
//! Not for answers: those are return values.

use serde::Serialize;

/// One sign of life.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "progress", rename_all = "camelCase")]
pub enum Progress {
    /// A step began.
    Started {
        /// As in `npm install`.
        what: String,
    },
    /// A line that the step's program printed.
    Line {
        /// The line.
        text: String,
    },
    /// The step is over.
    Finished {
        /// As in `npm install`.
        what: String,
        /// How long it took.
        milliseconds: u64,
    },
}

/// Receives the signs of life.
pub type Report<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// Listens to nothing.
pub fn silent(_: Progress) {}

/// Announces a step and, when it is finished, how long it took; a step that failed says nothing more.
pub(crate) struct Step<'a> {
    report: Report<'a>,
    what: String,
    since: std::time::Instant,
}

impl<'a> Step<'a> {
    pub(crate) fn start(report: Report<'a>, what: impl Into<String>) -> Self {
        let what = what.into();
        report(Progress::Started { what: what.clone() });
        let since = std::time::Instant::now();
        Self {
            report,
            what,
            since,
        }
    }

    pub(crate) fn finish(self) {
        (self.report)(Progress::Finished {
            milliseconds: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            what: self.what,
        });
    }
}
