//! Claims and volumes: a claim gets a volume that fits, or one is made for it in a folder of the node, and both learn of each other.
//!
//! Folders are named, not made: that is the business of whoever runs the pods. A claim whose class waits for the first pod gets its volume
//! when the scheduler has written the pod's node into it.

mod binding;
mod matching;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    HostPathVolumeSource, PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec, Pod,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use serde_json::json;

use crate::action::{Action, Note, Severity, Target};
use crate::controller::{Context, Controller};
use crate::observed::{Change, Key, Kind, Object, Observed, Watched, reference_to};
use crate::pods;

/// The controller's name.
pub(crate) const NAME: &str = "persistentvolume-controller";

/// Whose claims get volumes made by us.
const PROVISIONER: &str = "mwctl/host-path";

/// The class that is brought where there is none.
const CLASS: &str = "standard";

/// The annotation of the class that claims have if they name none.
const IS_DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";

/// What keeps a claim while a pod uses it.
const IN_USE: &str = "kubernetes.io/pvc-protection";

/// What keeps a volume while a claim has it.
const BOUND: &str = "kubernetes.io/pv-protection";

/// The provisioner of classes whose volumes somebody makes by hand.
const BY_HAND: &str = "kubernetes.io/no-provisioner";

/// The annotation of a claim with the node that its first pod goes to.
pub(crate) const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// The annotation with which a volume says who has made it.
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

/// The controller.
pub(crate) static CONTROLLER: Controller = Controller {
    name: NAME,
    reads: &[
        Kind::Namespace,
        Kind::PersistentVolumeClaim,
        Kind::PersistentVolume,
        Kind::StorageClass,
        Kind::Pod,
    ],
    traces_all: false,
    wakes,
    reconcile,
};

fn wakes(change: &Change, observed: &Observed) -> Vec<Key> {
    let unbound = || {
        (observed
            .claims
            .iter()
            .filter(|claim| binding::volume_of(claim).is_none()))
        .map(|claim| Key::of(claim.as_ref()))
    };
    match change.object() {
        // A new cluster has a namespace from the beginning.
        Object::Namespace(_) => vec![Key::cluster("")],
        Object::StorageClass(_) => unbound().collect(),
        Object::PersistentVolume(volume) => {
            let mut keys = vec![Key::of(volume.as_ref())];
            match volume
                .spec
                .as_ref()
                .and_then(|spec| spec.claim_ref.as_ref())
            {
                Some(claim) => keys.push(binding::key_of(claim)),
                None => keys.extend(unbound()),
            }
            keys
        }
        Object::PersistentVolumeClaim(claim) => {
            let mut keys = vec![Key::of(claim.as_ref())];
            keys.extend(binding::volume_of(claim).map(Key::cluster));
            keys
        }
        // The end of a pod may be what a claim's own end waits for.
        Object::Pod(pod) if change.after.is_none() || pods::is_finished(pod) => claims_of(pod),
        _ => Vec::new(),
    }
}

fn claims_of(pod: &Pod) -> Vec<Key> {
    let namespace = pod.namespace().unwrap_or_default();
    (pod.spec
        .iter()
        .flat_map(|spec| spec.volumes.iter().flatten()))
    .filter_map(|volume| volume.persistent_volume_claim.as_ref())
    .map(|claim| Key::new(&namespace, &claim.claim_name))
    .collect()
}

fn reconcile(context: &Context<'_>, key: &Key) -> Vec<Action> {
    let observed = context.observed;
    if key.name.is_empty() {
        return bring_class(context);
    }
    if key.namespace.is_empty() {
        let volume = observed.volumes.get(key);
        return volume.map_or_else(Vec::new, |volume| binding::settle_volume(observed, volume));
    }
    let Some(claim) = observed.claims.get(key).map(AsRef::as_ref) else {
        return Vec::new();
    };
    if claim.metadata.deletion_timestamp.is_some() {
        return let_go(observed, claim);
    }
    if let Some(volume) = binding::volume_of(claim) {
        return binding::settle_claim(observed, claim, volume);
    }
    let has_consumer = claim.annotations().contains_key(SELECTED_NODE);
    if waits_for_consumer(observed, claim) && !has_consumer {
        if let Some(volume) = matching::meant_for(observed, claim) {
            return binding::bind(claim, volume);
        }
        let text = "waiting for first consumer to be created before binding";
        let reason = "WaitForFirstConsumer";
        return pending(claim, Severity::Normal, reason, text.to_owned());
    }
    if let Some(volume) = matching::find(observed, claim) {
        return binding::bind(claim, volume);
    }
    let class = claim
        .spec
        .as_ref()
        .and_then(|spec| spec.storage_class_name.as_deref());
    match class {
        Some("") => no_volume(claim),
        Some(name) => {
            if let Some(class) = observed.storage_classes.get(&Key::cluster(name)) {
                return provision(context, claim, class);
            }
            let text = format!("storageclass.storage.k8s.io \"{name}\" not found");
            pending(claim, Severity::Warning, "ProvisioningFailed", text)
        }
        None => match default_class(observed) {
            Some(class) => vec![Action::Patch {
                target: Target::of(claim),
                subresource: None,
                patch: json!({"spec": {"storageClassName": class.name_any()}}),
                announcement: None,
            }],
            None => no_volume(claim),
        },
    }
}

/// Whether a claim has a volume, or names one.
pub(crate) fn has_volume(claim: &PersistentVolumeClaim) -> bool {
    binding::volume_of(claim).is_some()
}

