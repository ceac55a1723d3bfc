//! The terminal as a stream of keys: raw while a command in a container has it.

use std::io;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The terminal in raw mode; dropping it brings back what was before.
pub(crate) struct Raw {
    before: Termios,
}

impl Raw {
    /// Hands every key to whoever reads, uninterpreted.
    pub(crate) fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self { before })
    }

    /// Columns and rows.
    pub(crate) fn size() -> (u16, u16) {
        tcgetwinsize(io::stdout()).map_or((80, 24), |size| (size.ws_col, size.ws_row))
    }

    /// Reports each change of the size, for ever.
    pub(crate) async fn follow_size(&self, size_tx: &watch::Sender<(u16, u16)>) {
        let Ok(mut changes) = signal(SignalKind::window_change()) else {
            return std::future::pending().await;
        };
        while changes.recv().await.is_some() {
            size_tx.send_replace(Self::size());
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing can be done for a terminal that is gone.
        let _restored = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
