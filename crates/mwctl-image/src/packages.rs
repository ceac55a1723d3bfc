//! The packages of an image's distribution, as its own records say: nothing of the image is run.
//!
//! Known are dpkg (also in the form that images without dpkg itself have) and apk. What a language's package
//! manager installed is not meant: its lock file lies in the service's repository.

use std::collections::BTreeMap;
use std::path::Path;

use crate::debian;
use crate::image::Root;
use crate::reference::Reference;
use crate::store::{Store, StoreError};
use crate::view::{Found, View, walk};

const DPKG: &str = "/var/lib/dpkg/status";
const DPKG_PARTS: &str = "/var/lib/dpkg/status.d";
const APK: &str = "/lib/apk/db/installed";

/// What is installed in an image: versions by name. A package of a foreign architecture is called `NAME:ARCHITECTURE`.
pub type Packages = BTreeMap<String, String>;

impl Store {
    /// The packages of an image that is in the store. Blocks while it unpacks what isn't unpacked yet.
    pub fn packages(&self, reference: &Reference) -> Result<Packages, StoreError> {
        let architecture = self.details(reference)?.architecture;
        let view = self.view(reference)?;
        Ok(read(&view, &architecture))
    }

    /// The files of an image that is in the store, and what keeps them there.
    pub(crate) fn view(&self, reference: &Reference) -> Result<Kept, StoreError> {
        let image = self.resolve(reference)?;
        let (Root::Layers(layers) | Root::Host(layers)) = &image.root;
        let layers = layers.iter().rev().cloned().collect();
        Ok(Kept {
            view: View::new(layers),
            _image: image,
        })
    }
}

/// A view whose layers stay as long as it does.
pub(crate) struct Kept {
    view: View,
    _image: crate::image::Image,
}

impl std::ops::Deref for Kept {
    type Target = View;

    fn deref(&self) -> &View {
        &self.view
    }
}

fn read(view: &View, architecture: &str) -> Packages {
    let mut packages = Packages::new();
    let native = debian::architecture(architecture);
    if let Some(status) = view.bytes(DPKG) {
        dpkg(&String::from_utf8_lossy(&status), native, &mut packages);
    }
    if let Found::Folder(folders) = view.find(Path::new(DPKG_PARTS)).1 {
        for (path, file, _) in walk(&folders).unwrap_or_default() {
            // Beside each description lies a list of files with their sums.
            if path.extension().is_none_or(|end| end != "md5sums")
                && let Ok(part) = std::fs::read(file)
            {
                dpkg(&String::from_utf8_lossy(&part), native, &mut packages);
            }
        }
    }
    if let Some(installed) = view.bytes(APK) {
        apk(&String::from_utf8_lossy(&installed), &mut packages);
    }
    packages
}

/// The fields of each paragraph of a control file, without what a field continues with.
pub(crate) fn paragraphs(text: &str) -> impl Iterator<Item = BTreeMap<&str, &str>> {
    text.split("\n\n").map(|paragraph| {
        let lines = paragraph
            .lines()
            .filter(|line| !line.starts_with([' ', '\t', '#']));
        let fields = lines.filter_map(|line| line.split_once(':'));
        fields.map(|(name, value)| (name, value.trim())).collect()
    })
}

fn dpkg(status: &str, native: &str, into: &mut Packages) {
    for fields in paragraphs(status) {
        let (Some(name), Some(version)) = (fields.get("Package"), fields.get("Version")) else {
            continue;
        };
        // Of what was removed, settings may be left.
        let state = fields.get("Status").copied().unwrap_or("installed");
        if !state.ends_with("installed") || state.ends_with("not-installed") {
            continue;
        }
        let architecture = fields.get("Architecture").copied().unwrap_or(native);
        let name = if architecture == native || architecture == "all" {
            (*name).to_owned()
        } else {
            format!("{name}:{architecture}")
        };
        into.insert(name, (*version).to_owned());
    }
}

fn apk(installed: &str, into: &mut Packages) {
    for fields in paragraphs(installed) {
        if let (Some(name), Some(version)) = (fields.get("P"), fields.get("V")) {
            into.insert((*name).to_owned(), (*version).to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_read_from_the_records_of_dpkg() {
        let status = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9\n\
            Description: the library\n Version: of a description\n\nPackage: gone\n\
            Status: deinstall ok config-files\nVersion: 1\n\nPackage: libc6\nArchitecture: i386\n\
            Status: install ok installed\nVersion: 2.36-8\n\nPackage: tzdata\nArchitecture: all\n\
            Status: hold ok installed\nVersion: 2024a\n";
        let mut packages = Packages::new();
        dpkg(status, "amd64", &mut packages);
        let packages: Vec<_> = packages
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(
            packages,
            [
                ("libc6", "2.36-9"),
                ("libc6:i386", "2.36-8"),
                ("tzdata", "2024a")
            ]
        );
    }

    #[test]
    fn records_of_images_without_a_package_manager_and_of_apk_are_read_too() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "var/lib/dpkg/status.d/base",
            "Package: base-files\nVersion: 12.4\n",
        );
        write(
            "var/lib/dpkg/status.d/base.md5sums",
            "Package: no\nVersion: 1\n",
        );
        write(
            "lib/apk/db/installed",
            "C:Q1\nP:musl\nV:1.2.5-r0\n\nP:busybox\nV:1.36\n",
        );
        let packages = read(&View::new(vec![folder.path().to_owned()]), "amd64");
        let names: Vec<_> = packages.keys().map(String::as_str).collect();
        assert_eq!(names, ["base-files", "busybox", "musl"]);
    }
}
