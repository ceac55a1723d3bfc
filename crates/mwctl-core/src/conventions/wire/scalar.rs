//! Single values that people write in more than one way: `8080` or `"{{ facts.port }}"`, `redis` or
//! `{service: redis}`.
//!
//! Each has its own schema without alternatives, so that a wrong value gets one clear sentence.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

/// A text; a number or a truth value is taken as it is written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Scalar(pub(crate) String);

/// A whole number, or a template that gives one. Whether it is one is checked when it is used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Whole(pub(crate) String);

/// A port by its number or name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PortReference(pub(crate) String);

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, a number or a truth value")
    }

    fn visit_str<E>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }

    fn visit_i64<E>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_f64<E>(self, value: f64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_bool<E>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }
}

macro_rules! scalar {
    ($type:ident, $schema:tt) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(ScalarVisitor).map(Self)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

scalar!(Scalar, { "type": ["string", "number", "boolean"] });
scalar!(Whole, { "type": ["integer", "string"], "minimum": 0, "maximum": 4_294_967_295_u32, "pattern": "^\\{\\{.*\\}\\}$" });
scalar!(PortReference, { "type": ["string", "integer"], "minimum": 1, "maximum": 65535 });

/// A needed service: its name, or its name with the condition that is waited for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Need {
    pub(crate) service: String,
    pub(crate) condition: Condition,
}

/// What a needed service must have reached before the needing one is deployed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Condition {
    #[default]
    Ready,
    Started,
    Completed,
    Eventually,
}

struct NeedVisitor;

impl<'de> Visitor<'de> for NeedVisitor {
    type Value = Need;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a service's name, or a map with `service`")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Need, E> {
        Ok(Need {
            service: value.to_owned(),
            condition: Condition::default(),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Need, A::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Long {
            service: String,
            #[serde(default)]
            condition: Condition,
        }
        let long = Long::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Need {
            service: long.service,
            condition: long.condition,
        })
    }
}

impl<'de> Deserialize<'de> for Need {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NeedVisitor)
    }
}

impl JsonSchema for Need {
    fn schema_name() -> Cow<'static, str> {
        "Need".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A needed service: its name, or a map with the condition that is waited for.",
            "type": ["string", "object"],
            "properties": {
                "service": { "type": "string", "description": "The service's name." },
                "condition": {
                    "type": "string",
                    "enum": ["ready", "started", "completed", "eventually"],
                    "description": "What it must have reached before this one is deployed: its pods are ready, its containers run, its job has run to its end, or nothing (it is only talked to, so that cycles are legal). Default: `ready`."
                }
            },
            "required": ["service"],
            "additionalProperties": false
        })
    }
}
