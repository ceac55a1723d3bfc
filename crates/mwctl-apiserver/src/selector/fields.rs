//! Field selectors: `metadata.name=a,status.phase!=Running`. Which fields a kind knows is a table here, as it is in Kubernetes.

use crate::registry::views;
use crate::schema::Gvk;
use serde_json::Value;

/// All terms must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    field: String,
    value: String,
    equal: bool,
}

impl FieldSelector {
    /// Reads a selector for objects of `kind`; an empty text selects everything.
    pub fn parse(text: &str, kind: &Gvk) -> Result<Self, String> {
        let mut terms = Vec::new();
        for part in split(text).into_iter().filter(|part| !part.is_empty()) {
            let not_understood =
                || format!("invalid selector: '{text}'; can't understand '{part}'");
            let term = Term::parse(part).ok_or_else(not_understood)??;
            if !knows(kind, &term.field) {
                return Err(unknown(kind, &term.field));
            }
            terms.push(term.into_stored(kind));
        }
        Ok(Self { terms })
    }

    /// Whether there is no term.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether an object satisfies every term.
    pub fn matches(&self, object: &Value) -> bool {
        self.terms
            .iter()
            .all(|term| (field(object, &term.field) == term.value) == term.equal)
    }

    /// The value that a field of every fitting object has, if the selector says so.
    pub fn equal(&self, field: &str) -> Option<&str> {
        let term = self
            .terms
            .iter()
            .find(|term| term.equal && term.field == field);
        term.map(|term| term.value.as_str())
    }
}

impl Term {
    /// `field=value`, `field==value` or `field!=value`; none without a sign.
    fn parse(part: &str) -> Option<Result<Self, String>> {
        let mut signs = part.char_indices();
        let (at, length, equal) = loop {
            let (at, letter) = signs.next()?;
            match (letter, part[at..].chars().nth(1)) {
                ('\\', _) => drop(signs.next()),
                ('!', Some('=')) => break (at, 2, false),
                ('=', Some('=')) => break (at, 2, true),
                ('=', _) => break (at, 1, true),
                _ => {}
            }
        };
        let term = unescape(&part[at + length..]).map(|value| Self {
            field: part[..at].to_owned(),
            value,
            equal,
        });
        Some(term)
    }

    /// The same about the field that objects of this kind are stored with.
    fn into_stored(mut self, kind: &Gvk) -> Self {
        if views::is_newer_event(kind) {
            let (field, rest) = self
                .field
                .split_at(self.field.find('.').unwrap_or(self.field.len()));
            self.field = format!("{}{rest}", views::stored_name(field));
        }
        self
    }
}

/// The terms between commas; a comma after a backslash belongs to a value.
fn split(text: &str) -> Vec<&str> {
    let mut escaped = false;
    text.split(move |letter: char| {
        let separates = letter == ',' && !escaped;
        escaped = letter == '\\' && !escaped;
        separates
    })
    .collect()
}

fn unescape(value: &str) -> Result<String, String> {
    let mut letters = value.chars();
    let mut plain = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => plain.push(escaped),
                Some(other) => {
                    return Err(format!(
                        "invalid field selector: invalid escape sequence: \\{other}"
                    ));
                }
                None => {
                    return Err("invalid field selector: invalid escape sequence: \\".to_owned());
                }
            },
            ',' | '=' => {
                return Err(format!(
                    "invalid field selector: invalid unescaped character in value: {letter}"
                ));
            }
            plain_letter => plain.push(plain_letter),
        }
    }
    Ok(plain)
}

/// The fields that can be selected by, apart from name and namespace, which every kind has.
fn fields_of(kind: &Gvk) -> &'static [&'static str] {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Pod") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        ("", "Node") => &["spec.unschedulable"],
        ("", "Namespace") => &["status.phase", "name"],
        ("", "Secret") => &["type"],
        ("", "Service") => &["spec.clusterIP", "spec.type"],
        ("", "ReplicationController") => &["status.replicas"],
        ("", "Event") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "Event") => &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        ("batch", "Job") => &["status.successful"],
        ("certificates.k8s.io", "CertificateSigningRequest") => &["spec.signerName"],
        _ => &[],
    }
}

