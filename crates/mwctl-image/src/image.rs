//! An image that is ready to be run: what it does by itself, and the folders that are its files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::digest::Digest;
use crate::host;
use crate::oci::Configuration;
use crate::reference::Reference;
use crate::store::{Pin, Record, Store, StoreError};

/// An image that can be mounted as it lies. As long as it lives, its layers stay.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its reference, whole.
    pub reference: Reference,
    /// The digest of its manifest.
    pub digest: Digest,
    /// What it does by itself.
    pub config: Config,
    /// Its files.
    pub root: Root,
    /// Held, not read.
    pub(crate) _pin: Option<Arc<Pin>>,
}

/// The files of an image.
#[derive(Clone, Debug)]
pub enum Root {
    /// Folders in overlay form, the lowest first, each once, all in one folder: mounted from
    /// there, their names alone fit into the options of a mount. At least one.
    Layers(Vec<PathBuf>),
    /// This machine's own programs (see [`crate::HOST`]), and over them folders as in
    /// [`Root::Layers`], of which there may be none.
    Host(Vec<PathBuf>),
}

/// What an image does by itself.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Its entrypoint.
    pub entrypoint: Vec<String>,
    /// The arguments of the entrypoint, or the command where there is none.
    pub command: Vec<String>,
    /// Its variables, in order.
    pub environment: Vec<(String, String)>,
    /// `USER`, `USER:GROUP`, by name or number; empty for root.
    pub user: String,
    /// Its working directory; `/` where it names none.
    pub directory: String,
    /// The ports that it says it listens on.
    pub ports: Vec<Port>,
    /// Folders that want a volume.
    pub volumes: Vec<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The signal that ends it, as `SIGTERM` or a number, where it names one.
    pub stop_signal: Option<String>,
}

/// A port of an image.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

impl Config {
    pub(crate) fn read(configuration: &Configuration) -> Self {
        let config = configuration.config.as_ref().unwrap_or(&Value::Null);
        let text = |key: &str| config[key].as_str().unwrap_or_default().to_owned();
        let words = |key: &str| -> Vec<String> {
            let list = config[key].as_array().into_iter().flatten();
            list.filter_map(|word| word.as_str().map(str::to_owned))
                .collect()
        };
        let keys = |key: &str| -> Vec<String> {
            let map = config[key].as_object().into_iter().flatten();
            map.map(|(key, _)| key.clone()).collect()
        };
        let mut ports: Vec<Port> = keys("ExposedPorts")
            .iter()
            .filter_map(|text| port(text))
            .collect();
        ports.sort();
        let directory = text("WorkingDir");
        Self {
            entrypoint: words("Entrypoint"),
            command: words("Cmd"),
            environment: words("Env")
                .iter()
                .filter_map(|pair| pair.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            user: text("User"),
            directory: if directory.is_empty() {
                "/".to_owned()
            } else {
                directory
            },
            ports,
            volumes: keys("Volumes"),
            labels: config["Labels"]
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect(),
            stop_signal: Some(text("StopSignal")).filter(|signal| !signal.is_empty()),
        }
    }
}

/// `80/tcp`, or `80`.
fn port(text: &str) -> Option<Port> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    Some(Port {
        number: number.parse().ok()?,
        protocol: protocol.to_owned(),
    })
}

impl Store {
    /// Finds an image that is in the store, and unpacks what isn't unpacked yet.
    ///
    /// Blocks while it unpacks. [`StoreError::NoImage`] where the reference means nothing here.
    pub fn resolve(&self, reference: &Reference) -> Result<Image, StoreError> {
        if let Some(image) = host::named(reference) {
            return Ok(image);
        }
        let _using = self.using()?;
        let record = self.record(reference)?;
        let record = record.ok_or_else(|| StoreError::NoImage(reference.to_string()))?;
        self.image(&record)
    }

    /// The image of a record. Called while the store is in use.
    fn image(&self, record: &Record) -> Result<Image, StoreError> {
        let documents = self.documents(&record.manifest)?;
        let pin = self.pin(&documents.names())?;
        let laid = self.laid(&documents)?;
        let layers = documents.layers().into_iter();
        let folders: Vec<PathBuf> = layers.map(|index| laid[index].clone()).collect();
        let config = Config::read(&documents.configuration);
        let root = if host::is_below(&record.reference, &config) {
            Root::Host(folders)
        } else if folders.is_empty() {
            Root::Layers(vec![self.nothing()?])
        } else {
            Root::Layers(folders)
        };
        Ok(Image {
            reference: record.reference.clone(),
            digest: record.manifest.clone(),
            config,
            root,
            _pin: Some(Arc::new(pin)),
        })
    }
}
