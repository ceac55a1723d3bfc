//! Which of the forms of an answer a client likes best (`Accept`). Pure.

use crate::table::Include;

/// One thing a client accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Item<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

/// The form of an object or a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is.
    Plain,
    /// A table for people, of this version of `meta.k8s.io`, with so much of each object.
    Table(&'static str, Include),
    /// Its metadata alone, of this version of `meta.k8s.io`.
    Metadata(&'static str),
}

/// The form of discovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Discovery {
    /// Group by group, resource list by resource list.
    Legacy,
    /// All at once, of this version of `apidiscovery.k8s.io`.
    Aggregated(&'static str),
}

impl<'a> Item<'a> {
    fn all(accept: &'a str) -> impl Iterator<Item = Self> {
        accept.split(',').map(|item| {
            let mut parts = item.split(';').map(str::trim);
            Item {
                media: parts.next().unwrap_or_default(),
                parameters: parts.filter_map(|part| part.split_once('=')).collect(),
            }
        })
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    }

    fn is_json(&self) -> bool {
        matches!(
            self.media,
            "application/json" | "application/*" | "*/*" | ""
        )
    }
}

/// The first form among those accepted that this server writes; none if it writes none of them. `include` is for tables; what has none
/// there is never shown as one.
pub(crate) fn form(accept: &str, include: Option<Include>) -> Option<Form> {
    Item::all(accept).filter(Item::is_json).find_map(|item| {
        let version = match item.parameter("v") {
            Some("v1") => "v1",
            Some("v1beta1") => "v1beta1",
            _ => return item.parameter("as").is_none().then_some(Form::Plain),
        };
        match (item.parameter("g"), item.parameter("as")) {
            (Some("meta.k8s.io"), Some("Table")) => {
                include.map(|include| Form::Table(version, include))
            }
            (Some("meta.k8s.io"), Some("PartialObjectMetadata" | "PartialObjectMetadataList")) => {
                Some(Form::Metadata(version))
            }
            (_, None) => Some(Form::Plain),
            _ => None,
        }
    })
}

/// The first form of discovery among those accepted.
pub(crate) fn discovery(accept: &str) -> Discovery {
    Item::all(accept)
        .filter(Item::is_json)
        .find_map(|item| match (item.parameter("as"), item.parameter("v")) {
            (Some("APIGroupDiscoveryList"), Some("v2")) => Some(Discovery::Aggregated("v2")),
            (Some("APIGroupDiscoveryList"), Some("v2beta1")) => {
                Some(Discovery::Aggregated("v2beta1"))
            }
            (None, _) => Some(Discovery::Legacy),
            _ => None,
        })
        .unwrap_or(Discovery::Legacy)
}

/// Whether one of the media types accepted is this one.
pub(crate) fn names(accept: &str, media: &str) -> bool {
    Item::all(accept).any(|item| item.media == media)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(accept: &str) -> Option<Form> {
        super::form(accept, Some(Include::Metadata))
    }

    #[test]
    fn what_is_no_table_is_not_acceptable_as_one_alone() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        assert_eq!(super::form(table, None), None);
        let either = format!("{table},application/json");
        assert_eq!(super::form(&either, None), Some(Form::Plain));
    }

    #[test]
    fn kubectl_gets_tables_and_others_objects() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(form(kubectl), Some(Form::Table("v1", Include::Metadata)));
        assert_eq!(form(""), Some(Form::Plain));
        assert_eq!(
            form("application/vnd.kubernetes.protobuf,application/json"),
            Some(Form::Plain)
        );
        assert_eq!(
            form("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"),
            Some(Form::Metadata("v1"))
        );
        assert_eq!(form("application/json;stream=watch"), Some(Form::Plain));
        assert_eq!(form("application/vnd.kubernetes.protobuf"), None);
    }

    #[test]
    fn discovery_is_of_the_very_version_asked_for() {
        let old = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        let new = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        assert_eq!(discovery(old), Discovery::Aggregated("v2beta1"));
        assert_eq!(discovery(new), Discovery::Aggregated("v2"));
        assert_eq!(discovery("application/json, */*"), Discovery::Legacy);
    }
}
