//! Whose an object in the cluster is. Only what is ours is changed or deleted.

use serde_json::Value;

use crate::manifest::{MANAGED_BY, MANAGER, PART_OF, WORKTREE, label_value};
use crate::model::Stack;
use crate::observed::label;

/// Who a plan is made for.
pub(super) struct Owner {
    stack: String,
    worktree: String,
}

/// Whose an object is.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Ownership {
    /// This stack's, from this checkout.
    Mine,
    /// This stack's, from another checkout.
    Worktree(String),
    /// Another stack's.
    Stack(String),
    /// Not made by `mwctl`.
    Foreign,
}

impl Owner {
    pub(super) fn new(stack: &Stack, worktree: &str) -> Self {
        Self {
            stack: stack.name.to_string(),
            worktree: label_value(worktree),
        }
    }

    pub(super) fn of(&self, object: &Value) -> Ownership {
        if label(object, MANAGED_BY) != Some(MANAGER) {
            return Ownership::Foreign;
        }
        match (label(object, PART_OF), label(object, WORKTREE)) {
            (Some(stack), _) if stack != self.stack => Ownership::Stack(stack.to_owned()),
            (Some(_), Some(worktree)) if worktree != self.worktree => {
                Ownership::Worktree(worktree.to_owned())
            }
            (Some(_), Some(_)) => Ownership::Mine,
            // Somebody copied one of our labels: not enough to delete it.
            _ => Ownership::Foreign,
        }
    }

    pub(super) fn owns(&self, object: &Value) -> bool {
        self.of(object) == Ownership::Mine
    }
}

impl Ownership {
    /// Whose it is, as the end of a sentence.
    pub(super) fn belongs(&self) -> String {
        match self {
            Self::Mine => "belongs to this stack".to_owned(),
            Self::Worktree(worktree) => format!("was deployed from another checkout: {worktree}"),
            Self::Stack(stack) => format!("belongs to the stack `{stack}`"),
            Self::Foreign => "was not made by `mwctl`".to_owned(),
        }
    }
}