fn knows(kind: &Gvk, field: &str) -> bool {
    matches!(field, "metadata.name" | "metadata.namespace") || fields_of(kind).contains(&field)
}

fn unknown(kind: &Gvk, field: &str) -> String {
    if kind.kind == "Job" {
        format!("field label \"{field}\" not supported for Job")
    } else if fields_of(kind).is_empty() {
        format!(
            "\"{field}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        )
    } else {
        format!("field label not supported: {field}")
    }
}

/// The value of a field as text; absent ones are empty, or what their absence means.
fn field(object: &Value, path: &str) -> String {
    let pointer = match path {
        "name" => "/metadata/name".to_owned(),
        "source" => "/source/component".to_owned(),
        "status.successful" => "/status/succeeded".to_owned(),
        "spec.hostNetwork" => "/spec/hostNetwork".to_owned(),
        other => format!("/{}", other.replace('.', "/")),
    };
    match (object.pointer(&pointer), path) {
        (Some(Value::String(text)), _) => text.clone(),
        (Some(Value::Bool(flag)), _) => flag.to_string(),
        (Some(Value::Number(number)), _) => number.to_string(),
        (_, "spec.unschedulable" | "spec.hostNetwork") => "false".to_owned(),
        (_, "status.replicas" | "status.successful") => "0".to_owned(),
        (_, "source") => field(object, "reportingComponent"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kind(group: &str, kind: &str) -> Gvk {
        Gvk {
            group: group.to_owned(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
        }
    }

    #[test]
    fn terms_compare_fields_as_text() {
        let pod = json!({"metadata": {"name": "a", "namespace": "n"}, "spec": {"nodeName": "m"}, "status": {"phase": "Running"}});
        for (selector, expected) in [
            ("", true),
            (",", true),
            ("metadata.name=a", true),
            ("metadata.name==a,metadata.namespace=n,", true),
            ("status.phase!=Running", false),
            ("spec.nodeName=", false),
            ("spec.hostNetwork=false", true),
            ("metadata.name=a\\,b", false),
        ] {
            let fields = FieldSelector::parse(selector, &kind("", "Pod")).unwrap();
            assert_eq!(fields.matches(&pod), expected, "{selector}");
        }
        let node = FieldSelector::parse("spec.unschedulable=false", &kind("", "Node")).unwrap();
        assert!(
            node.matches(&json!({"spec": {}}))
                && !node.matches(&json!({"spec": {"unschedulable": true}}))
        );
    }

    #[test]
    fn newer_events_are_selected_by_what_is_stored() {
        let newer = kind("events.k8s.io", "Event");
        let fields = FieldSelector::parse("regarding.name=a,reason!=b", &newer).unwrap();
        assert!(fields.matches(&json!({"involvedObject": {"name": "a"}, "reason": "c"})));
        assert!(!fields.matches(&json!({"involvedObject": {"name": "b"}})));
    }

    #[test]
    fn what_a_field_must_be_can_be_read_from_a_selector() {
        let name = |text| {
            let fields = FieldSelector::parse(text, &kind("", "Pod")).unwrap();
            fields.equal("metadata.name").map(str::to_owned)
        };
        assert_eq!(
            name("status.phase=Running,metadata.name=a").as_deref(),
            Some("a")
        );
        assert_eq!(name("metadata.name!=a"), None);
    }

    #[test]
    fn what_is_no_selector_or_no_field_is_refused_in_upstreams_words() {
        let told = |text, kind| FieldSelector::parse(text, &kind).unwrap_err();
        assert_eq!(
            told("foo=bar", kind("", "Pod")),
            "field label not supported: foo"
        );
        assert_eq!(
            told("foo=bar", kind("batch", "Job")),
            "field label \"foo\" not supported for Job"
        );
        assert_eq!(
            told("foo=bar", kind("apps", "Deployment")),
            "\"foo\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        );
        assert_eq!(
            told("foo", kind("", "Pod")),
            "invalid selector: 'foo'; can't understand 'foo'"
        );
        assert_eq!(
            told("!a", kind("", "Pod")),
            "invalid selector: '!a'; can't understand '!a'"
        );
        assert_eq!(
            told("a=\\b", kind("", "Pod")),
            "invalid field selector: invalid escape sequence: \\b"
        );
    }
}
