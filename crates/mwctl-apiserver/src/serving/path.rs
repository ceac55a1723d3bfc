//! What a path of the API points at. Pure; whether there is such a thing is the registry's to say.

/// A place of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Objects: all below `/api/v1` and `/apis/GROUP/VERSION`.
    Resource(Resource),
    /// Discovery of the core group's versions, `/api`.
    CoreVersions,
    /// Discovery of the groups, `/apis`.
    Groups,
    /// Discovery of one group.
    Group(String),
    /// Discovery of the resources of a group and a version.
    Resources(String, String),
    /// Anything else: `/version`, `/openapi/v3`, `/healthz` …
    Other(Vec<String>),
}

/// A place among objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    /// Empty for all namespaces, and for what is in none.
    pub(crate) namespace: String,
    /// Empty for the collection.
    pub(crate) name: String,
    /// Empty for the object itself.
    pub(crate) subresource: String,
    /// What follows the subresource, for `proxy` alone.
    pub(crate) rest: Vec<String>,
    /// The old form of a watch, `/api/v1/watch/…`.
    pub(crate) watch: bool,
}

impl Place {
    /// Reads a path, whose segments are percent-encoded.
    pub(crate) fn parse(path: &str) -> Self {
        let segments: Vec<String> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(decode)
            .collect();
        let (group, version, rest) = match segments.as_slice() {
            [api] if api == "api" => return Self::CoreVersions,
            [apis] if apis == "apis" => return Self::Groups,
            [apis, group] if apis == "apis" => return Self::Group(group.clone()),
            [api, version, rest @ ..] if api == "api" => ("", version, rest),
            [apis, group, version, rest @ ..] if apis == "apis" => (group.as_str(), version, rest),
            _ => return Self::Other(segments),
        };
        let (watch, rest) = match rest {
            [watch, rest @ ..] if watch == "watch" => (true, rest),
            rest => (false, rest),
        };
        if rest.is_empty() {
            return Self::Resources(group.to_owned(), version.clone());
        }
        Self::Resource(Resource {
            group: group.to_owned(),
            version: version.clone(),
            watch,
            ..Resource::below(rest)
        })
    }
}

impl Resource {
    /// `namespaces/N/PLURAL/NAME/SUBRESOURCE`, `PLURAL/NAME/SUBRESOURCE`, or less of it. A namespace is an object too: `namespaces/N`,
    /// `namespaces/N/status` and `namespaces/N/finalize` are about it.
    fn below(segments: &[String]) -> Self {
        let (namespace, segments) = match segments {
            [namespaces, _, own]
                if namespaces == "namespaces" && ["status", "finalize"].contains(&own.as_str()) =>
            {
                ("", segments)
            }
            [namespaces, namespace, rest @ ..]
                if namespaces == "namespaces" && !rest.is_empty() =>
            {
                (namespace.as_str(), rest)
            }
            segments => ("", segments),
        };
        let at = |index: usize| segments.get(index).cloned().unwrap_or_default();
        Self {
            plural: at(0),
            namespace: namespace.to_owned(),
            name: at(1),
            subresource: at(2),
            rest: segments.iter().skip(3).cloned().collect(),
            ..Self::default()
        }
    }
}

/// Reads `%41` as `A`; what is no such escape stands for itself.
fn decode(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment)
        .decode_utf8_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(path: &str) -> (String, String, String, String, String, String) {
        let Place::Resource(place) = Place::parse(path) else {
            panic!("{path} is no resource")
        };
        (
            place.group,
            place.version,
            place.namespace,
            place.plural,
            place.name,
            place.subresource,
        )
    }

    fn told(parts: [&str; 6]) -> (String, String, String, String, String, String) {
        let [group, version, namespace, plural, name, subresource] = parts.map(str::to_owned);
        (group, version, namespace, plural, name, subresource)
    }

    #[test]
    fn a_path_leads_to_a_collection_an_object_or_a_part_of_one() {
        for (path, expected) in [
            ("/api/v1/pods", ["", "v1", "", "pods", "", ""]),
            ("/api/v1/namespaces/n/pods", ["", "v1", "n", "pods", "", ""]),
            (
                "/api/v1/namespaces/n/pods/p/log",
                ["", "v1", "n", "pods", "p", "log"],
            ),
            ("/api/v1/namespaces", ["", "v1", "", "namespaces", "", ""]),
            (
                "/api/v1/namespaces/n",
                ["", "v1", "", "namespaces", "n", ""],
            ),
            (
                "/api/v1/namespaces/n/finalize",
                ["", "v1", "", "namespaces", "n", "finalize"],
            ),
            (
                "/apis/apps/v1/namespaces/n/deployments/d/scale",
                ["apps", "v1", "n", "deployments", "d", "scale"],
            ),
            (
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
                [
                    "rbac.authorization.k8s.io",
                    "v1",
                    "",
                    "clusterroles",
                    "system:node",
                    "",
                ],
            ),
        ] {
            assert_eq!(resource(path), told(expected), "{path}");
        }
    }

    #[test]
    fn what_is_above_objects_is_discovery() {
        assert_eq!(Place::parse("/api"), Place::CoreVersions);
        assert_eq!(Place::parse("/apis/"), Place::Groups);
        assert_eq!(Place::parse("/apis/apps"), Place::Group("apps".to_owned()));
        assert_eq!(
            Place::parse("/api/v1"),
            Place::Resources(String::new(), "v1".to_owned())
        );
        assert_eq!(
            Place::parse("/openapi/v3"),
            Place::Other(vec!["openapi".to_owned(), "v3".to_owned()])
        );
        assert!(matches!(
            Place::parse("/api/v1/watch/pods"),
            Place::Resource(Resource { watch: true, .. })
        ));
    }
}
