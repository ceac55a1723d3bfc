//! The conventions that come with mwctl, as they stand under `conventions/services` in the source tree.

use std::path::Path;

use super::document::{Document, parse};

const FILES: [(&str, &str); 3] = [
    (
        "node.yaml",
        include_str!("../../../../conventions/services/node.yaml"),
    ),
    (
        "redis.yaml",
        include_str!("../../../../conventions/services/redis.yaml"),
    ),
    (
        "service-runner.yaml",
        include_str!("../../../../conventions/services/service-runner.yaml"),
    ),
];

/// The shipped conventions. A test keeps them free of problems.
pub fn shipped() -> Vec<Document> {
    FILES
        .iter()
        .flat_map(|(name, text)| parse(&Path::new("shipped").join(name), text).0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_convention_is_without_problems() {
        for (name, text) in FILES {
            let (documents, problems) = parse(Path::new(name), text);
            assert_eq!(problems, []);
            assert_eq!(documents.len(), 1);
            let expected = name.trim_end_matches(".yaml");
            assert_eq!(
                documents[0].name(),
                Some(expected),
                "the file is called as what it holds"
            );
        }
    }
}
