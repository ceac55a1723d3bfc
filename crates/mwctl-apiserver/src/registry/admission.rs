//! What is asked of a write besides its shape: that its writer may grant what it grants, that a node keeps to itself, that a namespace takes
//! such pods. The rules are `access`'s; here they meet the objects that they need.

use super::{Registry, Target, text};
use crate::access::{self, Policy, User, escalation, node, pod_security};
use crate::status::Status;
use crate::storage::{GroupResource, Key, Object, Query, Store};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};

const RBAC: &str = "rbac.authorization.k8s.io";

/// The roles and bindings as of the latest change of one.
#[derive(Debug, Clone, Default)]
pub(super) struct CurrentPolicy(Arc<Mutex<(u64, Arc<Policy>)>>);

impl CurrentPolicy {
    fn of(&self, store: &Store) -> Arc<Policy> {
        let kinds = [
            "roles",
            "rolebindings",
            "clusterroles",
            "clusterrolebindings",
        ];
        let collections = kinds.map(|plural| GroupResource::new(RBAC, plural));
        let latest = collections
            .iter()
            .map(|collection| store.latest(collection))
            .max();
        let latest = latest.unwrap_or_default();
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 != latest {
            let pages = collections
                .iter()
                .filter_map(|collection| store.list(collection, &Query::all()).ok());
            let objects: Vec<Arc<Object>> = pages.flat_map(|page| page.objects).collect();
            *current = (
                latest,
                Arc::new(Policy::new(objects.iter().map(|object| object.value()))),
            );
        }
        current.1.clone()
    }
}

impl Registry {
    /// Who is granted what.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        self.policy.of(&self.store)
    }

    /// Refuses what `user` may not write; warnings for what they may and should not.
    pub(super) fn admit(
        &self,
        target: &Target,
        user: Option<&User>,
        verb: &str,
        object: Option<&Value>,
        old: Option<&Value>,
    ) -> Result<Vec<String>, Status> {
        let resource = target.asked();
        if let Some(user) = user {
            if let Some(name) = node::node_of(user) {
                let write = node::Write {
                    verb,
                    resource,
                    object,
                    old,
                };
                node::admit(name, &write)?;
            }
            if let Some(object) = object {
                self.refuse_escalation(target, user, object, old)?;
            }
        }
        match object {
            Some(object) if target.subresource.is_empty() => self.admit_pods(target, object, old),
            _ => Ok(Vec::new()),
        }
    }

    /// Nobody grants what they don't have.
    fn refuse_escalation(
        &self,
        target: &Target,
        user: &User,
        object: &Value,
        old: Option<&Value>,
    ) -> Result<(), Status> {
        if target.resource.gvk.group != RBAC {
            return Ok(());
        }
        let changed = |field: &str| old.is_none_or(|old| old[field] != object[field]);
        match target.resource.gvk.kind.as_str() {
            "Role" | "ClusterRole" if changed("rules") || changed("aggregationRule") => {
                escalation::check_role(&self.policy(), user, object)
            }
            "RoleBinding" | "ClusterRoleBinding" if changed("roleRef") || changed("subjects") => {
                escalation::check_binding(&self.policy(), user, object)
            }
            _ => Ok(()),
        }
    }

    /// A pod, or the pods that a template will make: first what any cluster says of them, then what this one's nodes do.
    fn admit_pods(
        &self,
        target: &Target,
        object: &Value,
        old: Option<&Value>,
    ) -> Result<Vec<String>, Status> {
        let Some(pods) = Pods::in_object(target, object) else {
            return Ok(Vec::new());
        };
        let before = old.and_then(|old| Pods::in_object(target, old));
        let mut warnings = if before.is_some_and(|before| before == pods) {
            Vec::new()
        } else {
            self.admit_by_level(target, object, &pods)?
        };
        if old.is_none() {
            warnings.extend(self.admit_by_nodes(target, object, &pods)?);
        }
        Ok(warnings)
    }

    /// Pod Security: what the labels of the namespace say.
    fn admit_by_level(
        &self,
        target: &Target,
        object: &Value,
        pods: &Pods<'_>,
    ) -> Result<Vec<String>, Status> {
        let namespace = GroupResource::new("", "namespaces");
        let Some(namespace) = self.store.get(&namespace, &Key::new("", &target.namespace)) else {
            return Ok(Vec::new());
        };
        let labels = &namespace.value()["metadata"]["labels"];
        match pods {
            Pods::One(_) => pod_security::admit_pod(labels, &target.asked(), object),
            Pods::Template(template) => Ok(pod_security::warn_template(labels, template)),
        }
    }

    /// What no node of this cluster runs.
    fn admit_by_nodes(
        &self,
        target: &Target,
        object: &Value,
        pods: &Pods<'_>,
    ) -> Result<Option<String>, Status> {
        match pods {
            Pods::One(_) => match self.nodes.refusal(object) {
                Some(why) => Err(target.forbidden(text(object, "/metadata/name"), &why)),
                None => Ok(None),
            },
            // Whoever describes them should know before somebody else fails to make them.
            Pods::Template(template) => {
                let why = self.nodes.refusal(template);
                Ok(why.map(|why| format!("no pod of it will run: {why}")))
            }
        }
    }
}

/// Where an object describes pods.
#[derive(PartialEq)]
enum Pods<'o> {
    /// It is one, with this `spec`.
    One(&'o Value),
    /// It makes them from this.
    Template(&'o Value),
}

impl<'o> Pods<'o> {
    fn in_object(target: &Target, object: &'o Value) -> Option<Self> {
        let pointer = match (
            target.resource.gvk.group.as_str(),
            target.resource.gvk.kind.as_str(),
        ) {
            ("", "Pod") => return Some(Self::One(&object["spec"])),
            ("", "ReplicationController")
            | ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
            | ("batch", "Job") => "/spec/template",
            ("batch", "CronJob") => "/spec/jobTemplate/spec/template",
            ("", "PodTemplate") => "/template",
            _ => return None,
        };
        object.pointer(pointer).map(Self::Template)
    }
}

impl Target {
    /// The same place in the words of access control.
    pub(crate) fn asked(&self) -> access::Resource<'_> {
        access::Resource {
            group: &self.resource.gvk.group,
            resource: &self.resource.plural,
            subresource: &self.subresource,
            namespace: match self.resource.gvk.kind.as_str() {
                // A request about one namespace is one within it.
                "Namespace" if self.resource.gvk.group.is_empty() => &self.name,
                _ => &self.namespace,
            },
            name: &self.name,
            node: "",
        }
    }
}

impl Registry {
    /// Whether a node's pods refer to an object, so that the node may read it.
    pub(crate) fn is_related_to_node(&self, node: &str, asked: &access::Resource<'_>) -> bool {
        let query = Query {
            namespace: Some(asked.namespace),
            wanted: Some(&|pod: &Object| text(pod.value(), "/spec/nodeName") == node),
            ..Query::all()
        };
        let pods = self.store.list(&GroupResource::new("", "pods"), &query);
        pods.is_ok_and(|page| {
            node::related(node, page.objects.iter().map(|pod| pod.value()), asked)
        })
    }
}
