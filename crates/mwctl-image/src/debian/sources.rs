//! Where an image's packages come from, and whose signature counts there: `sources.list` in both of its forms.

use std::collections::BTreeMap;
use std::path::Path;

use crate::reference::Reference;
use crate::store::{Store, StoreError};
use crate::view::{Found, View, walk};

const LIST: &str = "/etc/apt/sources.list";
const LISTS: &str = "/etc/apt/sources.list.d";
/// Keys that count for every source that names none.
const TRUSTED: &str = "/etc/apt/trusted.gpg";
const TRUSTED_PARTS: &str = "/etc/apt/trusted.gpg.d";
/// Debian's own, which newer sources name.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One suite of an archive.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Source {
    /// As in `http://deb.debian.org/debian`.
    pub uri: String,
    /// As in `bookworm-security`.
    pub suite: String,
    /// As in `main`.
    pub components: Vec<String>,
    /// Files of keys, or keys themselves; whatever the image trusts where there is none.
    signed_by: Vec<String>,
}

/// What an image says of its archives.
#[derive(Clone, Debug)]
pub struct Debian {
    /// As in `amd64`.
    pub architecture: String,
    /// Its sources, each suite once.
    pub sources: Vec<Source>,
    /// Files of keys by their paths.
    keys: BTreeMap<String, Vec<u8>>,
}

impl Debian {
    /// The texts and files of keys that count for a source.
    pub(super) fn keys<'a>(&'a self, source: &'a Source) -> Vec<&'a [u8]> {
        let named = &source.signed_by;
        if named.is_empty() {
            let trusted = |(path, _): &(&String, _)| path.starts_with(TRUSTED);
            let keys = self.keys.iter().filter(trusted);
            let keys: Vec<_> = keys.map(|(_, key)| key.as_slice()).collect();
            if !keys.is_empty() {
                return keys;
            }
            return self
                .keys
                .get(KEYRING)
                .map(Vec::as_slice)
                .into_iter()
                .collect();
        }
        let files = named.iter().filter_map(|name| self.keys.get(name));
        let mut keys: Vec<&[u8]> = files.map(Vec::as_slice).collect();
        let inline = named.iter().filter(|it| it.starts_with("-----BEGIN"));
        keys.extend(inline.map(String::as_bytes));
        keys
    }
}

impl Store {
    /// What an image says of its archives; `None` where its distribution isn't Debian or built like it.
    pub fn debian(&self, reference: &Reference) -> Result<Option<Debian>, StoreError> {
        let architecture = self.details(reference)?.architecture;
        let view = self.view(reference)?;
        Ok(read(&view, super::architecture(&architecture)))
    }
}

fn read(view: &View, architecture: &str) -> Option<Debian> {
    let mut sources = Vec::new();
    if let Some(text) = view.bytes(LIST) {
        sources.extend(one_line(&String::from_utf8_lossy(&text)));
    }
    for (path, bytes) in files(view, LISTS) {
        let text = String::from_utf8_lossy(&bytes);
        let end = Path::new(&path).extension().unwrap_or_default();
        if end == "list" {
            sources.extend(one_line(&text));
        } else if end == "sources" {
            sources.extend(paragraphs(&text));
        }
    }
    sources.sort();
    sources.dedup_by(|one, other| (&one.uri, &one.suite) == (&other.uri, &other.suite));
    if sources.is_empty() {
        return None;
    }
    let mut keys: BTreeMap<String, Vec<u8>> = files(view, TRUSTED_PARTS).into_iter().collect();
    let named = sources.iter().flat_map(|source| &source.signed_by);
    let named = named.map(String::as_str).filter(|it| it.starts_with('/'));
    for path in named.chain([TRUSTED, KEYRING]) {
        if let Some(bytes) = view.bytes(path) {
            keys.insert(path.to_owned(), bytes);
        }
    }
    Some(Debian {
        architecture: architecture.to_owned(),
        sources,
        keys,
    })
}

fn files(view: &View, folder: &str) -> Vec<(String, Vec<u8>)> {
    let Found::Folder(folders) = view.find(Path::new(folder)).1 else {
        return Vec::new();
    };
    let items = walk(&folders).unwrap_or_default().into_iter();
    let read = items.filter_map(|(path, ..)| {
        let path = format!("{folder}/{}", path.display());
        let bytes = view.bytes(&path)?;
        Some((path, bytes))
    });
    read.collect()
}

/// What can be asked: archives on discs and in folders can't, and flat ones aren't Debian's.
fn is_asked(uri: &str, suite: &str) -> bool {
    (uri.starts_with("http://") || uri.starts_with("https://")) && !suite.ends_with('/')
}

