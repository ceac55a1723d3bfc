//! What a client needs to know of a server, as a kubeconfig.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Address, authority and token of a server.
#[derive(Clone)]
pub struct Kubeconfig {
    /// Such as `https://127.0.0.1:6443`.
    pub server: String,
    /// The authority that signed the server's certificate, as PEM.
    pub authority: String,
    /// The bearer token, which is a secret.
    pub token: String,
    /// The store from which the cluster's node takes images, where it has one that runs containers.
    pub images: Option<PathBuf>,
}

impl std::fmt::Debug for Kubeconfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Kubeconfig")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Kubeconfig {
    /// The text of the file, in which cluster, user and context have this name.
    pub fn text(&self, name: &str) -> String {
        let authority = STANDARD.encode(&self.authority);
        // By this `mwctl` knows the cluster for this machine's own; others pass over it.
        let mut own = json!({"provider": "embedded"});
        if let Some(images) = &self.images {
            own["images"] = json!(images);
        }
        let document = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": name,
            "clusters": [{"name": name, "cluster": {
                "server": self.server,
                "certificate-authority-data": authority,
                "extensions": [{"name": "mwctl", "extension": own}],
            }}],
            "users": [{"name": name, "user": {"token": self.token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
        });
        format!("{document:#}\n")
    }

    /// Writes the file, which only its owner may read and which must not be there yet.
    pub fn write(&self, path: &Path, name: &str) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(self.text(name).as_bytes())
    }
}
