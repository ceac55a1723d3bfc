//! Who a pod of a StatefulSet is: its number, its name, its claims.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume,
};
use kube::ResourceExt;

use super::REVISION;
use crate::pods;

/// The label with a pod's own name.
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";

/// The label with a pod's number.
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// A pod's number, if its name is one that the set gives.
pub(super) fn ordinal(set: &StatefulSet, pod: &Pod) -> Option<i32> {
    let name = pod.metadata.name.as_deref()?;
    let (parent, number) = name.rsplit_once('-')?;
    (parent == set.metadata.name.as_deref()?).then(|| number.parse().ok())?
}

/// The claim of a pod that a template stands for.
fn claim_name(template: &PersistentVolumeClaim, set: &StatefulSet, ordinal: i32) -> String {
    format!("{}-{}-{ordinal}", template.name_any(), set.name_any())
}

/// The pod of this number, in this revision.
pub(super) fn pod(
    set: &StatefulSet,
    template: &PodTemplateSpec,
    revision: &str,
    ordinal: i32,
) -> Pod {
    let spec = set.spec.clone().unwrap_or_default();
    let name = format!("{}-{ordinal}", set.name_any());
    let mut pod = pods::from_template(template, set);
    pod.metadata.name = Some(name.clone());
    pod.metadata.generate_name = Some(format!("{}-", set.name_any()));
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(POD_NAME.to_owned(), name.clone());
    labels.insert(POD_INDEX.to_owned(), ordinal.to_string());
    labels.insert(REVISION.to_owned(), revision.to_owned());
    let own = pod.spec.get_or_insert_default();
    own.hostname = Some(name);
    own.subdomain = spec.service_name;
    for template in spec.volume_claim_templates.iter().flatten() {
        let volumes = own.volumes.get_or_insert_default();
        volumes.retain(|volume| volume.name != template.name_any());
        volumes.push(Volume {
            name: template.name_any(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: claim_name(template, set, ordinal),
                read_only: None,
            }),
            ..Volume::default()
        });
    }
    pod
}

/// The claims of the pod of this number.
pub(super) fn claims(set: &StatefulSet, ordinal: i32) -> Vec<PersistentVolumeClaim> {
    let spec = set.spec.clone().unwrap_or_default();
    let labels = spec.selector.match_labels.unwrap_or_default();
    (spec.volume_claim_templates.into_iter().flatten())
        .map(|template| {
            let mut claim = template.clone();
            claim.metadata.name = Some(claim_name(&template, set, ordinal));
            claim.metadata.namespace = set.namespace();
            claim
                .metadata
                .labels
                .get_or_insert_default()
                .extend(labels.clone());
            claim.status = None;
            claim
        })
        .collect()
}
