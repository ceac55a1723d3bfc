//! An archive of packages as Debian has them, and images whose packages come from there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use mwctl_tests::registry::digest;
use mwctl_tests::web::{Response, Web};
use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, KeyType, SecretKeyParamsBuilder, SignedSecretKey,
};
use pgp::types::Password;

type Files = Arc<Mutex<BTreeMap<String, String>>>;

/// The archive, with a key of its own.
pub(crate) struct Archive {
    files: Files,
    key: SignedSecretKey,
    web: Web,
}

/// A layer of files.
pub(crate) fn layer(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, path, *content).unwrap();
    }
    archive.into_inner().unwrap()
}

/// Debian's name of this machine's architecture.
fn native() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A list of packages; each paragraph has these lines too.
fn paragraphs(packages: &[(&str, &str)], more: &str) -> String {
    let one = |(name, version): &(&str, &str)| {
        let architecture = native();
        format!("Package: {name}\nArchitecture: {architecture}\nVersion: {version}\n{more}\n")
    };
    packages.iter().map(one).collect()
}

impl Archive {
    pub(crate) fn start() -> Self {
        let files = Files::default();
        let known = files.clone();
        let web = Web::start(
            move |request| match known.lock().unwrap().get(&request.path) {
                Some(text) => Response::new(200, text.as_bytes()),
                None => Response::new(404, ""),
            },
        );
        let mut parameters = SecretKeyParamsBuilder::default();
        parameters
            .key_type(KeyType::Ed25519Legacy)
            .can_sign(true)
            .can_certify(true)
            .primary_user_id("the tests".to_owned());
        let key = parameters.build().unwrap().generate(rand::rngs::OsRng);
        Self {
            files,
            key: key.unwrap(),
            web: web.unwrap(),
        }
    }

    pub(crate) fn host(&self) -> String {
        self.web.host()
    }

    /// The files of an image with these packages.
    pub(crate) fn image(&self, packages: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
        let host = self.host();
        let sources = format!(
            "Types: deb\nURIs: http://{host}/debian\nSuites: stable stable-security\nComponents: main\n\
             Signed-By: /usr/share/keyrings/tests.asc\n"
        );
        let public = self.key.to_public_key();
        let key = public.to_armored_bytes(ArmorOptions::default()).unwrap();
        let status = paragraphs(packages, "Status: install ok installed\n");
        vec![
            (
                "etc/apt/sources.list.d/tests.sources".to_owned(),
                sources.into_bytes(),
            ),
            ("usr/share/keyrings/tests.asc".to_owned(), key),
            ("var/lib/dpkg/status".to_owned(), status.into_bytes()),
        ]
    }

    /// Publishes a suite.
    pub(crate) fn publish(&self, suite: &str, label: &str, packages: &[(&str, &str)]) {
        let list = paragraphs(packages, "Description: of the tests\n");
        let sum = digest(list.as_bytes()).replace("sha256:", "");
        let size = list.len();
        let path = format!("main/binary-{}/Packages", native());
        self.release(
            suite,
            &format!("Label: {label}\nSHA256:\n {sum} {size} {path}\n"),
        );
        self.set(suite, &path, list);
    }

    /// Publishes a suite's description anew, which counts until then.
    pub(crate) fn publish_until(&self, suite: &str, until: &str) {
        self.release(suite, &format!("Label: Debian\nValid-Until: {until}\n"));
    }

    fn release(&self, suite: &str, text: &str) {
        let (primary, none) = (&self.key.primary_key, Password::empty());
        let signed = CleartextSignedMessage::sign(rand::rngs::OsRng, text, primary, &none);
        let signed = signed.unwrap().to_armored_string(ArmorOptions::default());
        self.set(suite, "InRelease", signed.unwrap());
    }

    fn set(&self, suite: &str, path: &str, text: String) {
        let path = format!("/debian/dists/{suite}/{path}");
        self.files.lock().unwrap().insert(path, text);
    }

    /// Changes the file of a suite whose path ends so.
    pub(crate) fn change(&self, suite: &str, end: &str, change: impl Fn(&str) -> String) {
        let folder = format!("/debian/dists/{suite}/");
        let mut files = self.files.lock().unwrap();
        let mut files = files.iter_mut();
        let (_, text) = files
            .find(|(path, _)| path.starts_with(&folder) && path.ends_with(end))
            .unwrap();
        let changed = change(text);
        assert_ne!(changed, *text);
        *text = changed;
    }
}
