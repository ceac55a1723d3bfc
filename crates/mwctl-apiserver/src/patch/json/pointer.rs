//! RFC 6901 pointers, with the indices that the Kubernetes API allows, and the four things done at the end of one.

use super::Failed;
use super::budget::Budget;
use serde_json::Value;
use std::borrow::Cow;

/// A parsed pointer.
#[derive(Debug)]
pub(super) struct Pointer<'a> {
    steps: Vec<Cow<'a, str>>,
}

impl<'a> Pointer<'a> {
    /// Parses `/a/b~1c`; the empty text is the whole document.
    pub(super) fn parse(text: &'a str) -> Result<Self, Failed> {
        if text.is_empty() {
            return Ok(Self { steps: Vec::new() });
        }
        let text = text.strip_prefix('/').ok_or(Failed)?;
        let steps = text.split('/').map(unescape).collect();
        Ok(Self { steps })
    }

    /// How many steps lead there.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// What is there. A missing last step is nothing, a missing way to it a failure.
    pub(super) fn get<'v>(&self, document: &'v Value) -> Result<Option<&'v Value>, Failed> {
        let Some((last, way)) = self.steps.split_last() else {
            return Ok(Some(document));
        };
        let parent = way
            .iter()
            .try_fold(document, |value, step| child(value, step).ok_or(Failed))?;
        match parent {
            Value::Object(_) | Value::Array(_) => Ok(child(parent, last)),
            _ => Err(Failed),
        }
    }

    /// Puts `value` there: a new field, or a new item before the one that is there.
    pub(super) fn add(
        &self,
        document: &mut Value,
        value: Value,
        budget: &mut Budget,
    ) -> Result<(), Failed> {
        let Some((last, parent)) = self.parent(document)? else {
            *document = value;
            return Ok(());
        };
        match parent {
            Value::Object(map) => {
                map.insert(last.to_owned(), value);
            }
            Value::Array(items) => {
                let at = if last == "-" {
                    items.len()
                } else {
                    index(last, items.len() + 1)?
                };
                budget.step(items.len() - at)?;
                items.insert(at, value);
            }
            _ => return Err(Failed),
        }
        Ok(())
    }

    /// Puts `value` there instead of what is there.
    pub(super) fn replace(&self, document: &mut Value, value: Value) -> Result<(), Failed> {
        let Some((last, parent)) = self.parent(document)? else {
            *document = value;
            return Ok(());
        };
        match parent {
            Value::Object(map) => {
                map.insert(last.to_owned(), value);
            }
            Value::Array(items) => {
                let at = index(last, items.len())?;
                items[at] = value;
            }
            _ => return Err(Failed),
        }
        Ok(())
    }

    /// Takes away what is there.
    pub(super) fn remove(
        &self,
        document: &mut Value,
        budget: &mut Budget,
    ) -> Result<Value, Failed> {
        let (last, parent) = self.parent(document)?.ok_or(Failed)?;
        match parent {
            Value::Object(map) => {
                budget.step(map.len())?;
                map.shift_remove(last).ok_or(Failed)
            }
            Value::Array(items) => {
                let at = index(last, items.len())?;
                budget.step(items.len() - at)?;
                Ok(items.remove(at))
            }
            _ => Err(Failed),
        }
    }

    /// The last step and what it is taken from; nothing for the whole document.
    fn parent<'v>(&self, document: &'v mut Value) -> Result<Option<(&str, &'v mut Value)>, Failed> {
        let Some((last, way)) = self.steps.split_last() else {
            return Ok(None);
        };
        let parent = way.iter().try_fold(document, |value, step| match value {
            Value::Object(map) => map.get_mut(step.as_ref()).ok_or(Failed),
            Value::Array(items) => {
                let at = index(step, items.len())?;
                Ok(&mut items[at])
            }
            _ => Err(Failed),
        })?;
        Ok(Some((last, parent)))
    }
}

fn unescape(step: &str) -> Cow<'_, str> {
    if step.contains('~') {
        Cow::Owned(step.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(step)
    }
}

fn child<'v>(value: &'v Value, step: &str) -> Option<&'v Value> {
    match value {
        Value::Object(map) => map.get(step),
        Value::Array(items) => items.get(index(step, items.len()).ok()?),
        _ => None,
    }
}

/// The place that `step` means among `count`; -1 is the last.
fn index(step: &str, count: usize) -> Result<usize, Failed> {
    let at: i64 = step.parse().map_err(|_| Failed)?;
    let at = if at < 0 { at + count as i64 } else { at };
    usize::try_from(at)
        .ok()
        .filter(|at| *at < count)
        .ok_or(Failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tilde_stands_for_itself_and_for_the_slash() {
        let document = json!({"a/b": {"m~n": 1, "~1": 2}});
        let at = |text| {
            Pointer::parse(text)
                .unwrap()
                .get(&document)
                .unwrap()
                .cloned()
        };
        assert_eq!(at("/a~1b/m~0n"), Some(json!(1)));
        assert_eq!(at("/a~1b/~01"), Some(json!(2)));
        assert_eq!(at("/a~1b/nope"), None);
    }

    #[test]
    fn an_index_counts_from_either_end_and_stays_inside() {
        assert_eq!(index("1", 3).ok(), Some(1));
        assert_eq!(index("-1", 3).ok(), Some(2));
        for outside in ["3", "-4", "x", "", "99999999999999999999"] {
            assert!(index(outside, 3).is_err(), "{outside}");
        }
    }
}
