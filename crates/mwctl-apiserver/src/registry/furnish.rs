//! What a new pod gets from other objects: its service account with a token, and what its runtime class asks for. It is nobody's field, as
//! with Kubernetes: whoever wrote the pod said nothing of it.

use super::{Registry, Target, stamp, text};
use crate::status::Status;
use crate::storage::{GroupResource, Key};
use serde_json::{Value, json};

/// The account of a pod that names none.
const ACCOUNT: &str = "default";

/// Where containers find their token.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The pod is another API server's object, of which this one only tells.
const MIRROR: &str = "kubernetes.io~1config.mirror";

impl Registry {
    /// Furnishes a new pod; other objects stay as they are.
    pub(super) fn furnish(&self, target: &Target, pod: &mut Value) -> Result<(), Status> {
        let gvk = &target.resource.gvk;
        let mirrors = pod
            .pointer(&format!("/metadata/annotations/{MIRROR}"))
            .is_some();
        if !gvk.group.is_empty() || gvk.kind != "Pod" || !pod["spec"].is_object() || mirrors {
            return Ok(());
        }
        self.give_account(target, pod)?;
        self.ask_runtime_class(target, pod)
    }

    fn give_account(&self, target: &Target, pod: &mut Value) -> Result<(), Status> {
        let name = match text(pod, "/spec/serviceAccountName") {
            "" => ACCOUNT.to_owned(),
            name => name.to_owned(),
        };
        let accounts = GroupResource::new("", "serviceaccounts");
        let account = self
            .store
            .get(&accounts, &Key::new(&target.namespace, &name));
        // Every namespace is about to have the default one: nobody should have to wait for it.
        if account.is_none() && name != ACCOUNT {
            let account = format!("{}/{name}", target.namespace);
            let why = format!(
                "error looking up service account {account}: serviceaccount \"{name}\" not found"
            );
            return Err(target.forbidden(text(pod, "/metadata/name"), &why));
        }
        let account = account.as_ref().map(|account| account.value());
        let spec = &mut pod["spec"];
        spec["serviceAccountName"] = json!(name);
        spec["serviceAccount"] = json!(name);
        let field = "automountServiceAccountToken";
        let says = |value: Option<&Value>| value.and_then(|value| value[field].as_bool());
        if says(Some(&*spec)).or_else(|| says(account)).unwrap_or(true) {
            mount_token(spec);
        }
        let pulls = account.map(|account| account["imagePullSecrets"].clone());
        if let Some(pulls) = pulls.filter(|pulls| !pulls.is_null())
            && spec["imagePullSecrets"].is_null()
        {
            spec["imagePullSecrets"] = pulls;
        }
        Ok(())
    }

    /// The overhead and the placement of a pod's runtime class, which has to be there.
    fn ask_runtime_class(&self, target: &Target, pod: &mut Value) -> Result<(), Status> {
        let name = text(pod, "/spec/runtimeClassName").to_owned();
        if name.is_empty() {
            return Ok(());
        }
        let refuse = |pod: &Value, why: &str| {
            let why = format!("pod rejected: {why}");
            Err(target.forbidden(text(pod, "/metadata/name"), &why))
        };
        let classes = GroupResource::new("node.k8s.io", "runtimeclasses");
        let Some(class) = self.store.get(&classes, &Key::new("", &name)) else {
            return refuse(pod, &format!("RuntimeClass \"{name}\" not found"));
        };
        let class = class.value();
        let overhead = class["overhead"]["podFixed"].clone();
        let own = pod["spec"]["overhead"].clone();
        if !own.is_null() && own != overhead {
            let why = "Pod's Overhead doesn't match RuntimeClass's defined Overhead";
            return refuse(pod, why);
        }
        if !overhead.is_null() {
            pod["spec"]["overhead"] = overhead;
        }
        let scheduling = &class["scheduling"];
        for (label, value) in scheduling["nodeSelector"].as_object().into_iter().flatten() {
            let chosen = &mut pod["spec"]["nodeSelector"];
            if !chosen.is_object() {
                *chosen = json!({});
            }
            if chosen.get(label).is_some_and(|known| known != value) {
                let why = "conflict: node selectors of the pod and of its RuntimeClass differ";
                return refuse(pod, why);
            }
            chosen[label] = value.clone();
        }
        let tolerations = scheduling["tolerations"].as_array().cloned();
        let tolerations = tolerations.unwrap_or_default();
        match pod
            .pointer_mut("/spec/tolerations")
            .and_then(Value::as_array_mut)
        {
            Some(own) => own.extend(tolerations),
            None if tolerations.is_empty() => {}
            None => pod["spec"]["tolerations"] = json!(tolerations),
        }
        Ok(())
    }
}

