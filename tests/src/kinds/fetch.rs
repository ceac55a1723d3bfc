//! Asks an API server and reads files: the one place of the generator that has effects to wait for.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;

use super::{Sources, discovery, go};

const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const JSON: &str = "application/json";

/// Everything that the server of this kubeconfig tells (of the usual one without).
pub async fn sources(kubeconfig: Option<&Path>) -> Result<Sources, Box<dyn Error>> {
    let config = match kubeconfig {
        Some(path) => {
            let read = Kubeconfig::read_from(path)?;
            kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?
        }
        None => kube::Config::infer().await?,
    };
    let client = kube::Client::try_from(config)?;

    let version = get(&client, "/version", JSON).await?;
    let discovery = vec![
        get(&client, "/api", DISCOVERY).await?,
        get(&client, "/apis", DISCOVERY).await?,
    ];
    let index = get(&client, "/openapi/v3", JSON).await?;
    let mut documents = Vec::new();
    for at in index["paths"]
        .as_object()
        .into_iter()
        .flat_map(|paths| paths.values())
    {
        let at = at["serverRelativeURL"].as_str().unwrap_or_default();
        documents.push(get(&client, at, JSON).await?);
    }
    let mut tables = BTreeMap::new();
    for resource in discovery::resources(&discovery) {
        if resource.verbs.iter().any(|verb| verb == "list") {
            let path = discovery::path(&resource);
            let table = get(&client, &format!("{path}?limit=1"), TABLE).await?;
            tables.insert(path, table);
        }
    }
    Ok(Sources {
        version: version["gitVersion"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        documents,
        discovery,
        tables,
        protos: Vec::new(),
        declarations: Vec::new(),
    })
}

async fn get(client: &kube::Client, path: &str, accept: &str) -> Result<Value, Box<dyn Error>> {
    let request = http::Request::get(path)
        .header("accept", accept)
        .body(Vec::new())?;
    let text = client
        .request_text(request)
        .await
        .map_err(|error| format!("cannot get {path}: {error}"))?;
    Ok(serde_json::from_str(&text)?)
}

/// A folder of a Go module, and how `OpenAPI` calls its packages.
#[derive(Debug)]
pub struct Module {
    /// The folder.
    pub folder: PathBuf,
    /// What the names of its packages begin with, such as `io.k8s.api`.
    pub name: String,
}

fn ends(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// Reads the declarations of a module: `.proto` files, and the Go files that types are declared in.
pub fn declarations(module: &Module, sources: &mut Sources) -> Result<(), Box<dyn Error>> {
    let entries = std::fs::read_dir(&module.folder)
        .map_err(|error| format!("cannot read {}: {error}", module.folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            let below = Module {
                name: format!("{}.{name}", module.name),
                folder: path,
            };
            declarations(&below, sources)?;
        } else if ends(&path, "proto") {
            sources.protos.push(std::fs::read_to_string(&path)?);
        } else if name.starts_with("types") && ends(&path, "go") {
            sources.declarations.push(go::Source {
                package: module.name.clone(),
                text: std::fs::read_to_string(&path)?,
            });
        }
    }
    Ok(())
}
