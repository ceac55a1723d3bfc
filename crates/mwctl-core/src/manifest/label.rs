//! Names, labels and annotations: how objects are called and how they are found again.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::model::{Container, Service, Stack};

/// The label that says who manages an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY`], of `heritage`, and the field manager of server-side apply.
pub const MANAGER: &str = "mwctl";
/// The label that says which stack an object belongs to.
pub const PART_OF: &str = "app.kubernetes.io/part-of";
/// The label that says which service an object belongs to.
pub const NAME: &str = "app.kubernetes.io/name";
/// The label that says which checkout an object was deployed from.
pub const WORKTREE: &str = "mwctl/worktree";
/// The label that says which form a workload or a pod has: see [`Form`].
pub const FORM: &str = "mwctl/form";
/// The label of objects that serve `mwctl` itself rather than a service.
pub const ROLE: &str = "mwctl/role";
/// The label of objects that were described elsewhere and belong to no service.
pub const RAW: &str = "mwctl/manifest";
/// The annotation with the hash of what was applied last.
pub const APPLIED: &str = "mwctl/applied";

/// The longest label value, port-free object name and container name.
const MAX_LENGTH: usize = 63;

/// What a pod is for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Form {
    /// As described.
    Planned,
    /// Being worked on: the agent is the first process.
    Develop,
    /// A fresh pod that runs the tests.
    Test,
}

impl Form {
    /// The value of the label [`FORM`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Develop => "develop",
            Self::Test => "test",
        }
    }

    /// The form that a value of the label [`FORM`] stands for.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Planned, Self::Develop, Self::Test]
            .into_iter()
            .find(|form| form.as_str() == text)
    }
}

/// What a service's objects are called: `<service>-<release>`; also its host name in the cluster.
pub fn object_name(stack: &Stack, service: &Service) -> String {
    shorten(&format!("{}-{}", service.name, stack.release))
}

/// What a container is called in the pod: the main one like the object, a helper with its own name
/// behind that, or with its own name alone.
pub fn container_name(stack: &Stack, service: &Service, container: &Container) -> String {
    let object = object_name(stack, service);
    if container.name == service.main.name {
        object
    } else if container.plain_name {
        container.name.clone()
    } else {
        shorten(&format!("{object}-{}", container.name))
    }
}

/// Any text as the value of a label: itself where it is one, else made of what is legal in it and a
/// hash that keeps it unlike others.
pub fn label_value(text: &str) -> String {
    let edge = |c: char| c.is_ascii_alphanumeric();
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.len() <= MAX_LENGTH
        && text.chars().all(legal)
        && text.starts_with(edge)
        && text.ends_with(edge)
    {
        return text.to_owned();
    }
    let kept: String = text
        .chars()
        .map(|c| if legal(c) { c } else { '_' })
        .collect();
    // The end of a path says more than its start.
    let tail: String = kept.chars().skip(kept.len().saturating_sub(40)).collect();
    let tail = tail.trim_matches(|c: char| !edge(c));
    format!(
        "{}-{}",
        if tail.is_empty() { "x" } else { tail },
        hash(text)
    )
}

/// The labels of an object that belongs to the stack as a whole.
pub(super) fn stack_labels(stack: &Stack, worktree: &str) -> BTreeMap<String, String> {
    [
        (MANAGED_BY, MANAGER.to_owned()),
        (PART_OF, stack.name.to_string()),
        (WORKTREE, label_value(worktree)),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// The labels of an object that belongs to a service.
pub(super) fn object_labels(
    stack: &Stack,
    service: &Service,
    worktree: &str,
) -> BTreeMap<String, String> {
    let mut labels = stack_labels(stack, worktree);
    let chart = match &service.version {
        // As Helm does: `+`, which versions may contain and labels may not, becomes `_`.
        Some(version) => label_value(&format!("{}-{}", service.name, version.replace('+', "_"))),
        None => service.name.to_string(),
    };
    for (key, value) in [
        ("app", service.name.to_string()),
        ("chart", chart),
        ("release", stack.release.clone()),
        ("heritage", MANAGER.to_owned()),
        (NAME, service.name.to_string()),
    ] {
        labels.insert(key.to_owned(), value);
    }
    labels
}

/// The labels of a service's pods. The version and the checkout are left out: a change of those alone
/// must not replace a pod.
pub(super) fn pod_labels(stack: &Stack, service: &Service, form: Form) -> BTreeMap<String, String> {
    let mut labels = selector(stack, service);
    for (key, value) in [
        ("routed_via", stack.release.as_str()),
        (MANAGED_BY, MANAGER),
        (PART_OF, stack.name.as_str()),
        (NAME, service.name.as_str()),
        (FORM, form.as_str()),
    ] {
        labels.insert(key.to_owned(), value.to_owned());
    }
    labels
}

/// What a Deployment finds its pods by.
pub(super) fn selector(stack: &Stack, service: &Service) -> BTreeMap<String, String> {
    [
        ("app".to_owned(), service.name.to_string()),
        ("release".to_owned(), stack.release.clone()),
    ]
    .into()
}

/// What a Service finds its pods by: a second release may share the first one's Service.
pub(super) fn route(stack: &Stack, service: &Service) -> BTreeMap<String, String> {
    [
        ("app".to_owned(), service.name.to_string()),
        ("routed_via".to_owned(), stack.release.clone()),
    ]
    .into()
}

/// A name that fits; a hash stands for what had to go.
pub(super) fn shorten(name: &str) -> String {
    if name.len() <= MAX_LENGTH {
        return name.to_owned();
    }
    let kept: String = name.chars().take(MAX_LENGTH - 9).collect();
    format!("{}-{}", kept.trim_end_matches('-'), hash(name))
}

/// Eight characters that stand for a text.
pub(super) fn hash(text: &str) -> String {
    hex::encode(&Sha256::digest(text.as_bytes())[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_value_is_always_legal_and_keeps_what_is_legal_already() {
        assert_eq!(label_value("mathoid-0.7.6"), "mathoid-0.7.6");
        for odd in [
            "",
            "/home/me/src",
            "-",
            "a-",
            &"ä".repeat(80),
            &"x".repeat(64),
        ] {
            let value = label_value(odd);
            assert!(value.len() <= MAX_LENGTH, "{value}");
            assert!(
                value
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            );
            assert!(
                value.starts_with(|c: char| c.is_ascii_alphanumeric()),
                "{value}"
            );
            assert!(
                value.ends_with(|c: char| c.is_ascii_alphanumeric()),
                "{value}"
            );
        }
        assert_ne!(label_value("/a/b"), label_value("/a_b"));
    }

    #[test]
    fn a_long_name_is_cut_but_stays_unlike_its_neighbours() {
        let (one, two) = ("a".repeat(70) + "1", "a".repeat(70) + "2");
        assert!(shorten(&one).len() <= MAX_LENGTH);
        assert_ne!(shorten(&one), shorten(&two));
    }
}
