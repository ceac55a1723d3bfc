//! A pod as the checks look at it, and the phrases in which they tell who is at fault.

use serde_json::Value;

/// A pod: its own settings, and its containers of all three kinds.
pub(super) struct Pod<'p> {
    pub(super) metadata: &'p Value,
    pub(super) spec: &'p Value,
    /// First those that run before the others.
    pub(super) containers: Vec<Container<'p>>,
}

/// One container.
#[derive(Clone, Copy)]
pub(super) struct Container<'p> {
    pub(super) name: &'p str,
    pub(super) value: &'p Value,
}

/// Who is at fault.
#[derive(Default)]
pub(super) struct Culprits<'p> {
    pub(super) pod: bool,
    pub(super) containers: Vec<&'p str>,
}

impl<'p> Pod<'p> {
    pub(super) fn new(metadata: &'p Value, spec: &'p Value) -> Self {
        let kinds = ["initContainers", "containers", "ephemeralContainers"];
        let containers = kinds.into_iter().flat_map(|kind| items(&spec[kind]));
        let containers = containers.map(|value| Container {
            name: value["name"].as_str().unwrap_or_default(),
            value,
        });
        Self {
            metadata,
            spec,
            containers: containers.collect(),
        }
    }

    /// The pod's own security context.
    pub(super) fn security(&self) -> &'p Value {
        &self.spec["securityContext"]
    }

    /// Some rules are about Linux alone.
    pub(super) fn is_windows(&self) -> bool {
        self.spec["os"]["name"] == "windows"
    }

    /// The pod and the containers whose security context is at fault.
    pub(super) fn culprits(&self, at_fault: impl Fn(&'p Value) -> bool) -> Culprits<'p> {
        Culprits {
            pod: at_fault(self.security()),
            containers: self.containers_where(|container| at_fault(container.security())),
        }
    }

    /// The names of the containers that are at fault.
    pub(super) fn containers_where(
        &self,
        at_fault: impl Fn(Container<'p>) -> bool,
    ) -> Vec<&'p str> {
        let at_fault = self
            .containers
            .iter()
            .filter(|container| at_fault(**container));
        at_fault.map(|container| container.name).collect()
    }
}

impl<'p> Container<'p> {
    /// The container's own security context.
    pub(super) fn security(self) -> &'p Value {
        &self.value["securityContext"]
    }
}

impl Culprits<'_> {
    pub(super) fn is_none(&self) -> bool {
        !self.pod && self.containers.is_empty()
    }

    /// `pod and containers "a", "b"`.
    pub(super) fn told(&self) -> String {
        self.told_with(None)
    }

    /// The same, with something else that is at fault too.
    pub(super) fn told_with(&self, other: Option<&str>) -> String {
        let pod = self.pod.then(|| "pod".to_owned());
        let containers = (!self.containers.is_empty()).then(|| containers(&self.containers));
        let told: Vec<String> = pod
            .into_iter()
            .chain(containers)
            .chain(other.map(str::to_owned))
            .collect();
        told.join(" and ")
    }
}

/// `container "a"`, or `containers "a", "b"`.
pub(super) fn containers(names: &[&str]) -> String {
    format!("{} {}", plural("container", names.len()), quoted(names))
}

/// `"a", "b"`.
pub(super) fn quoted(texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<String> = texts
        .iter()
        .map(|text| format!("\"{}\"", text.as_ref()))
        .collect();
    texts.join(", ")
}

/// The noun for one or for several.
pub(super) fn plural(noun: &str, count: usize) -> String {
    if count == 1 {
        noun.to_owned()
    } else {
        format!("{noun}s")
    }
}

/// `uses` of one, `use` of several.
pub(super) fn uses(count: usize) -> &'static str {
    if count == 1 { "uses" } else { "use" }
}

/// Sorted, each once.
pub(super) fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    items
        .into_iter()
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// The items of a list; none of what is no list.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
