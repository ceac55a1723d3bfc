//! Who may see what nodes and pods use: whoever may view a namespace, as where a metrics-server is installed. The role that says so comes
//! with the node that measures; a cluster without one has none.

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};

/// As metrics-server calls it.
const NAME: &str = "system:aggregated-metrics-reader";

/// The roles that it becomes a part of.
const PART_OF: [&str; 3] = ["view", "edit", "admin"];

/// Writes the role.
pub(super) async fn admit(client: Client) {
    let roles: Api<ClusterRole> = Api::all(client);
    let parameters = PatchParams::apply("mwctl-node").force();
    if let Err(error) = roles.patch(NAME, &parameters, &Patch::Apply(role())).await {
        tracing::warn!(%error, "only administrators see what pods use");
    }
}

fn role() -> ClusterRole {
    let labels = PART_OF.map(|role| {
        let label = format!("rbac.authorization.k8s.io/aggregate-to-{role}");
        (label, "true".to_owned())
    });
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    ClusterRole {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            labels: Some(labels.into()),
            ..ObjectMeta::default()
        },
        rules: Some(vec![PolicyRule {
            api_groups: Some(texts(&["metrics.k8s.io"])),
            resources: Some(texts(&["pods", "nodes"])),
            verbs: texts(&["get", "list", "watch"]),
            ..PolicyRule::default()
        }]),
        aggregation_rule: None,
    }
}