/// `deb [signed-by=…] URI SUITE COMPONENT…`
fn one_line(text: &str) -> Vec<Source> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    let read = lines.filter_map(|line| {
        let rest = line.strip_prefix("deb ")?.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => ("", rest),
        };
        let signed_by = options
            .split_whitespace()
            .filter_map(|option| option.strip_prefix("signed-by="))
            .flat_map(|paths| paths.split(','));
        let signed_by = signed_by.map(str::to_owned).collect();
        let mut words = rest.split_whitespace();
        let (uri, suite) = (words.next()?, words.next()?);
        is_asked(uri, suite).then(|| Source {
            uri: uri.trim_end_matches('/').to_owned(),
            suite: suite.to_owned(),
            components: words.map(str::to_owned).collect(),
            signed_by,
        })
    });
    read.collect()
}

/// `Types: deb` and so on, a paragraph for several suites.
fn paragraphs(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for paragraph in text.split("\n\n") {
        let fields = fields(paragraph);
        let words = |name: &str| -> Vec<String> {
            let value = fields.get(name).map(String::as_str).unwrap_or_default();
            value.split_whitespace().map(str::to_owned).collect()
        };
        let off = words("enabled").first().is_some_and(|it| it == "no");
        if off || !words("types").contains(&"deb".to_owned()) {
            continue;
        }
        let signed_by = match fields.get("signed-by") {
            Some(keys) if keys.contains("-----BEGIN") => vec![keys.clone()],
            _ => words("signed-by"),
        };
        for uri in words("uris") {
            for suite in words("suites") {
                if is_asked(&uri, &suite) {
                    sources.push(Source {
                        uri: uri.trim_end_matches('/').to_owned(),
                        suite,
                        components: words("components"),
                        signed_by: signed_by.clone(),
                    });
                }
            }
        }
    }
    sources
}

/// Fields with all their lines, by their names in small letters.
fn fields(paragraph: &str) -> BTreeMap<String, String> {
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    let mut last = String::new();
    for line in paragraph.lines().filter(|line| !line.starts_with('#')) {
        if let Some(more) = line.strip_prefix([' ', '\t']) {
            // A dot stands for an empty line, as armoured keys have one.
            let more = if more == "." { "" } else { more };
            if let Some(value) = fields.get_mut(&last) {
                value.push('\n');
                value.push_str(more);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            last = name.to_ascii_lowercase();
            fields.insert(last.clone(), value.trim().to_owned());
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(sources: &[Source]) -> Vec<String> {
        let told = sources.iter().map(|it| {
            let (components, keys) = (it.components.join("+"), it.signed_by.join("+"));
            format!("{} {} {components} {keys}", it.uri, it.suite)
        });
        told.collect()
    }

    #[test]
    fn sources_are_read_in_both_forms() {
        let list = "# deb http://no one main\ndeb [arch=amd64 signed-by=/a.gpg] http://x/debian/ stable main extra\n\
            deb-src http://x/debian stable main\ndeb cdrom:[x]/ y main\ndeb https://y flat/\n";
        assert_eq!(
            told(&one_line(list)),
            ["http://x/debian stable main+extra /a.gpg"]
        );
        let newer = "Types: deb deb-src\n# a comment\nURIs: http://x\nSuites: one two\nComponents: main\nSigned-By: /b.gpg\n\n\
            Types: deb\nURIs: http://y\nSuites: three\nEnabled: no\n\n\
            Types: deb\nURIs: https://z\nSuites: four\nComponents: main\nSigned-By:\n -----BEGIN KEY-----\n .\n abc\n";
        assert_eq!(
            told(&paragraphs(newer)),
            [
                "http://x one main /b.gpg",
                "http://x two main /b.gpg",
                "https://z four main \n-----BEGIN KEY-----\n\nabc"
            ]
        );
    }

    #[test]
    fn a_source_counts_its_own_keys_or_all_that_are_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "etc/apt/sources.list",
            "deb [signed-by=/k/own.gpg] http://x a main\ndeb http://x b main\n",
        );
        write("etc/apt/trusted.gpg.d/one.asc", "one");
        write("k/own.gpg", "own");
        let view = View::new(vec![folder.path().to_owned()]);
        let debian = read(&view, "amd64").unwrap();
        assert_eq!(debian.keys(&debian.sources[0]), [b"own"]);
        assert_eq!(debian.keys(&debian.sources[1]), [b"one"]);
        assert!(read(&View::new(Vec::new()), "amd64").is_none());
    }
}
