//! What one JSON patch may cost. Honest patches never notice; without it a body of a few kilobytes could make an object of gigabytes, or one
//! so deep that walking it overflows the stack.

use super::Failed;
use super::pointer::Pointer;
use serde_json::Value;

/// As deep as JSON from a client may be (the limit of the parser), so that patching makes nothing that could not have been sent.
const DEEPEST: usize = 128;

/// Upstream's limit for everything that `copy` duplicates: the limit of a request's body.
const COPIED: usize = 3 << 20;

/// Values visited or shifted by moving things about; far above what an honest patch needs, and still well below a second.
const STEPS: usize = 20_000_000;

/// What is left to spend.
#[derive(Debug)]
pub(super) struct Budget {
    copied: usize,
    steps: usize,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            copied: COPIED,
            steps: STEPS,
        }
    }

    /// Pays for a duplicate of `value`.
    pub(super) fn copy(&mut self, value: &Value) -> Result<(), Failed> {
        self.copied = self.copied.checked_sub(weight(value)).ok_or(Failed)?;
        Ok(())
    }

    /// Pays for that many steps.
    pub(super) fn step(&mut self, steps: usize) -> Result<(), Failed> {
        self.steps = self.steps.checked_sub(steps).ok_or(Failed)?;
        Ok(())
    }

    /// Checks that `value` is not too deep to stand at `path`.
    pub(super) fn nest(&mut self, path: &Pointer<'_>, value: &Value) -> Result<(), Failed> {
        let mut visited = 0;
        let depth = depth(value, &mut visited);
        self.step(visited)?;
        if path.len() + depth > DEEPEST {
            return Err(Failed);
        }
        Ok(())
    }
}

fn depth(value: &Value, visited: &mut usize) -> usize {
    *visited += 1;
    match value {
        Value::Array(items) => {
            1 + items
                .iter()
                .map(|item| depth(item, visited))
                .max()
                .unwrap_or(0)
        }
        Value::Object(map) => {
            1 + map
                .values()
                .map(|item| depth(item, visited))
                .max()
                .unwrap_or(0)
        }
        _ => 0,
    }
}

/// About as many bytes as the JSON has.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => 2 + text.len(),
        Value::Array(items) => 2 + items.iter().map(|item| 1 + weight(item)).sum::<usize>(),
        Value::Object(map) => {
            2 + map
                .iter()
                .map(|(key, item)| 4 + key.len() + weight(item))
                .sum::<usize>()
        }
        _ => 4,
    }
}
