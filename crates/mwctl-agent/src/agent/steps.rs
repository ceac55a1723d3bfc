//! Whether a dependency step is necessary. The decision is a function of values; the hash of the
//! inputs is taken from the tree by the caller.

use serde::{Deserialize, Serialize};

use crate::protocol::Hash;

/// How the dependency step stands, kept in the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StepRecord {
    /// The dependencies fit inputs of this hash.
    Clean(Hash),
    /// A step was begun and didn't succeed, or the container ended under it.
    Dirty,
}

/// What to do about a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Necessity {
    /// Run it.
    Run,
    /// The dependencies fit.
    Skip,
    /// Nothing is known yet and nothing was touched: the image's dependencies fit its own inputs.
    SkipAndRemember,
}

/// Decides from the record, the hash of the inputs as they are now, and whether this update changed
/// one of them.
pub(crate) fn necessity(
    force: bool,
    record: Option<StepRecord>,
    touched: bool,
    inputs: Hash,
) -> Necessity {
    match record {
        _ if force => Necessity::Run,
        Some(StepRecord::Clean(known)) if known == inputs => Necessity::Skip,
        Some(_) => Necessity::Run,
        None if touched => Necessity::Run,
        None => Necessity::SkipAndRemember,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_container_runs_it_only_if_an_input_differs_from_the_image() {
        let inputs = Hash::of(b"1");
        assert_eq!(
            necessity(false, None, false, inputs),
            Necessity::SkipAndRemember
        );
        assert_eq!(necessity(false, None, true, inputs), Necessity::Run);
    }

    #[test]
    fn it_runs_again_until_it_succeeded_for_these_inputs() {
        let (old, new) = (Hash::of(b"1"), Hash::of(b"2"));
        assert_eq!(
            necessity(false, Some(StepRecord::Clean(old)), true, new),
            Necessity::Run
        );
        assert_eq!(
            necessity(false, Some(StepRecord::Dirty), false, new),
            Necessity::Run
        );
        assert_eq!(
            necessity(false, Some(StepRecord::Clean(new)), true, new),
            Necessity::Skip
        );
    }

    #[test]
    fn force_always_runs_it() {
        let inputs = Hash::of(b"1");
        let clean = Some(StepRecord::Clean(inputs));
        assert_eq!(necessity(true, clean, false, inputs), Necessity::Run);
    }
}
