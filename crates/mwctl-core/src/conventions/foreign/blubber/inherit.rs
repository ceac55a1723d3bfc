//! What a variant has with everything that it includes.
//!
//! The top level, then each included variant (what it includes first, each once, in the listed order), then
//! the variant itself. Single values replace where they say something; packages, sources, proxies and copies
//! are appended; maps of arguments and variables are joined; lists and commands of builders are replaced
//! whole. Source: Blubber v1.8, `config/dependency_graph.go` and the `Merge` functions of `config/*.go`.

use super::super::super::node::{Entry, Node, Tree};

/// The builders of which a list holds at most one each.
const PREDEFINED: [&str; 3] = ["node", "php", "python"];

/// The expanded variant, or the names of a cycle.
pub(super) fn expand(top: &Node, variants: &[Entry], name: &str) -> Result<Node, Vec<String>> {
    let mut order = Vec::new();
    visit(variants, name, &mut Vec::new(), &mut order)?;
    let mut expanded = Node::empty(top.at.clone());
    if let Tree::Map(entries) = &top.tree {
        let common = entries
            .iter()
            .filter(|entry| !matches!(entry.key.as_str(), "version" | "variants"));
        expanded.tree = Tree::Map(common.cloned().collect());
        // The list of packages is written in two ways, of which only one can be joined.
        expanded = merge(&Node::empty(top.at.clone()), &expanded);
    }
    for name in order {
        if let Some(entry) = variants.iter().find(|entry| entry.key == name) {
            expanded = merge(&expanded, &entry.value);
            expanded.at = entry.at.clone();
        }
    }
    Ok(expanded)
}

/// The variant after everything it includes.
fn visit(
    variants: &[Entry],
    name: &str,
    path: &mut Vec<String>,
    order: &mut Vec<String>,
) -> Result<(), Vec<String>> {
    if let Some(start) = path.iter().position(|other| other == name) {
        let mut cycle = path[start..].to_vec();
        cycle.push(name.to_owned());
        return Err(cycle);
    }
    if order.iter().any(|done| done == name) {
        return Ok(());
    }
    path.push(name.to_owned());
    let entry = variants.iter().find(|entry| entry.key == name);
    let includes = entry.and_then(|entry| entry.value.get("includes"));
    for include in includes.map(Node::items).unwrap_or_default() {
        if let Some(include) = include.text() {
            visit(variants, include, path, order)?;
        }
    }
    path.pop();
    order.push(name.to_owned());
    Ok(())
}

fn merge(base: &Node, over: &Node) -> Node {
    let mut merged = base.entries().to_vec();
    for entry in over.entries() {
        if entry.key == "includes" {
            continue;
        }
        let under = base.get(&entry.key);
        let value = match entry.key.as_str() {
            "copies" => append_copies(under, &entry.value),
            "apt" => apt(under, &entry.value),
            "builders" => builders(under, &entry.value),
            "lives" | "runs" | "arguments" | "node" | "php" | "python" | "builder" => {
                section(under, &entry.value)
            }
            // An empty entrypoint takes the included one away.
            "entrypoint" => entry.value.clone(),
            _ if is_nothing(&entry.value) => continue,
            _ => entry.value.clone(),
        };
        set(&mut merged, entry, value);
    }
    Node {
        at: over.at.clone(),
        tree: Tree::Map(merged),
    }
}

fn set(entries: &mut Vec<Entry>, entry: &Entry, value: Node) {
    let entry = Entry {
        value,
        ..entry.clone()
    };
    match entries.iter_mut().find(|other| other.key == entry.key) {
        Some(other) => *other = entry,
        None => entries.push(entry),
    }
}

/// What replaces nothing: no value, an empty text, zero.
fn is_nothing(node: &Node) -> bool {
    match &node.tree {
        Tree::Null => true,
        Tree::Text(text) => text.is_empty(),
        Tree::Number(number) => number.as_u64() == Some(0),
        _ => false,
    }
}

