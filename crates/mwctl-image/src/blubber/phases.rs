//! From one merged variant to a stage: Blubber's phases, in their order.
//!
//! Privileged → privileges dropped → before the installation → installation → after it. An
//! image from scratch has no accounts, and of all this only what is copied and what is run.

use serde_json::{Map, Value};

use super::{builders, merge};
use crate::plan::{Action, Base, Copy, Origin, Owner, Stage, Step};

/// Where dependencies go that several languages share.
const LIBRARIES: &str = "/opt/lib";
const PROXIES: &str = "/etc/apt/apt.conf.d/99blubber-proxies";
const SOURCES: &str = "/etc/apt/sources.list.d/99blubber.list";

/// A variant as its phases see it.
pub(super) struct Variant<'a> {
    pub(super) keys: &'a Map<String, Value>,
    /// All variants of the file.
    names: &'a [&'a str],
    pub(super) steps: Vec<Step>,
}

/// Makes the stage of a merged variant.
pub(super) fn stage(keys: &Map<String, Value>, name: &str, names: &[&str]) -> Stage {
    let mut variant = Variant {
        keys,
        names,
        steps: Vec::new(),
    };
    let base = text(keys.get("base"));
    if base.is_empty() {
        variant.copies(None);
        variant.entrypoint();
    } else {
        variant.privileged();
        variant.privileges_dropped();
        builders::install(&mut variant);
        variant.copies(Some(&lives_owner()));
        variant.after();
        variant.entrypoint();
    }
    variant.add(Action::Label {
        name: "blubber.variant".to_owned(),
        value: name.to_owned(),
    });
    variant.add(Action::Label {
        name: "blubber.version".to_owned(),
        value: env!("CARGO_PKG_VERSION").to_owned() + "+mwctl",
    });
    Stage {
        name: name.to_owned(),
        base: if base.is_empty() {
            Base::Scratch
        } else if names.contains(&base.as_str()) {
            Base::Stage(base)
        } else {
            Base::Image(base)
        },
        steps: variant.steps,
    }
}

/// A text, or a number as one; nothing is empty.
pub(super) fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

