//! What namespaces ask of other objects, and those that every cluster begins with.

use super::{Registry, Target, WriteOptions, services, text};
use crate::access;
use crate::admission::classes;
use crate::status::{Cause, Status};
use crate::storage::{GroupResource, Key};
use serde_json::{Value, json};

/// The namespaces of every cluster.
const FIRST: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Those that cannot be deleted.
pub(super) const LASTING: [&str; 3] = ["default", "kube-system", "kube-public"];

impl Registry {
    /// Creates what a cluster begins with, as far as it is not there.
    pub(super) fn bootstrap(&self) -> Result<(), Status> {
        let options = WriteOptions {
            manager: "mwctl".to_owned(),
            ..WriteOptions::default()
        };
        for name in FIRST {
            let object =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            self.ensure(&self.core("namespaces", "", name)?, object, &options)?;
        }
        for mut object in access::bootstrap_objects() {
            let (group, plural) = (
                "rbac.authorization.k8s.io",
                text(&object, "/kind").to_lowercase() + "s",
            );
            let resource = self.resource(group, "v1", &plural);
            let target = Target {
                resource: resource
                    .ok_or_else(|| Status::internal(format!("there are no {plural}")))?,
                namespace: text(&object, "/metadata/namespace").to_owned(),
                name: String::new(),
                subresource: String::new(),
            };
            object["apiVersion"] = json!(target.resource.api_version());
            self.ensure(&target, object, &options)?;
        }
        for class in classes::first_priorities() {
            let resource = self.resource("scheduling.k8s.io", "v1", "priorityclasses");
            let target = Target {
                resource: resource.ok_or_else(|| Status::internal("there are no priorities"))?,
                namespace: String::new(),
                name: String::new(),
                subresource: String::new(),
            };
            self.ensure(&target, class, &options)?;
        }
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
            "spec": {
                "type": "ClusterIP", "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
                "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
            },
        });
        self.ensure(
            &self.core("services", "default", "kubernetes")?,
            service,
            &options,
        )?;
        let resource = self.resource("networking.k8s.io", "v1", "servicecidrs");
        let range = Target {
            resource: resource.ok_or_else(|| Status::internal("there are no servicecidrs"))?,
            namespace: String::new(),
            name: String::new(),
            subresource: String::new(),
        };
        let object = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "kubernetes"},
            "spec": {"cidrs": [services::RANGE]},
        });
        self.ensure(&range, object, &options)?;
        Ok(())
    }

    fn ensure(&self, target: &Target, object: Value, options: &WriteOptions) -> Result<(), Status> {
        match self.create(target, object, options) {
            Err(refusal) if refusal.reason != "AlreadyExists" => Err(refusal),
            _ => Ok(()),
        }
    }

    /// An object of the core group.
    pub(crate) fn core(&self, plural: &str, namespace: &str, name: &str) -> Result<Target, Status> {
        let resource = self.resource("", "v1", plural);
        Ok(Target {
            resource: resource.ok_or_else(|| Status::internal(format!("there are no {plural}")))?,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: String::new(),
        })
    }

    /// Refuses a new object whose namespace is not there, or not for long.
    pub(super) fn refuse_absent_namespace(&self, target: &Target) -> Result<(), Status> {
        if !target.resource.namespaced {
            return Ok(());
        }
        let name = &target.namespace;
        let namespace = self
            .store
            .get(&GroupResource::new("", "namespaces"), &Key::new("", name))
            .ok_or_else(|| Status::not_found("", "namespaces", name))?;
        if !namespace.is_terminating() {
            return Ok(());
        }
        let why = format!(
            "unable to create new content in namespace {name} because it is being terminated"
        );
        Err(target.forbidden(&target.name, &why).because(vec![Cause {
            reason: "NamespaceTerminating",
            message: format!("namespace {name} is being terminated"),
            field: "metadata.namespace".to_owned(),
        }]))
    }
}

/// Refuses an object that says it is in another namespace than the request.
pub(super) fn refuse_foreign(target: &Target, object: &Value) -> Result<(), Status> {
    let namespace = text(object, "/metadata/namespace");
    if namespace.is_empty() || namespace == target.namespace {
        return Ok(());
    }
    Err(Status::bad_request(
        "the namespace of the provided object does not match the namespace sent on the request",
    ))
}