/// Keys replace, maps below them are joined.
fn section(base: Option<&Node>, over: &Node) -> Node {
    let mut merged = base.map_or(Vec::new(), |base| base.entries().to_vec());
    for entry in over.entries() {
        if is_nothing(&entry.value) {
            continue;
        }
        let under = base.and_then(|base| base.get(&entry.key));
        let value = match (&entry.value.tree, under) {
            (Tree::Map(_), Some(under)) => section(Some(under), &entry.value),
            _ => entry.value.clone(),
        };
        set(&mut merged, entry, value);
    }
    Node {
        at: over.at.clone(),
        tree: Tree::Map(merged),
    }
}

fn joined(base: Option<&Node>, over: &Node) -> Node {
    let mut items = base.map_or(Vec::new(), |base| base.items().to_vec());
    items.extend(over.items().iter().cloned());
    Node {
        at: over.at.clone(),
        tree: Tree::List(items),
    }
}

fn append_copies(base: Option<&Node>, over: &Node) -> Node {
    let mut node = joined(base, over);
    if let Tree::List(items) = &mut node.tree {
        // Of the same copy the later one stays: its place in the order counts.
        let values: Vec<_> = items.iter().map(|item| item.value(true)).collect();
        let mut index = 0;
        items.retain(|_| {
            index += 1;
            !values[index..].contains(&values[index - 1])
        });
    }
    node
}

/// Packages by release, sources and proxies are appended; a plain list of packages is of no release.
fn apt(base: Option<&Node>, over: &Node) -> Node {
    let mut merged = base.map_or(Vec::new(), |base| base.entries().to_vec());
    for entry in over.entries() {
        let under = base.and_then(|base| base.get(&entry.key));
        let value = if entry.key == "packages" {
            packages(under, &entry.value)
        } else {
            joined(under, &entry.value)
        };
        set(&mut merged, entry, value);
    }
    Node {
        at: over.at.clone(),
        tree: Tree::Map(merged),
    }
}

fn packages(base: Option<&Node>, over: &Node) -> Node {
    let listed = matches!(over.tree, Tree::List(_));
    let by_release = if listed {
        vec![Entry {
            key: "default".to_owned(),
            at: over.at.clone(),
            value: over.clone(),
        }]
    } else {
        over.entries().to_vec()
    };
    let mut merged = base.map_or(Vec::new(), |base| base.entries().to_vec());
    for entry in &by_release {
        let under = base.and_then(|base| base.get(&entry.key));
        set(&mut merged, entry, joined(under, &entry.value));
    }
    Node {
        at: over.at.clone(),
        tree: Tree::Map(merged),
    }
}

/// The included builders come first; a predefined one that both have is merged, at the includer's place.
fn builders(base: Option<&Node>, over: &Node) -> Node {
    let kind = |node: &Node| node.entries().first().map(|entry| entry.key.clone());
    let predefined = |kind: &str| PREDEFINED.contains(&kind);
    let base = base.map_or(Vec::new(), |base| base.items().to_vec());
    let own = over.items();
    let both = |node: &Node| {
        let kind = kind(node).filter(|kind| predefined(kind))?;
        own.iter().find(|it| it.get(&kind).is_some())?;
        Some(kind)
    };
    let mut items: Vec<Node> = base
        .iter()
        .filter(|it| both(it).is_none())
        .cloned()
        .collect();
    for item in own {
        let kind = kind(item).filter(|kind| predefined(kind));
        let under = kind.as_ref().and_then(|kind| {
            let mut under = base.iter().filter_map(|it| it.get(kind));
            under.next()
        });
        let mut item = item.clone();
        if let (Some(under), Tree::Map(entries)) = (under, &mut item.tree) {
            for entry in entries {
                entry.value = section(Some(under), &entry.value);
            }
        }
        items.push(item);
    }
    Node {
        at: over.at.clone(),
        tree: Tree::List(items),
    }
}
