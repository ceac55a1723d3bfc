//! A refusal in the words of the Kubernetes API: the `Status` object, its code and its reason. It decides nothing; those who refuse do.

use serde_json::{Map, Value, json};

/// A request that was refused, as the API answers it (`meta/v1 Status` with `status: Failure`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The HTTP status code.
    pub code: u16,
    /// The machine-readable reason, such as `NotFound`; empty where upstream leaves it out.
    pub reason: &'static str,
    /// What a person reads.
    pub message: String,
    /// Which object it is about, and each cause; boxed because most answers have none.
    pub details: Option<Box<Details>>,
}

/// What a refusal is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// The object's name, where there is one.
    pub name: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource's plural for most reasons, the kind for `Invalid`.
    pub kind: String,
    /// Every single problem.
    pub causes: Vec<Cause>,
    /// After how many seconds to try again.
    pub retry_after_seconds: Option<u32>,
    /// Where a list can be gone on with all the same (`metadata.continue`).
    pub resume: Option<String>,
}

/// One problem of a refused object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The kind of problem, such as `FieldValueRequired` or `FieldManagerConflict`.
    pub reason: &'static str,
    /// What a person reads.
    pub message: String,
    /// The path of the field, such as `spec.containers[0].image`.
    pub field: String,
}

impl Status {
    /// A refusal without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
        }
    }

    /// The same refusal, about this object.
    #[must_use]
    pub fn about(mut self, group: &str, kind: &str, name: &str) -> Self {
        let details = self.details.get_or_insert_default();
        group.clone_into(&mut details.group);
        kind.clone_into(&mut details.kind);
        name.clone_into(&mut details.name);
        self
    }

    /// The same refusal with its causes.
    #[must_use]
    pub fn because(mut self, causes: Vec<Cause>) -> Self {
        self.details.get_or_insert_default().causes = causes;
        self
    }

    /// The same refusal with the token by which the list can be gone on with.
    #[must_use]
    pub fn resumable(mut self, token: String) -> Self {
        self.details.get_or_insert_default().resume = Some(token);
        self
    }

    /// `400 BadRequest`.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// `404 NotFound` of an object, `pods "a" not found`.
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        Self::new(
            404,
            "NotFound",
            format!("{} \"{name}\" not found", qualified(group, resource)),
        )
        .about(group, resource, name)
    }

    /// `409 AlreadyExists` of an object.
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", qualified(group, resource));
        Self::new(409, "AlreadyExists", message).about(group, resource, name)
    }

    /// `409 Conflict` of an object: `why` follows the colon of upstream's sentence.
    pub fn conflict(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            qualified(group, resource)
        );
        Self::new(409, "Conflict", message).about(group, resource, name)
    }

    /// `410 Expired`: the revision asked for is no longer kept.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// `422 Invalid` of an object, with every cause in the message as upstream joins them.
    pub fn invalid(group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let told: Vec<String> = causes
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        let told = if let [one] = told.as_slice() {
            one.clone()
        } else {
            format!("[{}]", told.join(", "))
        };
        let message = format!("{} \"{name}\" is invalid: {told}", qualified(group, kind));
        Self::new(422, "Invalid", message)
            .about(group, kind, name)
            .because(causes)
    }

    /// `500 InternalError`.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "InternalError", message)
    }

    /// The object a client receives.
    pub fn to_value(&self) -> Value {
        let mut object = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message});
        if let Some(object) = object.as_object_mut() {
            if !self.reason.is_empty() {
                object.insert("reason".to_owned(), json!(self.reason));
            }
            if let Some(details) = &self.details {
                if let Some(token) = &details.resume {
                    object.insert("metadata".to_owned(), json!({"continue": token}));
                }
                object.insert("details".to_owned(), details.to_value());
            }
            object.insert("code".to_owned(), json!(self.code));
        }
        object
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

impl Details {
    fn to_value(&self) -> Value {
        let mut object = Map::new();
        for (key, value) in [
            ("name", &self.name),
            ("group", &self.group),
            ("kind", &self.kind),
        ] {
            if !value.is_empty() {
                object.insert(key.to_owned(), json!(value));
            }
        }
        if !self.causes.is_empty() {
            let causes = self.causes.iter().map(|cause| {
                let mut told = json!({"reason": cause.reason, "message": cause.message});
                if !cause.field.is_empty() {
                    told["field"] = json!(cause.field);
                }
                told
            });
            object.insert("causes".to_owned(), causes.collect());
        }
        if let Some(seconds) = self.retry_after_seconds {
            object.insert("retryAfterSeconds".to_owned(), json!(seconds));
        }
        Value::Object(object)
    }
}

/// `deployments.apps`, or `pods` for the core group.
pub fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() {
        resource.to_owned()
    } else {
        format!("{resource}.{group}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_is_missing_is_named_with_its_group() {
        let status = Status::not_found("apps", "deployments", "a");
        assert_eq!(
            status.to_value(),
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "deployments.apps \"a\" not found",
                "reason": "NotFound", "details": {"name": "a", "group": "apps", "kind": "deployments"}, "code": 404})
        );
    }

    #[test]
    fn several_causes_stand_in_brackets_and_one_alone() {
        let cause = |field: &str| Cause {
            reason: "FieldValueRequired",
            message: "Required value".to_owned(),
            field: field.to_owned(),
        };
        assert_eq!(
            Status::invalid("", "Pod", "p", vec![cause("spec.a")]).message,
            "Pod \"p\" is invalid: spec.a: Required value"
        );
        assert_eq!(
            Status::invalid(
                "apps",
                "Deployment",
                "d",
                vec![cause("spec.a"), cause("spec.b")]
            )
            .message,
            "Deployment.apps \"d\" is invalid: [spec.a: Required value, spec.b: Required value]"
        );
    }
}
