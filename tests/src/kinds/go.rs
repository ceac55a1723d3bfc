//! What only the Go types of k8s.io/api tell: how a type is called in a message about a mistyped field, and whether a zero is written or left
//! out. Only declarations of structs with JSON tags are read, one field a line, as `gofmt` writes them.

use std::collections::BTreeMap;

use mwctl_apiserver::kinds::facts::{FieldFacts, TypeFacts};

/// A file of a package.
#[derive(Debug)]
pub struct Source {
    /// The package as `OpenAPI` calls it, such as `io.k8s.api.core.v1`.
    pub package: String,
    /// The text.
    pub text: String,
}

#[derive(Debug, Default)]
struct Declared {
    /// Each field.
    fields: Vec<Line>,
    /// Types whose fields belong to this one.
    embedded: Vec<String>,
}

/// A field of a struct, such as ``Tty bool `json:"tty,omitempty"` ``.
#[derive(Debug)]
struct Line {
    json: String,
    /// As `%T` prints it.
    go: String,
    /// Left out when it is empty.
    omitted: bool,
}

type Declarations = BTreeMap<String, Declared>;

/// Writes what Go says into the fields of these types.
pub fn describe(types: &mut BTreeMap<String, TypeFacts>, sources: &[Source]) {
    let declarations: Declarations = sources.iter().flat_map(declarations).collect();
    for (name, facts) in types {
        describe_fields(&mut facts.fields, name, &declarations);
    }
}

fn describe_fields(fields: &mut BTreeMap<String, FieldFacts>, name: &str, all: &Declarations) {
    let Some(declared) = all.get(name) else {
        return;
    };
    for line in &declared.fields {
        if let Some(field) = fields.get_mut(&line.json) {
            let target = line.go.trim_start_matches('*');
            let scalar = !field.shape.starts_with(['+', '[', '{']) && field.shape != "any";
            field.pointer = scalar && !field.required && target.len() < line.go.len();
            field.written = !field.required && !line.omitted;
            field.go = expected(&field.shape)
                .filter(|expected| expected != target)
                .map(|_| target.to_owned());
        }
    }
    for inner in &declared.embedded {
        describe_fields(fields, inner, all);
    }
}

/// The Go type of a shape unless Go has a name of its own for it.
fn expected(shape: &str) -> Option<String> {
    if let Some(name) = shape.strip_prefix('+') {
        let mut parts = name.rsplitn(3, '.');
        let (kind, package) = (parts.next()?, parts.next()?);
        return Some(format!("{package}.{kind}"));
    }
    if let Some(list) = shape.strip_prefix('[') {
        return Some(format!("[]{}", expected(list.rsplit_once(']')?.0)?));
    }
    if let Some(map) = shape.strip_prefix('{') {
        return Some(format!("map[string]{}", expected(map.rsplit_once('}')?.0)?));
    }
    let go = match shape {
        "string" | "bool" | "int32" | "int64" => shape,
        "float" => "float64",
        "bytes" => "[]byte",
        "int-or-string" => "intstr.IntOrString",
        "quantity" => "resource.Quantity",
        "time" => "v1.Time",
        "micro-time" => "v1.MicroTime",
        _ => return None,
    };
    Some(go.to_owned())
}

fn declarations(source: &Source) -> Declarations {
    let version = source.package.rsplit('.').next().unwrap_or_default();
    let mut declarations = Declarations::new();
    let mut open: Option<(String, Declared)> = None;
    for line in source.text.lines() {
        if let Some(name) = line
            .strip_prefix("type ")
            .and_then(|rest| rest.strip_suffix(" struct {"))
        {
            open = Some((format!("{}.{name}", source.package), Declared::default()));
        } else if line == "}" {
            declarations.extend(open.take());
        } else if let Some((_, declared)) = &mut open
            && let Some((before, tags)) = line.split_once("`json:\"")
        {
            let tag = tags.split('"').next().unwrap_or_default();
            let json = tag.split(',').next().unwrap_or_default();
            let words: Vec<&str> = before.split_whitespace().collect();
            match words.as_slice() {
                [embedded] => declared
                    .embedded
                    .push(format!("{}.{embedded}", source.package)),
                [_, go] => declared.fields.push(Line {
                    json: json.to_owned(),
                    go: qualified(go, version),
                    // Go finds no struct empty, and a time is one.
                    omitted: tag.contains("omitzero")
                        || (tag.contains("omitempty")
                            && !["metav1.Time", "metav1.MicroTime"].contains(go)),
                }),
                _ => {}
            }
        }
    }
    declarations
}

/// A Go type as `%T` prints it: `*metav1.Time` is `*v1.Time`, and `[]Container` of a package `v1` is `[]v1.Container`.
fn qualified(go: &str, version: &str) -> String {
    let base = go.rfind([']', '*']).map_or(0, |at| at + 1);
    let (around, base) = go.split_at(base);
    let base = match base.split_once('.') {
        Some((alias, name)) => {
            // Aliases such as `metav1` and `apiextensionsv1` stand for packages called `v1`.
            let package = alias
                .rfind('v')
                .filter(|&at| alias[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
            format!("{}.{name}", package.map_or(alias, |at| &alias[at..]))
        }
        None if base.starts_with(|first: char| first.is_ascii_uppercase()) => {
            format!("{version}.{base}")
        }
        None => base.to_owned(),
    };
    format!("{around}{base}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(shape: &str) -> FieldFacts {
        FieldFacts {
            shape: shape.to_owned(),
            ..FieldFacts::default()
        }
    }

    #[test]
    fn names_of_go_are_kept_where_the_shape_does_not_tell_them() {
        let source = Source {
            package: "io.k8s.api.core.v1".to_owned(),
            text: "type Container struct {\n\t// A comment.\n\tImagePullPolicy PullPolicy `json:\"imagePullPolicy,omitempty\" protobuf:\"14\"`\n\
                   \tTTY bool `json:\"tty,omitempty\"`\n\tInner `json:\",inline\"`\n}\n\
                   type Inner struct {\n\tUser *int64 `json:\"user,omitempty\"`\n\tAt metav1.Time `json:\"at\"`\n}\n"
                .to_owned(),
        };
        let shapes = [
            ("imagePullPolicy", "string"),
            ("tty", "bool"),
            ("user", "int64"),
            ("at", "time"),
        ];
        let facts = TypeFacts {
            fields: shapes
                .iter()
                .map(|(name, shape)| ((*name).to_owned(), field(shape)))
                .collect(),
            ..TypeFacts::default()
        };
        let mut types = BTreeMap::from([("io.k8s.api.core.v1.Container".to_owned(), facts)]);
        describe(&mut types, &[source]);
        let told: Vec<_> = types["io.k8s.api.core.v1.Container"]
            .fields
            .iter()
            .map(|(name, field)| {
                (
                    name.as_str(),
                    field.go.as_deref(),
                    field.pointer,
                    field.written,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("at", None, false, true),
                ("imagePullPolicy", Some("v1.PullPolicy"), false, false),
                ("tty", None, false, false),
                ("user", None, true, false)
            ]
        );
    }

    #[test]
    fn types_are_written_as_go_prints_them() {
        assert_eq!(qualified("[]Container", "v1"), "[]v1.Container");
        assert_eq!(qualified("map[string]string", "v1"), "map[string]string");
        assert_eq!(qualified("*metav1.Time", "v2"), "*v1.Time");
        assert_eq!(qualified("resource.Quantity", "v1"), "resource.Quantity");
    }
}
