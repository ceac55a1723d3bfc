//! What a controller is: two pure functions, one from changes to keys, one from a key to actions. The table of all of them is here.

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;

use crate::action::Action;
use crate::observed::{Change, Key, Kind, Observed};
use crate::options::Settings;

/// What a decision may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Everything known.
    pub observed: &'a Observed,
    /// What the caller has chosen.
    pub settings: &'a Settings,
    /// The time.
    pub now: Timestamp,
}

/// A controller.
#[derive(Debug)]
pub struct Controller {
    /// Its name, also the component in its events.
    pub name: &'static str,
    /// The kinds whose whole objects it reads.
    pub reads: &'static [Kind],
    /// Whether it reads the metadata of every other kind, too.
    pub traces_all: bool,
    /// Which keys a change makes it look at again.
    pub wakes: fn(&Change, &Observed) -> Vec<Key>,
    /// What is to be done about a key.
    pub reconcile: fn(&Context<'_>, &Key) -> Vec<Action>,
}

/// The kinds that any of these controllers reads.
pub(crate) fn kinds_read(controllers: &[&'static Controller]) -> BTreeSet<Kind> {
    (controllers.iter())
        .flat_map(|controller| controller.reads.iter().copied())
        .collect()
}