/// A volume with a token, and a mount of it in every container that has none at its place.
fn mount_token(spec: &mut Value) {
    let mut volume = None;
    for field in ["initContainers", "containers"] {
        // Indexing would leave a null where the pod has no such field, which is another pod to whoever compares.
        let containers = spec.get_mut(field).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let mounts = &mut container["volumeMounts"];
            if !mounts.is_array() {
                *mounts = json!([]);
            }
            let Some(mounts) = mounts.as_array_mut() else {
                continue;
            };
            if mounts.iter().all(|mount| mount["mountPath"] != TOKEN) {
                let name = volume.get_or_insert_with(|| stamp::name("kube-api-access-"));
                mounts.push(json!({"name": name, "readOnly": true, "mountPath": TOKEN}));
            }
            if mounts.is_empty()
                && let Some(container) = container.as_object_mut()
            {
                container.shift_remove("volumeMounts");
            }
        }
    }
    let Some(name) = volume else { return };
    let volume = json!({"name": name, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [
            {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
        ]}},
    ]}});
    match spec["volumes"].as_array_mut() {
        Some(volumes) => volumes.push(volume),
        None => spec["volumes"] = json!([volume]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;
    use crate::patch::PatchKind;
    use crate::registry::{Change, WriteOptions};
    use serde_json::json;

    fn made(registry: &Registry, spec: &Value) -> Result<Value, Status> {
        let body =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec});
        let target = registry.core("pods", "default", "").unwrap();
        let answer = registry.create(&target, body, &WriteOptions::default())?;
        Ok(answer.object.value()["spec"].clone())
    }

    fn put(registry: &Registry, group: &str, version: &str, plural: &str, object: Value) {
        let resource = registry.resource(group, version, plural).unwrap();
        let target = Target {
            namespace: if resource.namespaced { "default" } else { "" }.to_owned(),
            resource,
            name: String::new(),
            subresource: String::new(),
        };
        registry
            .create(&target, object, &WriteOptions::default())
            .unwrap();
    }

    #[test]
    fn a_pod_gets_the_default_account_and_a_token_for_each_container() {
        let registry = Registry::new(kinds::builtin()).unwrap();
        let mounted = json!([{"name": "own", "mountPath": TOKEN}]);
        let spec = json!({
            "containers": [{"name": "a", "image": "a"}, {"name": "b", "image": "b", "volumeMounts": mounted}],
            "volumes": [{"name": "own", "emptyDir": {}}],
        });
        let spec = made(&registry, &spec).unwrap();
        assert_eq!(spec["serviceAccountName"], "default");
        let name = &spec["volumes"][1]["name"];
        assert!(name.as_str().unwrap().starts_with("kube-api-access-"));
        assert_eq!(&spec["containers"][0]["volumeMounts"][0]["name"], name);
        assert_eq!(spec["containers"][1]["volumeMounts"][0]["name"], "own");
    }

    #[test]
    fn what_a_pod_was_given_is_no_change_when_somebody_else_changes_it() {
        let registry = Registry::new(kinds::builtin()).unwrap();
        made(
            &registry,
            &json!({"containers": [{"name": "a", "image": "a"}]}),
        )
        .unwrap();
        let target = registry.core("pods", "default", "p").unwrap();
        let patch = json!({"metadata": {"annotations": {"a": "b"}}});
        let change = Change::Patch(PatchKind::Merge, patch);
        let changed = registry.change(&target, &change, &WriteOptions::default());
        assert_eq!(
            changed.unwrap().object.value()["metadata"]["annotations"]["a"],
            "b"
        );
    }

    #[test]
    fn an_account_that_is_not_there_is_told_and_one_that_wants_no_token_gets_none() {
        let registry = Registry::new(kinds::builtin()).unwrap();
        let spec =
            json!({"serviceAccountName": "robot", "containers": [{"name": "a", "image": "a"}]});
        let refusal = made(&registry, &spec).unwrap_err();
        assert_eq!(
            refusal.message,
            "pods \"p\" is forbidden: error looking up service account default/robot: serviceaccount \"robot\" not found"
        );
        let robot = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}, "automountServiceAccountToken": false});
        put(&registry, "", "v1", "serviceaccounts", robot);
        let spec = made(&registry, &spec).unwrap();
        assert!(
            spec.get("volumes").is_none() && spec["containers"][0].get("volumeMounts").is_none()
        );
    }

    #[test]
    fn a_runtime_class_has_to_be_there_and_says_what_it_costs() {
        let registry = Registry::new(kinds::builtin()).unwrap();
        let spec = json!({"runtimeClassName": "kata", "containers": [{"name": "a", "image": "a"}]});
        let refusal = made(&registry, &spec).unwrap_err();
        assert_eq!(refusal.code, 403);
        let class = json!({
            "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "kata"}, "handler": "kata",
            "overhead": {"podFixed": {"cpu": "10m"}}, "scheduling": {"nodeSelector": {"vm": "yes"}, "tolerations": [{"key": "vm"}]},
        });
        put(&registry, "node.k8s.io", "v1", "runtimeclasses", class);
        let spec = made(&registry, &spec).unwrap();
        assert_eq!(
            (&spec["overhead"]["cpu"], &spec["nodeSelector"]["vm"]),
            (&json!("10m"), &json!("yes"))
        );
        let tolerated = spec["tolerations"].as_array().unwrap().iter();
        assert!(
            tolerated.filter(|it| it["key"] == "vm").count() == 1,
            "{spec}"
        );
    }
}
