//! Lays one tree over another: maps key by key, everything else is replaced.
//!
//! A key without a value takes the key away, except where the value itself is data (`settings`,
//! `config.values`). Keys that exclude each other (`image` and `build`) replace each other.

use super::node::{Entry, Node, Tree};

/// The keys of which only one can count, by the path of their map.
fn alternatives(path: &[&str]) -> &'static [&'static str] {
    match path {
        ["container"] => &["image", "build"],
        ["source"] => &["path", "git", "npm", "pypi"],
        ["secrets", _] => &["value", "environment", "generate", "from"],
        ["container", "probes", _] | ["helpers", _, "probes", _] => &["http", "tcp", "exec"],
        _ => &[],
    }
}

/// The keys that exclude `key` in the map at `path`.
pub(crate) fn rivals<'a>(path: &[&str], key: &'a str) -> impl Iterator<Item = &'static str> + 'a {
    let keys = alternatives(path);
    let keys = if keys.contains(&key) { keys } else { &[] };
    keys.iter().copied().filter(move |other| *other != key)
}

pub(crate) fn is_data(path: &[impl AsRef<str>]) -> bool {
    let step = |index: usize| path.get(index).map(AsRef::as_ref);
    matches!(
        (step(0), step(1)),
        (Some("settings" | "patches"), _) | (Some("config"), Some("values"))
    )
}

/// Lays `over` over `base`. Keys without a value stay, to take away what a later base says.
pub(crate) fn lay(base: &mut Node, over: &Node) {
    lay_at(base, over, &mut Vec::new());
}

/// The tree without the keys that have no value, once all layers are merged.
pub(crate) fn settled(node: Node) -> Node {
    settle(node, &mut Vec::new())
}

fn settle(node: Node, path: &mut Vec<String>) -> Node {
    let Node { at, tree } = node;
    let Tree::Map(entries) = tree else {
        return Node { at, tree };
    };
    let kept = entries.into_iter().filter_map(|entry| {
        path.push(entry.key);
        let stays = entry.value.tree != Tree::Null || is_data(path);
        let value = stays.then(|| settle(entry.value, path));
        let key = path.pop()?;
        let (at, value) = (entry.at, value?);
        Some(Entry { key, at, value })
    });
    let tree = Tree::Map(kept.collect());
    Node { at, tree }
}

fn lay_at<'a>(base: &mut Node, over: &'a Node, path: &mut Vec<&'a str>) {
    let (Tree::Map(below), Tree::Map(entries)) = (&mut base.tree, &over.tree) else {
        base.clone_from(over);
        return;
    };
    base.at.clone_from(&over.at);
    let exclusive = alternatives(path);
    let given = |key: &&str| over.get(key).is_some_and(|node| node.tree != Tree::Null);
    if exclusive.iter().any(given) {
        below.retain(|entry| !exclusive.contains(&entry.key.as_str()) || given(&&*entry.key));
    }
    for entry in entries {
        match below.iter_mut().find(|other| other.key == entry.key) {
            Some(other) => {
                other.at.clone_from(&entry.at);
                path.push(&entry.key);
                lay_at(&mut other.value, &entry.value, path);
                path.pop();
            }
            None => below.push(entry.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::text::single;
    use super::*;

    fn merged(base: &str, over: &str) -> String {
        let read = |text| single(Path::new("a.yaml"), text).unwrap();
        let mut merged = read(base);
        lay(&mut merged, &read(over));
        settled(merged).value(true).to_string()
    }

    #[test]
    fn maps_merge_deeply_and_lists_are_replaced() {
        assert_eq!(
            merged("{a: {b: 1, c: [1, 2]}, d: 4}", "{a: {c: [3], e: 5}}"),
            r#"{"a":{"b":1,"c":[3],"e":5},"d":4}"#
        );
    }

    #[test]
    fn a_key_without_a_value_takes_it_away_but_not_in_data() {
        assert_eq!(
            merged("{a: {b: 1, c: 2}}", "{a: {b: , x: }}"),
            r#"{"a":{"c":2}}"#
        );
        assert_eq!(
            merged("{config: {values: {m: 1}}}", "{config: {values: {m: }}}"),
            r#"{"config":{"values":{"m":null}}}"#
        );
    }

    #[test]
    fn what_is_taken_away_stays_away_through_the_layers_above() {
        let read = |text| single(Path::new("a.yaml"), text).unwrap();
        let mut above = read("{a: {b: }}");
        lay(&mut above, &read("{a: {c: 1}}"));
        let mut all = read("{a: {b: 2, d: 3}}");
        lay(&mut all, &above);
        assert_eq!(
            settled(all).value(true).to_string(),
            r#"{"a":{"d":3,"c":1}}"#
        );
    }

    #[test]
    fn alternatives_replace_each_other() {
        assert_eq!(
            merged(
                "{container: {build: {base: x}, user: 1}}",
                "{container: {image: y}}"
            ),
            r#"{"container":{"user":1,"image":"y"}}"#
        );
        assert_eq!(
            merged("{source: {pypi: {package: x}}}", "{source: {path: ../x}}"),
            r#"{"source":{"path":"../x"}}"#
        );
        assert_eq!(
            merged(
                "{container: {probes: {readiness: {http: {path: /}, period: 1s}}}}",
                "{container: {probes: {readiness: {tcp: {}}}}}"
            ),
            r#"{"container":{"probes":{"readiness":{"period":"1s","tcp":{}}}}}"#
        );
        assert_eq!(
            merged(
                "{settings: {probes: {http: 1}}}",
                "{settings: {probes: {tcp: 2}}}"
            ),
            r#"{"settings":{"probes":{"http":1,"tcp":2}}}"#
        );
    }
}
