//! Accounts at registries, from where `docker login` and `podman login` keep them.
//!
//! An account that can't be read counts as none: the registry may give the image to everybody,
//! and if it doesn't, the error says so.

use std::path::PathBuf;
use std::process::Stdio;

use base64::Engine as _;
use oci_client::secrets::RegistryAuth;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

/// Docker's own registry has had several names.
const DOCKER: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// Where accounts are looked up.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    files: Vec<PathBuf>,
}

/// What a helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Where one file says that an account is.
#[derive(Debug, Eq, PartialEq)]
enum Account {
    Known(String, String),
    /// The program `docker-credential-NAME` knows it, under this key.
    Helper(String, String),
}

impl Credentials {
    /// In these files, of the form of docker's `config.json`; the first that knows counts.
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self { files }
    }

    /// What opens a registry: an account, or nothing.
    pub async fn get(&self, registry: &str) -> RegistryAuth {
        for file in &self.files {
            let Ok(text) = std::fs::read_to_string(file) else {
                continue;
            };
            let account = match find(&text, registry) {
                Some(Account::Helper(helper, key)) => ask(&helper, &key).await,
                Some(Account::Known(user, secret)) => Some((user, secret)),
                None => None,
            };
            if let Some((user, secret)) = account {
                return RegistryAuth::Basic(user, secret);
            }
        }
        RegistryAuth::Anonymous
    }
}

/// Whether a key of the file, which may be a URL, means the registry.
fn means(key: &str, registry: &str) -> bool {
    let host = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    host == registry || (DOCKER.contains(&host) && DOCKER.contains(&registry))
}

fn find(text: &str, registry: &str) -> Option<Account> {
    let config: Value = serde_json::from_str(text).ok()?;
    let entry = |map: &str| {
        let map = config[map].as_object()?;
        let (key, value) = map.iter().find(|(key, _)| means(key, registry))?;
        Some((key.clone(), value.clone()))
    };
    if let Some((key, helper)) = entry("credHelpers") {
        return Some(Account::Helper(helper.as_str()?.to_owned(), key));
    }
    let known = entry("auths");
    if let Some((_, known)) = &known
        && let Some(auth) = known["auth"].as_str().filter(|auth| !auth.is_empty())
    {
        let decoded = base64::engine::general_purpose::STANDARD
            .decode(auth)
            .ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (user, secret) = decoded.split_once(':')?;
        return Some(Account::Known(user.to_owned(), secret.to_owned()));
    }
    let store = config["credsStore"].as_str()?;
    // The key is an entry's own, or what `docker login` would have written.
    let written = || {
        if DOCKER.contains(&registry) {
            "https://index.docker.io/v1/".to_owned()
        } else {
            registry.to_owned()
        }
    };
    let key = known.map_or_else(written, |(key, _)| key);
    Some(Account::Helper(store.to_owned(), key))
}

async fn ask(helper: &str, key: &str) -> Option<(String, String)> {
    // A name, not a path: docker takes no other either.
    if helper.contains('/') {
        return None;
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "docker's own interface for accounts, and the only program that this crate runs"
    )]
    let mut child = tokio::process::Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take()?;
    stdin.write_all(key.as_bytes()).await.ok()?;
    drop(stdin);
    let output = child.wait_with_output().await.ok()?;
    if !output.status.success() {
        return None;
    }
    let answer: Answer = serde_json::from_slice(&output.stdout).ok()?;
    Some((answer.username, answer.secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{
      "auths": {
        "https://index.docker.io/v1/": {"auth": "bWU6c2VjcmV0OnBhcnQ="},
        "quay.io": {},
        "localhost:5000": {"auth": "broken"}
      },
      "credHelpers": {"gcr.io": "gcloud"},
      "credsStore": "desktop"
    }"#;

    #[test]
    fn accounts_are_found_where_docker_keeps_them() {
        let known = |user: &str, secret: &str| Some(Account::Known(user.into(), secret.into()));
        let helper = |name: &str, key: &str| Some(Account::Helper(name.into(), key.into()));
        assert_eq!(find(CONFIG, "index.docker.io"), known("me", "secret:part"));
        assert_eq!(find(CONFIG, "gcr.io"), helper("gcloud", "gcr.io"));
        assert_eq!(find(CONFIG, "quay.io"), helper("desktop", "quay.io"));
        assert_eq!(find(CONFIG, "other:1"), helper("desktop", "other:1"));
        assert_eq!(find(CONFIG, "localhost:5000"), None);
        assert_eq!(find("{}", "quay.io"), None);
        assert_eq!(find("no JSON", "quay.io"), None);
    }

    #[tokio::test]
    async fn an_account_that_cant_be_read_is_none() {
        let credentials = Credentials::new(vec![PathBuf::from("/nowhere/config.json")]);
        assert_eq!(credentials.get("quay.io").await, RegistryAuth::Anonymous);
        assert_eq!(ask("../bin/sh", "quay.io").await, None);
    }
}
