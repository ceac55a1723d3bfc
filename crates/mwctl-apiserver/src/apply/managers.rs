//! `metadata.managedFields`: the managers of an object, each with its set of fields.

use super::fields::FieldSet;
use super::typed::Type;
use serde_json::{Map, Value, json};

/// As many managers of updates as upstream keeps: enough for the controllers of an object, and few enough that a client which calls itself
/// otherwise each time doesn't make it grow.
const MOST_UPDATERS: usize = 10;

/// The manager that stands for those of updates long ago.
const ANCIENT: &str = "ancient-changes";

/// Every manager of an object.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Managers {
    pub(super) entries: Vec<Entry>,
}

/// What one manager owns by one kind of write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) manager: String,
    pub(super) operation: Operation,
    pub(super) api_version: String,
    /// Empty for the object itself.
    pub(super) subresource: String,
    /// When its set last changed by a write of its own; empty if nobody noted it.
    pub(super) time: String,
    pub(super) fields: FieldSet,
}

/// How the fields came to be owned. Upstream lists applies first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

impl Managers {
    /// Reads `managedFields`. An entry that makes no sense is nobody's.
    pub(super) fn read(value: &Value) -> Self {
        let entries = value.as_array().map_or(&[] as &[Value], Vec::as_slice);
        Self {
            entries: entries.iter().filter_map(Entry::read).collect(),
        }
    }

    /// The managers before an update that says itself who they were, or else leaves them as they are.
    ///
    /// A list with one empty entry clears them all. A list that says nothing, as that of a client which never saw one, changes nothing.
    pub(super) fn wanted(wanted: Option<&Value>, known: Option<&Value>) -> Self {
        if let Some(Value::Array(entries)) = wanted {
            if let [Value::Object(entry)] = entries.as_slice()
                && entry.is_empty()
            {
                return Self::default();
            }
            let wanted = entries.iter().map(Entry::read).collect::<Option<Vec<_>>>();
            if let Some(entries) = wanted.filter(|entries| !entries.is_empty()) {
                return Self { entries };
            }
        }
        known.map(Self::read).unwrap_or_default()
    }

    /// Takes out the entry of one manager.
    pub(super) fn take(
        &mut self,
        manager: &str,
        operation: Operation,
        api_version: &str,
        subresource: &str,
    ) -> Option<Entry> {
        let place = self.entries.iter().position(|entry| {
            entry.operation == operation
                && entry.manager == manager
                && entry.api_version == api_version
                && entry.subresource == subresource
        })?;
        Some(self.entries.remove(place))
    }

    /// Takes fields from everybody.
    pub(super) fn subtract(&mut self, fields: &FieldSet) {
        if fields.is_empty() {
            return;
        }
        for entry in &mut self.entries {
            entry.fields.subtract(fields);
        }
    }

    /// Takes from everybody what the object doesn't have.
    pub(super) fn forget_missing(&mut self, ty: Type<'_>, object: &Value) {
        for entry in &mut self.entries {
            entry.fields.retain_existing(ty, object);
        }
    }

    /// The value of `managedFields`; none when nobody owns anything.
    pub(super) fn write(mut self) -> Option<Value> {
        self.entries.retain(|entry| !entry.fields.is_empty());
        if self.entries.is_empty() {
            return None;
        }
        self.entries.sort_by(|a, b| a.order().cmp(&b.order()));
        self.join_ancient();
        Some(self.entries.iter().map(Entry::write).collect())
    }
}

impl Managers {
    /// Makes one of the oldest updates of a version, where there are too many. The entries are sorted: updates come last, the oldest first.
    fn join_ancient(&mut self) {
        let first = self
            .entries
            .partition_point(|entry| entry.operation == Operation::Apply);
        let updates = self.entries.len() - first;
        if updates <= MOST_UPDATERS {
            return;
        }
        // One place is for the joined ones.
        let oldest = first + updates - MOST_UPDATERS + 1;
        let kept = self.entries.split_off(oldest);
        let mut joined: Vec<Entry> = Vec::new();
        for entry in self.entries.drain(first..) {
            match joined
                .iter_mut()
                .find(|other| other.api_version == entry.api_version)
            {
                Some(other) => {
                    other.fields.union(&entry.fields);
                    other.time = entry.time;
                }
                None => joined.push(Entry {
                    manager: ANCIENT.to_owned(),
                    subresource: String::new(),
                    ..entry
                }),
            }
        }
        self.entries.extend(joined);
        self.entries.extend(kept);
    }
}

impl Entry {
    fn read(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let owned = |name: &str| text(name).unwrap_or_default().to_owned();
        Some(Self {
            manager: owned("manager"),
            operation: match text("operation")? {
                "Apply" => Operation::Apply,
                "Update" => Operation::Update,
                _ => return None,
            },
            api_version: owned("apiVersion"),
            subresource: owned("subresource"),
            time: owned("time"),
            fields: value
                .get("fieldsV1")
                .map_or(Some(FieldSet::default()), FieldSet::decode)?,
        })
    }

    fn write(&self) -> Value {
        let mut entry = Map::with_capacity(7);
        let mut put = |name: &str, value: &str| {
            if !value.is_empty() {
                entry.insert(name.to_owned(), json!(value));
            }
        };
        put("manager", &self.manager);
        put(
            "operation",
            match self.operation {
                Operation::Apply => "Apply",
                Operation::Update => "Update",
            },
        );
        put("apiVersion", &self.api_version);
        put("time", &self.time);
        put("fieldsType", "FieldsV1");
        entry.insert("fieldsV1".to_owned(), self.fields.encode());
        if !self.subresource.is_empty() {
            entry.insert("subresource".to_owned(), json!(self.subresource));
        }
        Value::Object(entry)
    }

    fn order(&self) -> (Operation, &str, &str, &str, &str) {
        (
            self.operation,
            &self.time,
            &self.manager,
            &self.api_version,
            &self.subresource,
        )
    }
}