/// Whether a claim's class leaves it without a volume until a pod that uses it has a node.
pub(crate) fn waits_for_consumer(observed: &Observed, claim: &PersistentVolumeClaim) -> bool {
    class_of(observed, claim)
        .is_some_and(|class| class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"))
}

/// Whether there is a volume for a claim, or somebody who makes one.
pub(crate) fn is_obtainable(observed: &Observed, claim: &PersistentVolumeClaim) -> bool {
    class_of(observed, claim).is_some_and(|class| class.provisioner != BY_HAND)
        || matching::find(observed, claim).is_some()
}

fn class_of<'a>(observed: &'a Observed, claim: &PersistentVolumeClaim) -> Option<&'a StorageClass> {
    let name = claim.spec.as_ref()?.storage_class_name.as_deref()?;
    let class = observed.storage_classes.get(&Key::cluster(name))?;
    Some(class.as_ref())
}

/// The class for claims that name none: the newest of those that say so.
fn default_class(observed: &Observed) -> Option<&StorageClass> {
    (observed.storage_classes.iter().map(AsRef::as_ref))
        .filter(|class| {
            class
                .annotations()
                .get(IS_DEFAULT)
                .is_some_and(|it| it == "true")
        })
        .max_by_key(|class| class.creation_timestamp())
}

fn bring_class(context: &Context<'_>) -> Vec<Action> {
    let has_class = context.observed.storage_classes.iter().next().is_some();
    if has_class || context.settings.volumes.is_none() {
        return Vec::new();
    }
    let class = StorageClass {
        metadata: ObjectMeta {
            name: Some(CLASS.to_owned()),
            annotations: Some(BTreeMap::from([(IS_DEFAULT.to_owned(), "true".to_owned())])),
            ..ObjectMeta::default()
        },
        provisioner: PROVISIONER.to_owned(),
        reclaim_policy: Some("Delete".to_owned()),
        volume_binding_mode: Some("Immediate".to_owned()),
        ..StorageClass::default()
    };
    vec![Action::Create(class.into(), None)]
}

/// Makes a volume for a claim, if its class is ours.
fn provision(
    context: &Context<'_>,
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
) -> Vec<Action> {
    let Some(root) = context
        .settings
        .volumes
        .as_ref()
        .filter(|_| class.provisioner == PROVISIONER)
    else {
        let text = format!(
            "Waiting for a volume to be created either by the external provisioner '{}' or \
             manually by the system administrator. If volume creation is delayed, please verify \
             that the provisioner is running and correctly registered.",
            class.provisioner
        );
        return pending(claim, Severity::Normal, "ExternalProvisioning", text);
    };
    let name = format!("pvc-{}", claim.uid().unwrap_or_default());
    if context
        .observed
        .volumes
        .get(&Key::cluster(&*name))
        .is_some()
    {
        return Vec::new();
    }
    let spec = claim.spec.clone().unwrap_or_default();
    let volume = PersistentVolume {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            annotations: Some(BTreeMap::from([(
                PROVISIONED_BY.to_owned(),
                PROVISIONER.to_owned(),
            )])),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeSpec {
            access_modes: spec.access_modes,
            capacity: spec.resources.and_then(|resources| resources.requests),
            claim_ref: Some(reference_to(claim)),
            host_path: Some(HostPathVolumeSource {
                path: root.join(&name).display().to_string(),
                type_: Some("DirectoryOrCreate".to_owned()),
            }),
            persistent_volume_reclaim_policy: class.reclaim_policy.clone(),
            storage_class_name: class.metadata.name.clone(),
            volume_mode: spec.volume_mode,
            ..PersistentVolumeSpec::default()
        }),
        status: None,
    };
    let note = Note {
        about: reference_to(claim),
        severity: Severity::Normal,
        reason: "ProvisioningSucceeded",
        message: format!("Successfully provisioned volume {name}"),
        component: NAME,
    };
    vec![Action::Create(volume.into(), None), Action::Record(note)]
}

fn no_volume(claim: &PersistentVolumeClaim) -> Vec<Action> {
    let text = "no persistent volumes available for this claim and no storage class is set";
    pending(claim, Severity::Normal, "FailedBinding", text.to_owned())
}

/// Says why a claim has no volume, and that it waits.
fn pending(
    claim: &PersistentVolumeClaim,
    severity: Severity,
    reason: &'static str,
    message: String,
) -> Vec<Action> {
    vec![Action::Record(Note {
        about: reference_to(claim),
        severity,
        reason,
        message,
        component: NAME,
    })]
}

/// Lets a claim go that is being deleted, when no pod uses it.
fn let_go(observed: &Observed, claim: &PersistentVolumeClaim) -> Vec<Action> {
    let key = Key::of(claim);
    let is_used = (observed.pods.in_namespace(&key.namespace))
        .any(|pod| !pods::is_finished(pod) && claims_of(pod).contains(&key));
    if is_used {
        return Vec::new();
    }
    without_finalizer(claim, IN_USE)
}

fn without_finalizer(object: &impl Watched, name: &str) -> Vec<Action> {
    let finalizers = object.meta().finalizers.as_deref().unwrap_or_default();
    if !finalizers.iter().any(|it| it == name) {
        return Vec::new();
    }
    let left: Vec<&String> = finalizers.iter().filter(|it| *it != name).collect();
    vec![Action::Patch {
        target: Target::of(object),
        subresource: None,
        patch: json!({"metadata": {
            "finalizers": left,
            "resourceVersion": object.meta().resource_version,
        }}),
        announcement: None,
    }]
}

#[cfg(test)]
mod tests;
