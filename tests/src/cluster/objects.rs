//! What stands in a test's namespace: looked at, shown after a failure, deleted at the end.

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, LogParams, Patch, PatchParams};
use kube::discovery::{Discovery, Scope, verbs};

use super::Bed;

impl Bed {
    fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.cluster.client.clone())
    }

    fn pods_api(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.cluster.client.clone(), namespace)
    }

    /// A client of its API.
    pub fn client(&self) -> Client {
        self.cluster.client.clone()
    }

    /// Waits for what is asked of it.
    pub fn wait_for<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// Whether the namespace is there, also when it is about to go.
    pub fn has_namespace(&self, name: &str) -> bool {
        let found = self.runtime.block_on(self.namespaces().get_opt(name));
        !matches!(found, Ok(None))
    }

    /// Has the namespace deleted, and doesn't wait for it.
    pub fn delete_namespace(&self, name: &str) {
        let deleted = self
            .runtime
            .block_on(self.namespaces().delete(name, &DeleteParams::default()));
        // It may never have been made.
        drop(deleted);
    }

    /// Names a namespace's test, for people who look at the node.
    ///
    /// # Panics
    ///
    /// When the namespace isn't there.
    pub fn label(&self, namespace: &str, test: &str) {
        let patch = serde_json::json!({"metadata": {"labels": {"mwctl-test/name": test}}});
        self.runtime
            .block_on(self.namespaces().patch(
                namespace,
                &PatchParams::default(),
                &Patch::Merge(patch),
            ))
            .expect("the namespace can be labelled");
    }

    /// The pods of a namespace that are not about to go.
    ///
    /// # Panics
    ///
    /// When the API server doesn't answer.
    pub fn pods(&self, namespace: &str) -> Vec<Pod> {
        self.runtime
            .block_on(self.pods_api(namespace).list(&ListParams::default()))
            .expect("the pods can be listed")
            .items
            .into_iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .collect()
    }

    /// Deletes a pod at once, as a node that fails would.
    ///
    /// # Panics
    ///
    /// When the API server refuses.
    pub fn delete_pod(&self, namespace: &str, name: &str) {
        let now = DeleteParams::default().grace_period(0);
        self.runtime
            .block_on(self.pods_api(namespace).delete(name, &now))
            .expect("the pod can be deleted");
    }

    /// All objects of a namespace that somebody made on purpose, as `Kind/name`.
    ///
    /// # Panics
    ///
    /// When the API server doesn't answer.
    pub fn objects(&self, namespace: &str) -> Vec<String> {
        let client = self.cluster.client.clone();
        let found = self.runtime.block_on(async {
            let discovery = Discovery::new(client.clone()).run().await?;
            let mut found = Vec::new();
            for (resource, capabilities) in discovery
                .groups()
                .flat_map(kube::discovery::ApiGroup::recommended_resources)
            {
                let listed = capabilities.scope == Scope::Namespaced
                    && capabilities.supports_operation(verbs::LIST);
                // Every namespace has these of its own, or they are a record of the past.
                if !listed || ["Event", "PodMetrics"].contains(&resource.kind.as_str()) {
                    continue;
                }
                let api: Api<DynamicObject> =
                    Api::namespaced_with(client.clone(), namespace, &resource);
                for object in api.list(&ListParams::default()).await? {
                    found.push(format!(
                        "{}/{}",
                        resource.kind,
                        object.metadata.name.unwrap_or_default()
                    ));
                }
            }
            Ok::<_, kube::Error>(found)
        });
        let mut found = found.expect("the objects can be listed");
        found.retain(|name| {
            name != "ConfigMap/kube-root-ca.crt" && name != "ServiceAccount/default"
        });
        found.sort();
        found
    }

    /// Shows what is in a namespace: a failed test says why.
    pub(super) fn show(&self, namespace: &str) {
        let pods = self.pods_api(namespace);
        let shown = self.runtime.block_on(async {
            let mut text = String::new();
            for pod in pods.list(&ListParams::default()).await? {
                let name = pod.metadata.name.clone().unwrap_or_default();
                let status = serde_json::to_string(&pod.status).unwrap_or_default();
                text.extend(["pod ", &name, ": ", &status, "\n"]);
                let tail = LogParams {
                    tail_lines: Some(20),
                    ..LogParams::default()
                };
                if let Ok(lines) = pods.logs(&name, &tail).await {
                    text.push_str(&lines);
                }
            }
            Ok::<_, kube::Error>(text)
        });
        match shown {
            Ok(text) => eprint(&format!("in {namespace}:\n{text}")),
            Err(error) => eprint(&format!("in {namespace}: {error}")),
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the test harness shows it with the failed test"
)]
fn eprint(text: &str) {
    eprintln!("{text}");
}
