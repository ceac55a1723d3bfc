//! What a failed test leaves behind: every object of its cluster, events among them, as YAML.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use mwctl_apiserver::registry::{ListOptions, Target};
use mwctl_apiserver::server::Server;
use serde_json::Value;

/// Writes all objects to a folder and says where; a failure to do so is said as well, and hides no other failure.
#[expect(
    clippy::print_stderr,
    reason = "the author of a failed test reads it there"
)]
pub(crate) fn keep(server: &Server, test: &str) {
    let folder = std::env::temp_dir()
        .join("mwctl-testing")
        .join(format!("{test}-{}", std::process::id()));
    match write(&objects(server), &folder) {
        Ok(path) => eprintln!(
            "mwctl-testing: the cluster's objects are in {}",
            path.display()
        ),
        Err(error) => eprintln!("mwctl-testing: the cluster's objects are lost: {error}"),
    }
}

/// All objects, in the order of discovery.
fn objects(server: &Server) -> Vec<Value> {
    let registry = server.api().registry();
    let mut objects = Vec::new();
    for resource in &registry.schema().resources {
        let gvk = &resource.gvk;
        let Some(resource) = registry.resource(&gvk.group, &gvk.version, &resource.plural) else {
            continue;
        };
        let target = Target {
            resource,
            namespace: String::new(),
            name: String::new(),
            subresource: String::new(),
        };
        // What isn't stored can't be listed, as access reviews.
        if let Ok(page) = registry.list(&target, &ListOptions::default()) {
            objects.extend(page.objects.iter().map(|object| legible(object.value())));
        }
    }
    objects
}

/// Without the record of who owns which field, which hides everything else.
fn legible(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object
        .pointer_mut("/metadata")
        .and_then(Value::as_object_mut)
    {
        metadata.shift_remove("managedFields");
    }
    object
}

fn write(objects: &[Value], folder: &Path) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join("objects.yaml");
    let mut file = std::fs::File::create(&path)?;
    for object in objects {
        let text = serde_yaml::to_string(object).map_err(io::Error::other)?;
        write!(file, "---\n{text}")?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_is_kept_once() {
        let server = Server::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = write(&objects(&server), folder.path()).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.matches("\n  name: kube-system\n").count(), 1, "{text}");
    }
}
