//! Requests for certificates: who makes one is written into it by the server, whatever it says itself, and what is asked for never changes.

use super::Served;
use crate::access::User;
use serde_json::{Value, json};

fn is_request(resource: &Served) -> bool {
    resource.gvk.group == "certificates.k8s.io" && resource.gvk.kind == "CertificateSigningRequest"
}

/// Writes into a new request whose it is.
pub(super) fn attribute(resource: &Served, request: &mut Value, user: Option<&User>) {
    if !is_request(resource) {
        return;
    }
    let Some(spec) = request.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    for field in ["username", "uid", "groups", "extra"] {
        spec.shift_remove(field);
    }
    let Some(user) = user else { return };
    spec.insert("username".to_owned(), json!(user.name));
    if !user.uid.is_empty() {
        spec.insert("uid".to_owned(), json!(user.uid));
    }
    if !user.groups.is_empty() {
        spec.insert("groups".to_owned(), json!(user.groups));
    }
}

/// Leaves a request what it was when it was made.
pub(super) fn keep(resource: &Served, live: &Value, proposed: &mut Value) {
    if is_request(resource) && proposed.is_object() {
        proposed["spec"] = live["spec"].clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;
    use crate::patch::PatchKind;
    use crate::registry::{Change, Registry, Target, WriteOptions};

    #[test]
    fn a_request_is_its_makers_and_only_its_status_changes() {
        let registry = Registry::new(kinds::builtin()).unwrap();
        let resource = registry.resource("certificates.k8s.io", "v1", "certificatesigningrequests");
        let target = Target {
            resource: resource.unwrap(),
            namespace: String::new(),
            name: String::new(),
            subresource: String::new(),
        };
        let options = WriteOptions {
            user: Some(User {
                name: "jane".to_owned(),
                uid: String::new(),
                groups: vec!["system:masters".to_owned()],
                extra: std::collections::BTreeMap::new(),
            }),
            ..WriteOptions::default()
        };
        let body = json!({
            "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "a"},
            "spec": {"request": "YQ==", "signerName": "example.org/signer", "usages": ["client auth"], "username": "root"},
        });
        let made = registry.create(&target, body, &options).unwrap().object;
        assert_eq!(made.value()["spec"]["username"], "jane");
        let approval = Target {
            name: "a".to_owned(),
            subresource: "approval".to_owned(),
            ..target
        };
        let patch = json!({"spec": {"username": "root"}, "status": {"conditions": [
            {"type": "Approved", "status": "True", "reason": "so"}]}});
        let change = Change::Patch(PatchKind::Merge, patch);
        let approved = registry
            .change(&approval, &change, &options)
            .unwrap()
            .object;
        assert_eq!(approved.value()["spec"]["username"], "jane");
        assert_eq!(
            approved.value()["status"]["conditions"][0]["type"],
            "Approved"
        );
    }
}
