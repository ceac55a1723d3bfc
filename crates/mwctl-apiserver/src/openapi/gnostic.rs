//! The document of `OpenAPI` 2 in the protobuf layout of gnostic, which kubectl up to 1.27 reads and the `apply` of later ones. Only what the
//! document has is written.

use serde_json::{Map, Value};

/// A message that grows field by field.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn bytes(mut self, number: u32, bytes: &[u8]) -> Self {
        self.varint(u64::from(number) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, number: u32, text: &str) -> Self {
        self.bytes(number, text.as_bytes())
    }

    fn message(self, number: u32, message: &Self) -> Self {
        self.bytes(number, &message.0)
    }

    fn flag(mut self, number: u32) -> Self {
        self.varint(u64::from(number) << 3);
        self.varint(1);
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// The document as protobuf.
pub(super) fn document(document: &Value) -> Vec<u8> {
    let info = Message::default()
        .text(1, text(&document["info"]["title"]))
        .text(2, text(&document["info"]["version"]));
    let mut paths = Message::default();
    for (path, value) in entries(&document["paths"]) {
        paths = paths.message(
            2,
            &Message::default().text(1, path).message(2, &item(value)),
        );
    }
    let mut definitions = Message::default();
    for (name, value) in entries(&document["definitions"]) {
        definitions = definitions.message(1, &named(name, &schema(value)));
    }
    Message::default()
        .text(1, text(&document["swagger"]))
        .message(2, &info)
        .message(8, &paths)
        .message(9, &definitions)
        .0
}

/// A path with its operations.
fn item(value: &Value) -> Message {
    let mut message = Message::default();
    for (method, number) in [
        ("get", 2),
        ("put", 3),
        ("post", 4),
        ("delete", 5),
        ("patch", 8),
    ] {
        if let Some(known) = value.get(method) {
            message = message.message(number, &operation(known));
        }
    }
    for value in items(&value["parameters"]) {
        message = message.message(9, &parameter(value));
    }
    message
}

fn operation(value: &Value) -> Message {
    let mut message = Message::default();
    for value in items(&value["parameters"]) {
        message = message.message(8, &parameter(value));
    }
    let response = Message::default().message(1, &Message::default().text(1, "OK"));
    let responses = Message::default().message(1, &named("200", &response));
    extended(message.message(9, &responses), 13, value)
}

/// A parameter in the query or in the path, in the message that stands for one of its many kinds.
fn parameter(value: &Value) -> Message {
    let place = text(&value["in"]);
    let mut inner = Message::default();
    if value["required"] == true {
        inner = inner.flag(1);
    }
    let inner = inner.text(2, place).text(4, text(&value["name"]));
    let message = if place == "path" {
        Message::default().message(4, &inner.text(5, text(&value["type"])))
    } else {
        Message::default().message(3, &inner.text(6, text(&value["type"])))
    };
    Message::default().message(1, &Message::default().message(2, &message))
}

fn schema(value: &Value) -> Message {
    let mut message = Message::default();
    for (name, number) in [("$ref", 1), ("format", 2)] {
        if let Some(text) = value[name].as_str() {
            message = message.text(number, text);
        }
    }
    if let Some(default) = value.get("default") {
        message = message.message(5, &any(default));
    }
    for name in items(&value["required"]) {
        message = message.text(19, text(name));
    }
    for known in items(&value["enum"]) {
        message = message.message(20, &any(known));
    }
    if let Some(inner) = value.get("additionalProperties") {
        message = message.message(21, &Message::default().message(1, &schema(inner)));
    }
    if let Some(kind) = value["type"].as_str() {
        message = message.message(22, &Message::default().text(1, kind));
    }
    if let Some(inner) = value.get("items") {
        message = message.message(23, &Message::default().message(1, &schema(inner)));
    }
    if let Some(properties) = value.get("properties") {
        let mut inner = Message::default();
        for (name, value) in entries(properties) {
            inner = inner.message(1, &named(name, &schema(value)));
        }
        message = message.message(25, &inner);
    }
    extended(message, 31, value)
}

/// What Kubernetes says in names of its own.
fn extended(mut message: Message, number: u32, value: &Value) -> Message {
    for (name, value) in entries(value).filter(|(name, _)| name.starts_with("x-")) {
        message = message.message(number, &named(name, &any(value)));
    }
    message
}

/// A value as YAML, of which JSON is a part.
fn any(value: &Value) -> Message {
    Message::default().text(2, &value.to_string())
}

fn named(name: &str, value: &Message) -> Message {
    Message::default().text(1, name).message(2, value)
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
