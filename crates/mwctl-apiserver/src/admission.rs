//! What other objects of the cluster have to say about a new one: a pod gets its class's priority, a claim its storage class, all get the
//! limits of their namespace and must fit into its quotas. Pure: those other objects are arguments, which the registry looks up. Who may
//! write, and what pods may do to their node, is `access`'s.

pub(crate) mod amounts;
pub(crate) mod classes;
pub(crate) mod limits;
pub(crate) mod quota;

use serde_json::{Map, Value};

/// The items of a list; none where there is no list.
fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A pod's containers of these lists, to be changed.
fn containers<'a>(spec: &'a mut Value, lists: &'a [&str]) -> impl Iterator<Item = &'a mut Value> {
    let fields = spec.as_object_mut().into_iter().flat_map(Map::iter_mut);
    fields
        .filter(move |(name, _)| lists.contains(&name.as_str()))
        .filter_map(|(_, list)| list.as_array_mut())
        .flatten()
}
