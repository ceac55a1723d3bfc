//! What the server says of a definition: which names it got, that its objects are served, and that they are going.

use serde_json::{Value, json};

/// The finalizer that keeps a definition until its objects are gone.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Names that stand for a resource, and names that stand for a kind: two of one sort and group must differ.
const SORTS: [&[&str]; 2] = [&["plural", "singular", "shortNames"], &["kind", "listKind"]];

/// Writes the status that follows from a definition and from the others of the cluster. What others have written there stays.
pub fn conclude(definition: &mut Value, others: &[&Value], now: &str) {
    let names = definition["spec"]["names"].clone();
    let taken = taken(definition, others);
    let accepted = match &taken {
        None => json!({"status": "True", "reason": "NoConflicts", "message": "no conflicts found"}),
        Some((field, name)) => {
            let reason = format!("{}{}Conflict", field[..1].to_uppercase(), &field[1..]);
            json!({"status": "False", "reason": reason, "message": format!("\"{name}\" is already in use")})
        }
    };
    set_condition(definition, "NamesAccepted", accepted, now);
    if is_established(definition) {
        // Once it is served it stays so: a name that is taken is not accepted, and changes nothing else.
    } else if taken.is_none() {
        let established = json!({
            "status": "True", "reason": "InitialNamesAccepted", "message": "the initial names have been accepted",
        });
        set_condition(definition, "Established", established, now);
    } else {
        let refused = json!({"status": "False", "reason": "NotAccepted", "message": "not all names are accepted"});
        set_condition(definition, "Established", refused, now);
    }
    if taken.is_none() {
        definition["status"]["acceptedNames"] = names;
    } else if definition["status"]["acceptedNames"].is_null() {
        definition["status"]["acceptedNames"] = json!({"plural": "", "kind": ""});
    }
    note_storage_version(definition);
}

/// Marks a definition whose deletion begins.
pub fn end(definition: &mut Value, now: &str) {
    let finalizers = &mut definition["metadata"]["finalizers"];
    match finalizers.as_array_mut() {
        Some(finalizers) if finalizers.iter().any(|finalizer| finalizer == CLEANUP) => {}
        Some(finalizers) => finalizers.push(json!(CLEANUP)),
        None => *finalizers = json!([CLEANUP]),
    }
    let ending = json!({
        "status": "True", "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    });
    set_condition(definition, "Terminating", ending, now);
}

/// Whether the server serves the objects of a definition.
pub fn is_established(definition: &Value) -> bool {
    let conditions = definition["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

/// The first of the names that another definition of the group has.
fn taken(definition: &Value, others: &[&Value]) -> Option<(&'static str, String)> {
    let rivals: Vec<&Value> = others
        .iter()
        .filter(|other| {
            other["spec"]["group"] == definition["spec"]["group"]
                && other["metadata"]["name"] != definition["metadata"]["name"]
        })
        .map(|other| &other["status"]["acceptedNames"])
        .collect();
    SORTS.iter().find_map(|sort| {
        sort.iter().find_map(|field| {
            texts(&definition["spec"]["names"][field])
                .into_iter()
                .find(|name| {
                    rivals
                        .iter()
                        .any(|rival| sort.iter().any(|other| texts(&rival[other]).contains(name)))
                })
                .map(|name| (*field, name.to_owned()))
        })
    })
}

/// A text, or the texts of a list; without empty ones.
fn texts(value: &Value) -> Vec<&str> {
    let one = value.as_str().into_iter();
    let many = value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    one.chain(many).filter(|text| !text.is_empty()).collect()
}

fn note_storage_version(definition: &mut Value) {
    let versions = definition["spec"]["versions"].as_array();
    let storage = versions
        .into_iter()
        .flatten()
        .find(|version| version["storage"] == true)
        .map(|version| version["name"].clone());
    let Some(storage) = storage else { return };
    match definition["status"]["storedVersions"].as_array_mut() {
        Some(stored) if stored.contains(&storage) => {}
        Some(stored) => stored.push(storage),
        None => definition["status"]["storedVersions"] = json!([storage]),
    }
}

/// Puts a condition in its place; its time moves only with its status.
fn set_condition(definition: &mut Value, kind: &str, mut condition: Value, now: &str) {
    condition["type"] = json!(kind);
    condition["lastTransitionTime"] = json!(now);
    if !definition["status"].is_object() {
        definition["status"] = json!({});
    }
    let Some(conditions) = definition["status"]["conditions"].as_array_mut() else {
        definition["status"]["conditions"] = json!([condition]);
        return;
    };
    match conditions.iter_mut().find(|known| known["type"] == kind) {
        Some(known) => {
            if known["status"] == condition["status"] {
                condition["lastTransitionTime"] = known["lastTransitionTime"].clone();
            }
            *known = condition;
        }
        None => conditions.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(plural: &str, kind: &str) -> Value {
        json!({
            "metadata": {"name": format!("{plural}.example.org")},
            "spec": {
                "group": "example.org", "names": {"plural": plural, "kind": kind, "listKind": format!("{kind}List"), "shortNames": ["w"]},
                "versions": [{"name": "v1", "served": true, "storage": true}],
            },
        })
    }

    #[test]
    fn the_first_definition_gets_its_names_and_is_served() {
        let mut first = definition("widgets", "Widget");
        conclude(&mut first, &[], "now");
        assert!(is_established(&first));
        assert_eq!(first["status"]["acceptedNames"]["kind"], "Widget");
        assert_eq!(first["status"]["storedVersions"], json!(["v1"]));
        let before = first.clone();
        conclude(&mut first, &[], "later");
        assert_eq!(first, before);
    }

    #[test]
    fn names_that_another_one_has_are_not_accepted() {
        let mut first = definition("widgets", "Widget");
        conclude(&mut first, &[], "now");
        let mut second = definition("gadgets", "Widget");
        conclude(&mut second, &[&first], "now");
        assert!(!is_established(&second));
        assert_eq!(
            second["status"]["conditions"][0]["message"],
            "\"w\" is already in use"
        );
        second["spec"]["names"]["shortNames"] = json!([]);
        conclude(&mut second, &[&first], "now");
        assert_eq!(second["status"]["conditions"][0]["reason"], "KindConflict");
        conclude(&mut second, &[], "now");
        assert!(is_established(&second));
    }
}
