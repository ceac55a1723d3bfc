//! From a stack to the Kubernetes objects that run it: typed values, nothing applied, nothing read.
//!
//! Names, labels, annotations and the security context are those of Wikimedia's production charts,
//! so that what runs on a developer's machine is the production pod in miniature. `render` gives the
//! planned form; `develop` what a service becomes while it is worked on. What to do with the objects
//! is `plan`'s business.

mod config;
mod develop;
mod label;
mod namespace;
mod network;
mod object;
mod patch;
mod pod;
mod raw;
mod storage;
mod workload;
mod yaml;

use std::collections::BTreeMap;

pub(crate) use self::config::{certificate_name, secret_name};
pub use self::develop::{
    AGENT_DIRECTORY, AgentBundle, Inside, RUN_DIRECTORY, TestPod, agent_config_map, command_of,
    develop_form, health_port, inside, test_pod,
};
pub use self::label::{
    APPLIED, FORM, Form, MANAGED_BY, MANAGER, NAME, PART_OF, RAW, ROLE, WORKTREE, container_name,
    label_value, object_name,
};
pub use self::network::{Frontend, frontends};
pub(crate) use self::object::service_of;
pub use self::object::{HIDDEN, Object, ObjectId, hide};
pub use self::workload::workload_id;
pub use self::yaml::{Secrets, to_yaml};

use crate::model::{Image, Service, Stack};
use crate::name::ServiceName;

/// What the references of images made on this machine start with; no registry is asked for them.
pub const LOCAL_IMAGES: &str = "mwctl.local/";

/// All objects of a stack in their planned form, configuration before what uses it.
///
/// `images` gives the reference of each service's own image; `worktree` says whose checkout this is,
/// so that two checkouts of one stack don't take each other's objects.
pub fn render(
    stack: &Stack,
    images: &BTreeMap<ServiceName, String>,
    worktree: &str,
) -> Vec<Object> {
    let mut objects = vec![Object::new(&namespace::namespace(stack, worktree))];
    objects.extend(namespace::quota(stack, worktree).iter().map(Object::new));
    objects.extend(namespace::limits(stack, worktree).iter().map(Object::new));
    for service in stack.services.values() {
        objects.extend(render_service(stack, service, images, worktree));
    }
    objects.extend(raw::objects(stack, worktree));
    objects.sort_by_key(Object::id);
    objects
}

/// The objects of one service in their planned form.
fn render_service(
    stack: &Stack,
    service: &Service,
    images: &BTreeMap<ServiceName, String>,
    worktree: &str,
) -> Vec<Object> {
    let image = image_of(service, images);
    let account = workload::account(stack, service, worktree);
    let disruption = workload::disruption(stack, service, worktree);
    let secret = config::secret(stack, service, worktree);
    let mut objects: Vec<Object> = account.iter().map(Object::new).collect();
    objects.extend(
        config::config_maps(stack, service, worktree)
            .iter()
            .map(Object::new),
    );
    objects.extend(secret.iter().map(Object::new));
    objects.extend(
        config::certificates(stack, service, worktree)
            .iter()
            .map(Object::new),
    );
    objects.extend(
        storage::claims(stack, service, worktree)
            .iter()
            .map(Object::new),
    );
    objects.push(Object::new(&network::policy(stack, service, worktree)));
    objects.extend(
        network::services(stack, service, worktree)
            .iter()
            .map(Object::new),
    );
    objects.extend(disruption.iter().map(Object::new));
    objects.push(workload::workload(stack, service, &image, worktree));
    objects
        .into_iter()
        .map(|object| patch::patched(service, object))
        .collect()
}

/// The reference of a service's own image: from `images`, else what it names itself, else, where it
/// has yet to be built, its local name without a digest.
pub fn image_of(service: &Service, images: &BTreeMap<ServiceName, String>) -> String {
    match (images.get(&service.name), &service.image) {
        (Some(reference), _) | (None, Image::Reference(reference)) => reference.clone(),
        (None, Image::Build(_)) => format!("{LOCAL_IMAGES}{}", service.name),
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
