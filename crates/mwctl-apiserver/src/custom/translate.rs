//! A definition in the terms of [`Schema`]: what discovery, patches, ownership and documents ask of every kind.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::prune::metadata_type;
use super::structural::Node;
use crate::kinds;
use crate::schema::{
    Column, Field, Gvk, ListKind, Resource, Schema, Shape, Struct, StructId, Subresource,
};

/// The schema of the served version of a definition.
pub(super) fn schema(definition: &Value, version: &Value, root: &Node) -> Schema {
    let resource = resource(definition, version);
    let mut schema = Schema {
        version: text(&definition["metadata"]["resourceVersion"]),
        ..Schema::default()
    };
    let builtin = kinds::builtin();
    let mut imported = HashMap::new();
    let metadata =
        metadata_type(&builtin).map(|id| import(&builtin, id, &mut schema, &mut imported));

    let mut domain: Vec<&str> = resource.gvk.group.split('.').collect();
    domain.reverse();
    let name = format!(
        "{}.{}.{}",
        domain.join("."),
        resource.gvk.version,
        resource.gvk.kind
    );
    let id = structure(root, &name, &mut schema);
    let object = &mut schema.structs[id.0 as usize];
    object.told = Some(version["schema"]["openAPIV3Schema"].clone());
    for field in ["apiVersion", "kind"] {
        object.fields.insert(field.to_owned(), of(Shape::String));
    }
    if let Some(metadata) = metadata {
        object
            .fields
            .insert("metadata".to_owned(), of(Shape::Struct(metadata)));
    }
    schema.kinds.insert(resource.gvk.clone(), id);
    for sub in &resource.subresources {
        if sub.gvk != resource.gvk
            && let Some(scale) = builtin.kind(&sub.gvk)
        {
            let id = import(&builtin, scale, &mut schema, &mut imported);
            schema.kinds.insert(sub.gvk.clone(), id);
        }
    }
    schema.resources.push(resource);
    schema
}

fn resource(definition: &Value, version: &Value) -> Resource {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let gvk = Gvk {
        group: text(&spec["group"]),
        version: text(&version["name"]),
        kind: text(&names["kind"]),
    };
    let owned = |verbs: &[&str]| {
        verbs
            .iter()
            .map(|verb| (*verb).to_owned())
            .collect::<Vec<_>>()
    };
    let below = owned(&["get", "patch", "update"]);
    let mut subresources = Vec::new();
    if !version["subresources"]["scale"].is_null() {
        subresources.push(Subresource {
            name: "scale".to_owned(),
            gvk: Gvk {
                group: "autoscaling".to_owned(),
                version: "v1".to_owned(),
                kind: "Scale".to_owned(),
            },
            verbs: below.clone(),
        });
    }
    if !version["subresources"]["status"].is_null() {
        subresources.push(Subresource {
            name: "status".to_owned(),
            gvk: gvk.clone(),
            verbs: below,
        });
    }
    Resource {
        plural: text(&names["plural"]),
        singular: text(&names["singular"]),
        namespaced: spec["scope"] == "Namespaced",
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        verbs: owned(&[
            "create",
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "update",
            "watch",
        ]),
        subresources,
        columns: columns(version),
        gvk,
    }
}

/// The name, what the definition wants to show, and the age unless it does.
fn columns(version: &Value) -> Vec<Column> {
    let column = |name: &str, kind: &str, format: &str, description: &str| Column {
        name: name.to_owned(),
        kind: kind.to_owned(),
        format: format.to_owned(),
        description: description.to_owned(),
        path: String::new(),
        priority: 0,
    };
    let mut columns = vec![column("Name", "string", "name", "The name of the object")];
    let own = version["additionalPrinterColumns"].as_array();
    match own.filter(|own| !own.is_empty()) {
        Some(own) => columns.extend(own.iter().map(|told| Column {
            path: text(&told["jsonPath"]),
            priority: told["priority"].as_i64().unwrap_or_default() as i32,
            ..column(
                &text(&told["name"]),
                &text(&told["type"]),
                &text(&told["format"]),
                &text(&told["description"]),
            )
        })),
        None => columns.push(Column {
            path: ".metadata.creationTimestamp".to_owned(),
            ..column("Age", "date", "", "The age of the object")
        }),
    }
    columns
}

/// Adds a type with the fields of a schema.
fn structure(node: &Node, name: &str, schema: &mut Schema) -> StructId {
    let mut fields = BTreeMap::new();
    for (field, inner) in &node.properties {
        let shape = shape(inner, &format!("{name}.{field}"), schema);
        fields.insert(
            field.clone(),
            Field {
                required: node.required.contains(field),
                default: inner.default.clone(),
                values: inner
                    .limits
                    .values
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect(),
                ..of(shape)
            },
        );
    }
    let id = StructId(schema.structs.len() as u32);
    schema.structs.push(Struct {
        name: name.to_owned(),
        fields,
        open: node.open,
        atomic: node.atomic,
        told: None,
    });
    id
}

fn shape(node: &Node, name: &str, schema: &mut Schema) -> Shape {
    if node.int_or_string {
        return Shape::IntOrString;
    }
    match node.kind.as_str() {
        "string" => Shape::String,
        "boolean" => Shape::Bool,
        "integer" => Shape::Int64,
        "number" => Shape::Float,
        "array" => Shape::List {
            item: Box::new(node.items.as_ref().map_or(Shape::Any, |item| {
                shape(item, &format!("{name}.items"), schema)
            })),
            kind: match &node.list {
                // Without the keys' defaults nobody could tell items apart.
                ListKind::Map(keys) if keys.is_empty() => ListKind::Atomic,
                kind => kind.clone(),
            },
        },
        "object" => match &node.additional {
            Some(value) if node.properties.is_empty() => Shape::Map {
                value: Box::new(shape(value, &format!("{name}.values"), schema)),
                atomic: node.atomic,
            },
            _ if node.properties.is_empty() => Shape::Any,
            _ => Shape::Struct(structure(node, name, schema)),
        },
        _ => Shape::Any,
    }
}

/// Copies a built-in type and whatever is in it.
fn import(
    from: &Schema,
    id: StructId,
    into: &mut Schema,
    done: &mut HashMap<StructId, StructId>,
) -> StructId {
    if let Some(known) = done.get(&id) {
        return *known;
    }
    let new = StructId(into.structs.len() as u32);
    done.insert(id, new);
    into.structs.push(Struct::default());
    let source = from.structure(id);
    let mut fields = BTreeMap::new();
    for (name, field) in &source.fields {
        let shape = import_shape(from, &field.shape, into, done);
        fields.insert(
            name.clone(),
            Field {
                shape,
                ..field.clone()
            },
        );
    }
    into.structs[new.0 as usize] = Struct {
        name: source.name.clone(),
        fields,
        open: source.open,
        atomic: source.atomic,
        told: source.told.clone(),
    };
    new
}

fn import_shape(
    from: &Schema,
    shape: &Shape,
    into: &mut Schema,
    done: &mut HashMap<StructId, StructId>,
) -> Shape {
    match shape {
        Shape::Struct(id) => Shape::Struct(import(from, *id, into, done)),
        Shape::Map { value, atomic } => Shape::Map {
            value: Box::new(import_shape(from, value, into, done)),
            atomic: *atomic,
        },
        Shape::List { item, kind } => Shape::List {
            item: Box::new(import_shape(from, item, into, done)),
            kind: kind.clone(),
        },
        other => other.clone(),
    }
}

fn of(shape: Shape) -> Field {
    Field {
        shape,
        ..Field::default()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(text).collect()
}
