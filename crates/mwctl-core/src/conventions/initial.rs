//! The `mwctl.yaml` that a folder begins with: the shortest one, or one made from a Compose file or a chart.
//!
//! What has no key here is never dropped silently: it comes back as notes. The text is written anew, so
//! that comments of the original don't come along.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::document::{Document, Kind};
use super::explain::Explanation;
use super::foreign::{self, Note, Said, chart, compose};
use super::node::{Node, escape};
use super::schema::API_VERSION;
use crate::name;
use crate::problem::Problem;

/// A new `mwctl.yaml`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Initial {
    /// Its text.
    pub text: String,
    /// What of the original is left out.
    pub notes: Vec<Note>,
}

/// The shortest document for a repository that was recognised: it pins what would else be found again
/// each time.
pub fn shortest(explanation: &Explanation) -> Result<Initial, Vec<Problem>> {
    let document = json!({
        "apiVersion": API_VERSION,
        "kind": Kind::Service.name(),
        "name": explanation.service,
        "convention": explanation.convention,
    });
    written(&document, explanation.notes.clone())
}

/// A Stack from the text of a Compose file; `folder` names it, `shipped` are the conventions to choose from.
pub fn from_compose(
    file: &Path,
    text: &str,
    folder: &str,
    shipped: &[Document],
) -> Result<Initial, Vec<Problem>> {
    let services = compose::read(file, text)?;
    let mut notes = Vec::new();
    let mut entries = Map::new();
    let names: BTreeSet<&str> = services.iter().map(|it| it.name.as_str()).collect();
    for service in &services {
        let Some(own) = name::slug(&service.name) else {
            let told = format!(
                "the service `{}` has no name that Kubernetes takes",
                service.name
            );
            notes.push(Note::new(told, &service.at));
            continue;
        };
        let mut said = Said::new("compose", "", service.at.clone());
        compose::keys(&mut said, service);
        image(&mut said, service, shipped);
        volumes(&mut said, service);
        for need in service
            .needs
            .iter()
            .filter(|need| names.contains(need.service.as_str()))
        {
            let Some(needed) = name::slug(&need.service) else {
                continue;
            };
            // What runs to its end can't be waited for by being ready.
            said.need(&needed, need.condition, &need.at);
        }
        for other in &names {
            if let Some(ours) = name::slug(other) {
                said.hosts.push(((*other).to_owned(), ours));
            }
        }
        said.keep_needs(&|_| true);
        notes.append(&mut said.notes);
        entries.insert(own, ordered(said.keys.value(true)));
    }
    let name = name::slug(folder).unwrap_or_else(|| "stack".to_owned());
    let document = json!({
        "apiVersion": API_VERSION,
        "kind": Kind::Stack.name(),
        "name": name,
        "services": entries,
    });
    written(&document, notes)
}

/// What it is before what it does.
fn ordered(keys: Value) -> Value {
    match keys {
        Value::Object(map) => Value::Object(ordered_map(map)),
        other => other,
    }
}

fn ordered_map(mut keys: Map<String, Value>) -> Map<String, Value> {
    const FIRST: [&str; 6] = [
        "convention",
        "source",
        "facts",
        "replicas",
        "container",
        "config",
    ];
    let first = FIRST.iter().filter_map(|key| keys.shift_remove_entry(*key));
    let mut ordered: Map<String, Value> = first.collect();
    ordered.extend(keys);
    ordered
}

