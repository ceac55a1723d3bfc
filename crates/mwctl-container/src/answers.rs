//! Who waits for what the zygote says.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use mwctl_zygote::protocol::{End, Failure};
use tokio::sync::{oneshot, watch};

/// What became of an order: the process that it began, as the zygote numbers it, and the files that came back.
pub(crate) type Reply = (Result<Option<i32>, Failure>, Vec<OwnedFd>);

#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<u64, oneshot::Sender<Reply>>,
    ends: HashMap<u64, watch::Sender<Option<End>>>,
    over: bool,
}

impl Answers {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the answer to an order. The zygote's end ends the wait.
    pub(crate) fn expect(&self, order: u64) -> oneshot::Receiver<Reply> {
        let (tx, rx) = oneshot::channel();
        let mut state = self.state();
        if !state.over {
            state.waiting.insert(order, tx);
        }
        rx
    }

    /// Waits for the end of the process that an order starts.
    pub(crate) fn expect_end(&self, order: u64) -> watch::Receiver<Option<End>> {
        let (tx, rx) = watch::channel(None);
        let mut state = self.state();
        if !state.over {
            state.ends.insert(order, tx);
        }
        rx
    }

    /// An order is answered. False: nobody waits for what it started.
    pub(crate) fn done(&self, order: u64, reply: Reply) -> bool {
        let failed = reply.0.is_err();
        let mut state = self.state();
        if failed {
            state.ends.remove(&order);
        }
        let waiting = state.waiting.remove(&order);
        waiting.is_some_and(|waiting| waiting.send(reply).is_ok()) || failed
    }

    pub(crate) fn ended(&self, order: u64, end: End) {
        if let Some(waiting) = self.state().ends.remove(&order) {
            waiting.send_replace(Some(end));
        }
    }

    /// Nothing will be answered any more.
    pub(crate) fn over(&self) {
        let mut state = self.state();
        state.over = true;
        state.waiting.clear();
        state.ends.clear();
    }
}
