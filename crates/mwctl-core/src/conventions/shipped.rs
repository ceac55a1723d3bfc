//! The conventions and helper containers that come with mwctl, as they stand under
//! `conventions/services` and `conventions/helpers` in the source tree.

use std::path::Path;
use std::sync::LazyLock;

use super::document::{Document, sound};

macro_rules! files {
    ($($folder:literal / $name:literal)*) => {
        [$((
            concat!($name, ".yaml"),
            include_str!(concat!("../../../../conventions/", $folder, "/", $name, ".yaml")),
        )),*]
    };
}

const FILES: [(&str, &str); 22] = files! {
    "services" / "container"
    "services" / "cron"
    "services" / "go"
    "services" / "job"
    "services" / "mariadb"
    "services" / "mediawiki"
    "services" / "memcached"
    "services" / "node"
    "services" / "php"
    "services" / "postgres"
    "services" / "python"
    "services" / "python-asgi"
    "services" / "python-wsgi"
    "services" / "redis"
    "services" / "rust"
    "services" / "service-runner"
    "services" / "static"
    "services" / "worker"
    "helpers" / "cache"
    "helpers" / "log-collector"
    "helpers" / "statsd-exporter"
    "helpers" / "tls-proxy"
};

/// The shipped conventions, which are read once in a process. A test keeps them free of problems, so that nobody has to wait for their
/// being looked for.
pub fn shipped() -> &'static [Document] {
    static DOCUMENTS: LazyLock<Vec<Document>> = LazyLock::new(|| {
        let files = FILES.iter();
        files
            .flat_map(|(name, text)| sound(&Path::new("shipped").join(name), text))
            .collect()
    });
    &DOCUMENTS
}

#[cfg(test)]
mod tests {
    use super::super::document::{Parsed, parse};
    use super::*;

    #[test]
    fn every_shipped_convention_is_without_problems() {
        for (name, text) in FILES {
            let Parsed {
                documents,
                problems,
                ..
            } = parse(Path::new(name), text);
            assert_eq!(problems, []);
            assert_eq!(documents.len(), 1);
            assert_eq!(documents, sound(Path::new(name), text));
            let expected = name.trim_end_matches(".yaml");
            assert_eq!(
                documents[0].name(),
                Some(expected),
                "the file is called as what it holds"
            );
        }
    }
}
