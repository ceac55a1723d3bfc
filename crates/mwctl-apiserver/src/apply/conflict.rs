//! Who else wants a field to be otherwise, and how that is told.

use super::fields::FieldSet;
use super::managers::{Entry, Managers, Operation};
use crate::status::{Cause, Status};

/// One field that one other manager owns with another value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    /// `"a" with subresource "scale" using apps/v1`.
    who: String,
    /// `.spec.replicas`.
    path: String,
}

/// The conflicts of an apply that changes the leaves in `contested`.
pub(super) fn conflicts(managers: &Managers, contested: &FieldSet) -> Vec<Conflict> {
    if contested.is_empty() {
        return Vec::new();
    }
    let mut conflicts: Vec<Conflict> = managers
        .entries
        .iter()
        .flat_map(|entry| {
            let who = who(entry);
            let paths = entry.fields.intersection(contested).paths();
            paths.into_iter().map(move |path| Conflict {
                who: who.clone(),
                path,
            })
        })
        .collect();
    conflicts.sort_by(|a, b| a.who.cmp(&b.who));
    conflicts
}

/// The refusal, with a cause for each conflict.
pub(super) fn refusal(conflicts: &[Conflict]) -> Status {
    let causes = conflicts.iter().map(|conflict| Cause {
        reason: "FieldManagerConflict",
        message: format!("conflict with {}", conflict.who),
        field: conflict.path.clone(),
    });
    Status::new(409, "Conflict", message(conflicts)).because(causes.collect())
}

fn message(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!(
            "Apply failed with 1 conflict: conflict with {}: {}",
            only.who, only.path
        );
    }
    let told = conflicts.chunk_by(|a, b| a.who == b.who).map(|of_one| {
        let paths = of_one
            .iter()
            .map(|conflict| format!("\n- {}", conflict.path));
        format!(
            "conflicts with {}:{}",
            of_one[0].who,
            paths.collect::<String>()
        )
    });
    format!(
        "Apply failed with {} conflicts: {}",
        conflicts.len(),
        told.collect::<Vec<_>>().join("\n")
    )
}

fn who(entry: &Entry) -> String {
    let part = match entry.subresource.as_str() {
        "" => String::new(),
        name => format!(" with subresource {name:?}"),
    };
    let version = match entry.operation {
        Operation::Apply => String::new(),
        Operation::Update => format!(" using {}", entry.api_version),
    };
    format!("{:?}{part}{version}", entry.manager)
}
