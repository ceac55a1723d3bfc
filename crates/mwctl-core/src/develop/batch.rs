//! Which changes belong together: how long the edit loop waits before it restarts anything.
//!
//! Copies don't wait for this; only restarts, dependency steps and very large changes do.

use std::collections::BTreeSet;
use std::time::Duration;

/// How long a single save waits for a second one: an editor's rename and its backup file come
/// within a millisecond, a formatter's second write within a few.
pub const SHORTEST_WINDOW: Duration = Duration::from_millis(8);

/// The longest pause that still counts as the same batch.
pub const LONGEST_WINDOW: Duration = Duration::from_millis(30);

/// A batch never stays open longer than this, however steadily files change.
pub const LONGEST_BATCH: Duration = Duration::from_secs(1);

/// From this many changed paths on, a batch is a branch switch or a generator at work: it settles
/// first and becomes one update.
pub const BULK: usize = 32;

/// Two batches closer than this were one burst of the user's tool: the next window is longer.
const BURST: Duration = Duration::from_millis(150);

/// Changes that become one update.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    first: Duration,
    last: Duration,
    window: Duration,
    seen: usize,
    /// Paths whose content is different now.
    pub(super) touched: BTreeSet<String>,
    /// Paths that will be looked at when the batch has settled.
    pub(super) unread: BTreeSet<String>,
    /// The update's number, once something was sent for it.
    pub(super) update: Option<u64>,
}

impl Batch {
    /// A batch that starts `now`; `after` is when the one before it ended.
    pub(super) fn open(now: Duration, after: Option<Duration>) -> Self {
        let burst = after.is_some_and(|end| now.saturating_sub(end) < BURST);
        Self {
            first: now,
            last: now,
            window: if burst {
                LONGEST_WINDOW
            } else {
                SHORTEST_WINDOW
            },
            seen: 0,
            touched: BTreeSet::new(),
            unread: BTreeSet::new(),
            update: None,
        }
    }

    /// Counts changes at `now` and adapts the window to the pauses between them.
    pub(super) fn note(&mut self, paths: &BTreeSet<String>, now: Duration) {
        if self.seen > 0 {
            let pause = now.saturating_sub(self.last);
            self.window = (pause * 2).clamp(self.window, LONGEST_WINDOW);
        }
        self.seen += paths.len();
        if self.is_bulk() {
            self.window = LONGEST_WINDOW;
        }
        self.last = now;
    }

    /// Keeps the batch open from `now` on.
    pub(super) fn extend(&mut self, now: Duration) {
        self.last = now;
        self.first = self.first.max(now.saturating_sub(LONGEST_BATCH / 2));
    }

    /// When the first of its changes was noticed.
    pub(super) fn first(&self) -> Duration {
        self.first
    }

    /// When it closes, if nothing more comes.
    pub(super) fn end(&self) -> Duration {
        (self.last + self.window).min(self.first + LONGEST_BATCH)
    }

    /// Whether so much changed that it has to settle first.
    pub(super) fn is_bulk(&self) -> bool {
        self.seen > BULK
    }

    /// Its update's number, taken from `updates` at the first call.
    pub(super) fn number(&mut self, updates: &mut u64) -> u64 {
        *self.update.get_or_insert_with(|| {
            *updates += 1;
            *updates
        })
    }
}
