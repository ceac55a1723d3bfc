//! Commands of this machine that a change makes run: none of them twice at once, and again where files changed
//! meanwhile.

use std::collections::BTreeMap;

/// Those that run, and whether they are to run again.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Commands {
    running: BTreeMap<usize, bool>,
}

impl Commands {
    /// Those that begin now; what runs already has to run again.
    pub(super) fn due(&mut self, commands: Vec<usize>) -> Vec<usize> {
        let mut begin = Vec::new();
        for command in commands {
            if let Some(again) = self.running.get_mut(&command) {
                *again = true;
            } else {
                self.running.insert(command, false);
                begin.push(command);
            }
        }
        begin
    }

    /// One has ended; it comes back where it is to begin again.
    pub(super) fn ended(&mut self, command: usize) -> Vec<usize> {
        match self.running.remove(&command) {
            Some(true) => self.due(vec![command]),
            _ => Vec::new(),
        }
    }
}
