//! The answer to `minikube image ls --format json`: the only proof that an image was loaded.

use serde::Deserialize;

/// One image on the nodes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// The configuration's digest, with or without `sha256:`.
    #[serde(default)]
    pub id: String,
    /// Its names.
    #[serde(default)]
    pub repo_tags: Option<Vec<String>>,
}

/// Reads the list; an `Err` holds the start of what isn't one.
pub fn images(text: &str) -> Result<Vec<Listed>, String> {
    serde_json::from_str::<Option<Vec<Listed>>>(text.trim())
        .map(Option::unwrap_or_default)
        .map_err(|_| text.chars().take(200).collect())
}

/// Whether the list has the image of that name, and, where `config` is given, with that content.
pub fn contains(list: &[Listed], reference: &str, config: Option<&str>) -> bool {
    let bare = |digest: &str| digest.trim_start_matches("sha256:").to_owned();
    list.iter().any(|image| {
        let named = image
            .repo_tags
            .iter()
            .flatten()
            .any(|tag| tag == reference || tag.strip_prefix("docker.io/") == Some(reference));
        named && config.is_none_or(|config| bare(config) == bare(&image.id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_there_when_its_name_and_its_content_are() {
        let text = r#"[{"id":"sha256:aa","repoDigests":[],"repoTags":["mwctl.local/x:1","docker.io/y/z:1"],"size":"123"},{"id":"bb","repoDigests":null,"repoTags":null,"size":"1"}]"#;
        let list = images(text).unwrap();
        assert!(contains(&list, "mwctl.local/x:1", Some("aa")));
        assert!(contains(&list, "y/z:1", None));
        assert!(!contains(&list, "mwctl.local/x:1", Some("bb")));
        assert!(!contains(&list, "mwctl.local/x:2", None));
    }

    #[test]
    fn no_images_are_null_or_an_empty_list() {
        assert_eq!(images("null\n").unwrap(), []);
        assert_eq!(images("[]").unwrap(), []);
        assert!(images("error").is_err());
    }
}
