//! What containers use of the processors and of memory, looked up when somebody asks. Nothing is counted in between: a rate is two looks.
//!
//! Where a container has a group that counts, that says so. Elsewhere its processes do, which are found below `/proc` as children of the
//! first process; whoever may not see them finds none, and nothing is told of such a container.

mod group;
mod processes;

use std::time::Duration;

use crate::{Running, Runtime};
use processes::Seen;

/// What a container uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The processors' time since it began.
    pub processors: Duration,
    /// Memory that can't be had back at once, in bytes.
    pub memory: u64,
}

impl Runtime {
    /// What each of these uses; none where that can't be told, or it has ended. It reads files: not for a thread that others wait for.
    pub fn usage(&self, containers: &[Running]) -> Vec<Option<Usage>> {
        // A machine has more processes than a cluster has containers: they are looked at only if they have to be, and once.
        let mut seen: Option<Seen> = None;
        let lives = |container: &&Running| container.end().is_none();
        let mut use_of = |container: &Running| {
            let counted = group::usage(container.group());
            if let (Some(processors), Some(memory)) = counted {
                return Some(Usage { processors, memory });
            }
            let seen = seen.get_or_insert_with(|| Seen::look(self.launcher()));
            let mut usage = seen.usage(container.pid()?)?;
            // Each of the two is told by who counts it.
            usage.processors = counted.0.unwrap_or(usage.processors);
            usage.memory = counted.1.unwrap_or(usage.memory);
            Some(usage)
        };
        (containers.iter())
            .map(|container| Some(container).filter(lives).and_then(&mut use_of))
            .collect()
    }
}
