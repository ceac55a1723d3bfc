//! Numbers of fields in protobuf, out of `.proto` files. Only as much of the language is read as Kubernetes' generated files use: one field a
//! line, messages that don't nest.

use std::collections::{BTreeMap, BTreeSet};

use mwctl_apiserver::kinds::facts::{FieldFacts, TypeFacts};

/// A field of a message: its number, its name and, unless it is a scalar or a map, the full name of its type.
#[derive(Debug, PartialEq)]
struct Line {
    number: u32,
    name: String,
    message: Option<String>,
}

type Messages = BTreeMap<String, Vec<Line>>;

/// Writes numbers into the fields of these types; gives the names of those that have none.
pub fn number(types: &mut BTreeMap<String, TypeFacts>, protos: &[String]) -> Vec<String> {
    let messages: Messages = protos.iter().flat_map(|text| messages(text)).collect();
    let mut without = Vec::new();
    for (name, facts) in types {
        if let Some(lines) = messages.get(name) {
            number_fields(&mut facts.fields, lines, &messages);
        }
        // The kind and its version travel in the envelope of an object, not in it.
        let numberless = facts.fields.iter().filter(|(name, field)| {
            field.number == 0 && !["kind", "apiVersion"].contains(&name.as_str())
        });
        without.extend(numberless.map(|(field, _)| format!("{name}.{field}")));
    }
    without
}

/// Fields have the same name in JSON, up to the letters' case; a message that no field is named after is one that Go embeds, and its fields
/// stand beside the others in JSON.
fn number_fields(fields: &mut BTreeMap<String, FieldFacts>, lines: &[Line], messages: &Messages) {
    let mut embedded = Vec::new();
    for line in lines {
        if let Some(field) = named(fields, &line.name) {
            field.number = line.number;
        } else if let Some(inner) = line.message.as_ref().and_then(|name| messages.get(name)) {
            embedded.push((line.number, inner));
        }
    }
    for (outer, inner) in embedded {
        for line in inner {
            if let Some(field) = named(fields, &line.name)
                && field.number == 0
            {
                field.number = line.number;
                field.inside = outer;
            }
        }
    }
}

fn named<'a>(
    fields: &'a mut BTreeMap<String, FieldFacts>,
    name: &str,
) -> Option<&'a mut FieldFacts> {
    if fields.contains_key(name) {
        return fields.get_mut(name);
    }
    fields
        .iter_mut()
        .find(|(field, _)| folded(field) == folded(name))
        .map(|(_, field)| field)
}

/// A name without what protobuf cannot write: `x-kubernetes-list-type` is `xKubernetesListType` there, and `$ref` is `ref`.
fn folded(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

/// The messages of a file by their names in `OpenAPI`.
fn messages(text: &str) -> Messages {
    let mut package = "";
    let mut messages = Messages::new();
    let mut open: Option<(String, Vec<Line>)> = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("package ") {
            package = name.trim_end_matches(';');
        } else if let Some(name) = line.strip_prefix("message ") {
            let name = format!("{package}.{}", name.trim_end_matches(['{', ' ']));
            open = Some((openapi_name(&name), Vec::new()));
        } else if line == "}" {
            messages.extend(open.take());
        } else if let Some((_, fields)) = &mut open {
            fields.extend(field(line, package));
        }
    }
    messages
}

/// `optional .k8s.io.api.core.v1.PodSpec spec = 2;`
fn field(line: &str, package: &str) -> Option<Line> {
    let (declared, number) = line.strip_suffix(';')?.split_once(" = ")?;
    let (kind, name) = declared.rsplit_once(' ')?;
    let kind = kind
        .trim_start_matches("optional ")
        .trim_start_matches("repeated ");
    let scalars = BTreeSet::from([
        "string", "bytes", "bool", "int32", "int64", "uint32", "uint64", "double",
    ]);
    Some(Line {
        number: number.parse().ok()?,
        name: name.to_owned(),
        message: if kind.starts_with("map<") || scalars.contains(kind) {
            None
        } else if let Some(full) = kind.strip_prefix('.') {
            Some(openapi_name(full))
        } else {
            Some(openapi_name(&format!("{package}.{kind}")))
        },
    })
}

/// `k8s.io.api.core.v1.Pod` is `io.k8s.api.core.v1.Pod`.
fn openapi_name(name: &str) -> String {
    match name.strip_prefix("k8s.io.") {
        Some(rest) => format!("io.k8s.{}", rest.replace('_', "-")),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(names: &[&str]) -> BTreeMap<String, FieldFacts> {
        names
            .iter()
            .map(|name| ((*name).to_owned(), FieldFacts::default()))
            .collect()
    }

    #[test]
    fn fields_of_an_embedded_message_are_numbered_inside_it() {
        let text = "package k8s.io.api.core.v1;\n\
            message Volume {\n  // comment = 7;\n  optional string name = 1;\n\n  optional VolumeSource volumeSource = 2;\n}\n\
            message VolumeSource {\n  optional HostPathVolumeSource hostPath = 1;\n}\n";
        let name = "io.k8s.api.core.v1.Volume";
        let facts = TypeFacts {
            fields: fields(&["name", "hostPath", "surprise", "kind"]),
            ..TypeFacts::default()
        };
        let mut types = BTreeMap::from([(name.to_owned(), facts)]);
        let without = number(&mut types, &[text.to_owned()]);
        let numbers = |field: &str| {
            let field = &types[name].fields[field];
            (field.inside, field.number)
        };
        assert_eq!(numbers("name"), (0, 1));
        assert_eq!(numbers("hostPath"), (2, 1));
        assert_eq!(without, ["io.k8s.api.core.v1.Volume.surprise"]);
    }

    #[test]
    fn names_that_protobuf_cannot_write_are_found() {
        let mut fields = fields(&["$ref", "x-kubernetes-list-type", "podIPs"]);
        for name in ["ref", "xKubernetesListType", "podIps"] {
            assert!(named(&mut fields, name).is_some(), "{name}");
        }
        assert!(named(&mut fields, "other").is_none());
    }

    #[test]
    fn maps_and_types_of_other_packages_are_read() {
        let map = field(
            "map<string, .k8s.io.apimachinery.pkg.api.resource.Quantity> limits = 1;",
            "p",
        );
        assert_eq!(map.map(|line| (line.number, line.message)), Some((1, None)));
        let other = field(
            "repeated .k8s.io.apiextensions_apiserver.pkg.A items = 12;",
            "p",
        );
        assert_eq!(
            other,
            Some(Line {
                number: 12,
                name: "items".to_owned(),
                message: Some("io.k8s.apiextensions-apiserver.pkg.A".to_owned()),
            })
        );
        assert_eq!(field("// a comment", "p"), None);
    }
}
