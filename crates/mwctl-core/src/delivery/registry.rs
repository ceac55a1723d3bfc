//! A registry between this machine and a cluster's nodes: how both call it, and what a cluster says of it.
//!
//! Nothing is asked or sent here.

use std::net::IpAddr;

use serde::Deserialize;

use crate::manifest::LOCAL_IMAGES;

/// Below this, the registry has the images that are made here; what else is in it is somebody else's.
const FOLDER: &str = "mwctl";

/// A registry by the names that the two sides have for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Registry {
    host: String,
    on_nodes: String,
    help: Option<String>,
}

/// What a cluster says of its registry.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Advertised {
    /// The registry; `None` where nothing outside the cluster can push to it.
    pub registry: Option<Registry>,
    /// Where it is told how to have one, and what to do when it fails.
    pub help: Option<String>,
}

/// What a cluster says of its registry can't be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unread {
    /// It is no YAML, or of another form.
    #[error("it can't be read: {0}")]
    Form(String),
    /// It names a place that is none.
    #[error("its `{field}` is no registry: {source}")]
    Place {
        /// Which of its values.
        field: &'static str,
        /// Why.
        source: BadPlace,
    },
}

/// A text that names no registry.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadPlace {
    /// It is an URL.
    #[error("`{0}` has a scheme: write the host and port alone, such as `localhost:5001`")]
    Scheme(String),
    /// Without a dot, a port or `localhost`, a name is read as one of Docker Hub's.
    #[error("`{0}` would be read as a name at Docker Hub: write its port, as in `{0}:5000`")]
    Ambiguous(String),
    /// It isn't one for other reasons.
    #[error("`{0}` isn't a host with a port, such as `localhost:5001`")]
    Form(String),
}

/// The document of KEP-1755. What else stands there is for others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    host_from_container_runtime: Option<String>,
    #[serde(default)]
    help: Option<String>,
}

/// Reads what a cluster says of its registry.
pub fn read(text: &str) -> Result<Advertised, Unread> {
    let document: Option<Document> =
        serde_yaml::from_str(text).map_err(|error| Unread::Form(error.to_string()))?;
    let Some(document) = document else {
        return Ok(Advertised::default());
    };
    let said = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let help = said(document.help);
    let on_nodes = said(document.host_from_container_runtime);
    let Some(host) = said(document.host) else {
        return Ok(Advertised {
            registry: None,
            help,
        });
    };
    let place = |field, text: &str| place(text).map_err(|source| Unread::Place { field, source });
    let host = place("host", &host)?;
    let on_nodes = match on_nodes {
        Some(on_nodes) => place("hostFromContainerRuntime", &on_nodes)?,
        None => host.clone(),
    };
    Ok(Advertised {
        registry: Some(Registry {
            host,
            on_nodes,
            help: help.clone(),
        }),
        help,
    })
}

impl Registry {
    /// The registry that this machine calls `host`, and the nodes `on_nodes`, where they call it something else.
    pub fn new(host: &str, on_nodes: Option<&str>, help: Option<String>) -> Result<Self, BadPlace> {
        let host = place(host)?;
        Ok(Self {
            on_nodes: on_nodes.map_or_else(|| Ok(host.clone()), place)?,
            host,
            help,
        })
    }

    /// How this machine calls it, with what all names in it begin with.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Where this machine speaks to it, as in `localhost:5001`.
    pub fn address(&self) -> &str {
        self.host.split('/').next().unwrap_or_default()
    }

    /// Where it is told what to do when it fails.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Under which name an image that was made here is pushed; another one keeps its name.
    pub fn pushed(&self, made: &str) -> String {
        within(&self.host, made)
    }

    /// By which name a pod asks for it.
    pub fn named(&self, made: &str) -> String {
        within(&self.on_nodes, made)
    }

    /// The name under which an image was made that a pod asks for by this one.
    pub fn made(&self, named: &str) -> Option<String> {
        let rest = named.strip_prefix(&self.on_nodes)?;
        let rest = rest.strip_prefix('/')?.strip_prefix(FOLDER)?;
        let rest = rest.strip_prefix('/')?;
        Some(format!("{LOCAL_IMAGES}{rest}"))
    }
}

fn within(place: &str, made: &str) -> String {
    match made.strip_prefix(LOCAL_IMAGES) {
        Some(rest) => format!("{place}/{FOLDER}/{rest}"),
        None => made.to_owned(),
    }
}

/// Whether a host, with or without its port, is this machine itself. Docker speaks to such registries without
/// certificates, and so does everybody who writes guides for them.
pub fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let name = host.eq_ignore_ascii_case("localhost") || host.ends_with(".localhost");
    name || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A host with its port, and perhaps what names in it begin with.
fn place(text: &str) -> Result<String, BadPlace> {
    let text = text.trim();
    if text.contains("://") {
        return Err(BadPlace::Scheme(text.to_owned()));
    }
    let wrong = || BadPlace::Form(text.to_owned());
    let trimmed = text.strip_suffix('/').unwrap_or(text);
    let mut parts = trimmed.split('/');
    let address = parts.next().unwrap_or_default();
    let (host, port) = match address.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    };
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let host_fits = host.split('.').all(|label| {
        let ends = |letter: Option<char>| letter.is_some_and(|it| it.is_ascii_alphanumeric());
        let inner = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        ends(label.chars().next()) && ends(label.chars().last()) && label.chars().all(inner)
    });
    // What references may have between their slashes, but for its rarer separators.
    let path_fits = |part: &str| {
        let ends = |letter: Option<char>| {
            letter.is_some_and(|it| it.is_ascii_lowercase() || it.is_ascii_digit())
        };
        let inner = |letter: char| ends(Some(letter)) || "-_.".contains(letter);
        ends(part.chars().next())
            && ends(part.chars().last())
            && part.chars().all(inner)
            && !part.contains("..")
    };
    if !port_fits || !host_fits || !parts.all(path_fits) {
        return Err(wrong());
    }
    if port.is_none() && !host.contains('.') && host != "localhost" {
        return Err(BadPlace::Ambiguous(host.to_owned()));
    }
    Ok(trimmed.to_owned())
}
