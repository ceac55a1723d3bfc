//! A service upon a base, from which images are made.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use mwctl_core::model::Build;
use mwctl_engine::command::ProcessRunner;
use mwctl_engine::image::base::LocalLayout;
use mwctl_engine::image::{Bases, Builder, Built, Cache, Request};
use mwctl_engine::images::oci::architecture;
use mwctl_engine::progress::silent;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) struct Source {
    folder: tempfile::TempDir,
    pub(crate) builder: Builder,
}

impl Source {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bases = Bases::new(vec![Arc::new(LocalLayout)]);
        let cache = Cache::new(folder.path().join("cache"));
        let runner = Arc::new(ProcessRunner::new());
        let builder = Builder::new(cache, runner, bases, architecture());
        let source = Self { folder, builder };
        source.write_base();
        std::fs::create_dir(source.path("source")).unwrap();
        source
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A base of two layers, of which the upper one deletes a file of the lower.
    fn write_base(&self) {
        let layout = self.path("base");
        let put = |bytes: &[u8], kind: &str| -> Value {
            let hash = hex::encode(Sha256::digest(bytes));
            let folder = layout.join("blobs/sha256");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(&hash), bytes).unwrap();
            let kind = format!("application/vnd.oci.image.{kind}");
            json!({"mediaType": kind, "digest": format!("sha256:{hash}"), "size": bytes.len()})
        };
        let layer = |files: &[(&str, &str)]| {
            let mut archive = tar::Builder::new(Vec::new());
            for (name, content) in files {
                let mut header = tar::Header::new_ustar();
                header.set_mode(0o644);
                header.set_uid(0);
                header.set_gid(0);
                header.set_mtime(0);
                header.set_size(content.len() as u64);
                archive
                    .append_data(&mut header, name, content.as_bytes())
                    .unwrap();
            }
            put(&archive.into_inner().unwrap(), "layer.v1.tar")
        };
        let layers = [
            layer(&[("etc/one", "1"), ("etc/two", "2")]),
            layer(&[("etc/.wh.one", ""), ("etc/three", "3")]),
        ];
        let diff_ids: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
        let config = json!({
            "architecture": architecture(), "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created_by": "one"}, {"created_by": "two"}],
        });
        let config = put(config.to_string().as_bytes(), "config.v1+json");
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config, "layers": layers,
        });
        let manifest = put(manifest.to_string().as_bytes(), "manifest.v1+json");
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        std::fs::write(layout.join("index.json"), index.to_string()).unwrap();
    }

    /// The image of a service with this content.
    pub(crate) async fn built(&self, service: &str, content: &str) -> Built {
        std::fs::write(self.path("source/server.js"), content).unwrap();
        let recipe = Build {
            file: None,
            base: format!("oci-layout:{}", self.path("base").display()),
            directory: "/srv/service".to_owned(),
            user: 1000,
            owner: 1000,
            entrypoint: vec!["/run".to_owned()],
            environment: BTreeMap::new(),
            exclude: Vec::new(),
            dependencies: None,
        };
        let request = Request {
            service,
            source: &self.path("source"),
            build: &recipe,
            rules: None,
        };
        self.builder.image(request, &silent).await.unwrap()
    }
}