pub(super) fn list(value: Option<&Value>) -> &[Value] {
    value
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

pub(super) fn is_set(value: Option<&Value>) -> bool {
    value.and_then(Value::as_bool).unwrap_or_default()
}

impl Variant<'_> {
    pub(super) fn add(&mut self, action: Action) {
        self.steps.push(action.into());
    }

    pub(super) fn environment(&mut self, name: &str, value: impl Into<String>) {
        let variable = (name.to_owned(), value.into());
        self.add(Action::Environment(vec![variable]));
    }

    /// Runs a command of ours, in which nothing is replaced.
    pub(super) fn shell(&mut self, command: impl Into<String>) {
        self.add(Action::Run(crate::plan::Run {
            words: vec!["/bin/sh".to_owned(), "-c".to_owned(), command.into()],
            ..crate::plan::Run::default()
        }));
    }

    fn inner(&self, section: &str, key: &str) -> Option<&Value> {
        self.keys.get(section)?.get(key)
    }

    pub(super) fn lives_in(&self) -> String {
        text(self.inner("lives", "in"))
    }

    /// What a `from` means.
    pub(super) fn origin(&self, from: &str) -> Origin {
        if from == "local" {
            Origin::Local
        } else if self.names.contains(&from) {
            Origin::Stage(from.to_owned())
        } else {
            Origin::Image(from.to_owned())
        }
    }

    fn privileged(&mut self) {
        self.add(Action::User("0".to_owned()));
        self.environment("HOME", "/root");
        let arguments = self.keys.get("arguments").and_then(Value::as_object);
        let mut arguments: Vec<(String, String)> = arguments
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), text(Some(value))))
            .collect();
        arguments.sort();
        for (name, value) in arguments {
            self.argument(name, value);
        }
        self.apt();
        for (section, prefix) in [("lives", "LIVES"), ("runs", "RUNS")] {
            for key in ["as", "uid", "gid"] {
                let value = text(self.inner(section, key));
                self.argument(format!("{prefix}_{}", key.to_uppercase()), value);
            }
            self.add(Action::Account {
                name: format!("${{{prefix}_AS}}"),
                uid: format!("${{{prefix}_UID}}"),
                gid: format!("${{{prefix}_GID}}"),
            });
            if section == "lives" {
                for path in [self.lives_in(), LIBRARIES.to_owned()] {
                    let owner = lives_owner();
                    self.add(Action::Folder { path, owner });
                }
            }
        }
    }

    fn argument(&mut self, name: String, default: String) {
        let default = Some(default);
        self.add(Action::Argument { name, default });
    }

    fn apt(&mut self) {
        let Some(apt) = self.keys.get("apt") else {
            return;
        };
        let mut packages: Vec<(String, Vec<String>)> = merge::packages(apt.get("packages"))
            .into_iter()
            .map(|(release, names)| {
                let names = list(Some(&names)).iter().map(|name| text(Some(name)));
                (release, names.collect())
            })
            .filter(|(_, names): &(String, Vec<String>)| !names.is_empty())
            .collect();
        packages.sort();
        if packages.is_empty() {
            return;
        }
        self.environment("DEBIAN_FRONTEND", "noninteractive");
        let proxies = proxies(list(apt.get("proxies")));
        if !proxies.is_empty() {
            self.file(PROXIES, &proxies);
        }
        let (sources, keyrings) = sources(list(apt.get("sources")));
        for (path, key) in keyrings {
            self.file(&path, &key);
        }
        if !sources.is_empty() {
            // Sources may be reached by TLS only.
            self.shell("apt-get update && apt-get install -y ca-certificates");
            self.file(SOURCES, &sources);
        }
        let mut command = "apt-get update".to_owned();
        for (release, names) in packages {
            let release = match release.as_str() {
                "default" => String::new(),
                release => format!("\"-t\" \"{release}\" "),
            };
            let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
            command = format!(
                "{command} && apt-get install -y {release}{}",
                names.join(" ")
            );
        }
        command += " && rm -rf /var/lib/apt/lists/*";
        if !proxies.is_empty() {
            command = format!("{command} && rm -f {PROXIES}");
        }
        self.shell(command);
    }

    fn file(&mut self, path: &str, text: &str) {
        self.add(Action::File {
            path: path.to_owned(),
            text: text.to_owned(),
        });
    }

    fn become_user(&mut self, prefix: &str) {
        self.add(Action::User(format!("${{{prefix}_UID}}")));
        self.environment("HOME", format!("/home/${{{prefix}_AS}}"));
    }

    fn privileges_dropped(&mut self) {
        self.become_user("LIVES");
        self.add(Action::Directory {
            path: self.lives_in(),
            make: false,
        });
        let environment = self.inner("runs", "environment").and_then(Value::as_object);
        let environment: Vec<(String, String)> = environment
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), text(Some(value))))
            .collect();
        for (name, value) in environment {
            self.environment(&name, value);
        }
    }

    fn copies(&mut self, owner: Option<&Owner>) {
        for copy in list(self.keys.get("copies")).to_vec() {
            self.artifact(&copy, owner);
        }
    }

    /// Copies what an artifact names: a text stands for all of an origin.
    pub(super) fn artifact(&mut self, artifact: &Value, owner: Option<&Owner>) {
        let from = match artifact {
            Value::String(from) => from.clone(),
            other => text(other.get("from")),
        };
        let exclude: Vec<String> = list(artifact.get("exclude"))
            .iter()
            .map(|pattern| text(Some(pattern)))
            .collect();
        let source = text(artifact.get("source"));
        let destination = text(artifact.get("destination"));
        let origin = self.origin(&from);
        let pairs = if !source.is_empty() {
            let destination = if destination.is_empty() {
                source.clone()
            } else {
                destination
            };
            vec![(source, destination)]
        } else if origin == Origin::Local {
            vec![(".".to_owned(), ".".to_owned())]
        } else {
            let places = [self.lives_in(), LIBRARIES.to_owned()];
            places.map(|place| (place.clone(), place)).to_vec()
        };
        for (source, destination) in pairs {
            self.add(Action::Copy(Copy {
                origin: origin.clone(),
                sources: vec![source],
                destination,
                owner: owner.cloned(),
                mode: None,
                exclude: exclude.clone(),
                unpacks: false,
            }));
        }
    }

    fn after(&mut self) {
        if !is_set(self.inner("runs", "insecurely")) {
            self.become_user("RUNS");
        }
        builders::after(self);
        let path = text(self.inner("runs", "in"));
        let path = if path.is_empty() {
            self.lives_in()
        } else {
            path
        };
        self.add(Action::Directory { path, make: false });
    }

    fn entrypoint(&mut self) {
        if self.keys.contains_key("entrypoint") {
            let words = list(self.keys.get("entrypoint"));
            let words = words.iter().map(|word| text(Some(word))).collect();
            self.add(Action::Entrypoint(words));
            self.add(Action::Command(Vec::new()));
        }
    }
}

/// The owner of the application's files.
pub(super) fn lives_owner() -> Owner {
    Owner {
        user: "${LIVES_UID}".to_owned(),
        group: Some("${LIVES_GID}".to_owned()),
    }
}

fn proxies(proxies: &[Value]) -> String {
    let mut lines = String::new();
    for proxy in proxies {
        let (url, source) = match proxy {
            Value::String(url) => (url.clone(), String::new()),
            other => (text(other.get("url")), text(other.get("source"))),
        };
        // The scheme is that of what is fetched, not of the proxy.
        let about = if source.is_empty() { &url } else { &source };
        let (scheme, rest) = about.split_once("://").unwrap_or(("http", about));
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        let host = if source.is_empty() {
            String::new()
        } else {
            format!("::{host}")
        };
        lines = format!("{lines}Acquire::{scheme}::Proxy{host} \"{url}\";\n");
    }
    lines
}

/// The list of sources, and the keys that sign them by path.
fn sources(sources: &[Value]) -> (String, Vec<(String, String)>) {
    let mut lines = String::new();
    let mut keyrings = Vec::new();
    for source in sources {
        let key = text(source.get("signed-by"));
        let signed = if key.is_empty() {
            String::new()
        } else {
            let digest = crate::digest::Digest::of(key.as_bytes());
            let path = format!("/etc/apt/keyrings/{}.asc", digest.hex());
            let signed = format!("[signed-by={path}] ");
            keyrings.push((path, key));
            signed
        };
        let components = list(source.get("components"));
        let words = [source.get("url"), source.get("distribution")];
        let words = words.into_iter().chain(components.iter().map(Some));
        let words: Vec<String> = words.map(text).filter(|word| !word.is_empty()).collect();
        lines = format!("{lines}deb {signed}{}\n", words.join(" "));
    }
    (lines, keyrings)
}