/// Where the service's container comes from: its own folder, a convention of the image's kind, or the image.
fn image(said: &mut Said, service: &compose::Service, shipped: &[Document]) {
    if let Some(context) = &service.context {
        let path = context.text().unwrap_or(".").trim_end_matches('/');
        let path = if path.is_empty() { "." } else { path };
        said.set("/source/path", foreign::text(path, &context.at));
        if let Some(port) = service.ports.first() {
            let mut candidate = Node::empty(port.at.clone());
            foreign::put(&mut candidate, "/value", port.clone());
            let tree = super::node::Tree::List(vec![candidate]);
            let at = port.at.clone();
            said.set("/facts/port", Node { at, tree });
        }
        return;
    }
    let Some(image) = &service.image else {
        said.note("it has neither `image` nor `build`", &service.at);
        return;
    };
    let kind = compose::kind(image.text().unwrap_or_default());
    let known = shipped.iter().any(|it| {
        it.kind() == Kind::Convention
            && it.name() == Some(&kind)
            && it.tree.pointer("/container/image").is_some()
    });
    said.set("/container/image", foreign::plain(image));
    if known {
        said.set("/convention", foreign::text(kind, &image.at));
        return;
    }
    let ports = service.ports.iter().enumerate().map(|(index, port)| {
        let mut item = Node::empty(port.at.clone());
        let name = if index == 0 {
            "main".to_owned()
        } else {
            format!("port-{index}")
        };
        foreign::put(&mut item, "/name", foreign::text(name, &port.at));
        foreign::put(&mut item, "/port", port.clone());
        item
    });
    let ports: Vec<Node> = ports.collect();
    if let Some(first) = ports.first() {
        let at = first.at.clone();
        let tree = super::node::Tree::List(ports);
        said.set("/container/ports", Node { at, tree });
    }
}

/// Named volumes keep their data; the size is ours.
fn volumes(said: &mut Said, service: &compose::Service) {
    let mut mounts = Vec::new();
    for volume in service.volumes.iter().filter(|volume| !volume.is_folder()) {
        let Some(source) = &volume.source else {
            continue;
        };
        let Some(named) = name::slug(source) else {
            continue;
        };
        let at = &volume.target.at;
        let size = format!("/volumes/{}/size", escape(&named));
        said.set(&size, foreign::text("1Gi", at));
        let mut mount = Node::empty(at.clone());
        foreign::put(&mut mount, "/volume", foreign::text(named, at));
        foreign::put(&mut mount, "/path", foreign::plain(&volume.target));
        mounts.push(mount);
    }
    if let Some(first) = mounts.first() {
        let at = first.at.clone();
        said.notes.retain(|note| note.text != compose::VOLUME);
        let tree = super::node::Tree::List(mounts);
        said.set("/container/mounts", Node { at, tree });
    }
}

/// A Service from the text of a chart's values.
pub fn from_chart(
    file: &Path,
    text: &str,
    service: &str,
    convention: Option<&str>,
) -> Result<Initial, Vec<Problem>> {
    let values = chart::read(file, text)?;
    if !chart::is_known(&values) {
        let problem = Problem::new("these values have neither `app` nor `main_app`")
            .hint("only charts of that structure can be converted");
        return Err(vec![problem.at(values.at.location())]);
    }
    let mut said = chart::keys("chart", &values);
    for (name, job) in std::mem::take(&mut said.jobs) {
        let told = format!("the cron job `{name}` is a service of its own: describe it in a Stack");
        said.note(told, &job.at);
    }
    let mut document = json!({
        "apiVersion": API_VERSION,
        "kind": Kind::Service.name(),
        "name": name::slug(service).unwrap_or_else(|| "service".to_owned()),
    });
    if let (Some(convention), Value::Object(map)) = (convention, &mut document) {
        map.insert("convention".to_owned(), json!(convention));
    }
    if let (Value::Object(map), Value::Object(keys)) = (&mut document, said.keys.value(true)) {
        let port = said.facts.iter().find(|(name, _)| name == "port");
        if let Some((_, port)) = port {
            map.insert(
                "facts".to_owned(),
                json!({ "port": [{ "value": port.value(true) }] }),
            );
        }
        map.extend(ordered_map(keys));
    }
    written(&document, said.notes)
}

fn written(document: &Value, mut notes: Vec<Note>) -> Result<Initial, Vec<Problem>> {
    notes.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
    notes.dedup();
    let text = serde_yaml::to_string(document)
        .map_err(|error| vec![Problem::new(format!("the file can't be written: {error}"))])?;
    Ok(Initial { text, notes })
}

#[cfg(test)]
mod tests;
