//! Ctrl-C: once to give up what can be given up, finish the rest and go; twice to stop now.

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What the user's interrupts have asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    /// Finish what is being done and clean up.
    pub finish: CancellationToken,
    /// Stop at once.
    pub now: CancellationToken,
}

impl Interrupt {
    /// Listens for SIGINT, SIGTERM and SIGHUP until the returned set is dropped.
    pub(crate) fn listen() -> std::io::Result<(Self, JoinSet<()>)> {
        let this = Self::default();
        let mut interrupts = signal(SignalKind::interrupt())?;
        let mut terminations = signal(SignalKind::terminate())?;
        let mut hangups = signal(SignalKind::hangup())?;
        let tokens = this.clone();
        let mut listener = JoinSet::new();
        listener.spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupts.recv() => {}
                    _ = terminations.recv() => {}
                    _ = hangups.recv() => {}
                }
                if tokens.finish.is_cancelled() {
                    tokens.now.cancel();
                } else {
                    tokens.finish.cancel();
                }
            }
        });
        Ok((this, listener))
    }
}
