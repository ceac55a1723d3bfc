//! Containers that never started: the node says why in one word and a sentence.

use super::Cause;
use crate::model::{Image, Service};
use crate::observed::ObservedContainer;

/// Why a container waits; `None` for what is only a matter of time.
pub(super) fn cause(
    service: &Service,
    container: &ObservedContainer,
    reason: &str,
    message: &str,
) -> Option<Cause> {
    let name = &service.name;
    let image = &container.image;
    let cause = match reason {
        "ErrImageNeverPull" => Cause::new(
            format!("the node doesn't have the image of `{name}`: {image}"),
            format!("mwctl up {name}"),
        ),
        "ImagePullBackOff" | "ErrImagePull" | "RegistryUnavailable" => Cause::new(
            pull_failure(image, message),
            if is_pushed(service, image) {
                pushed_in_vain(name, message)
            } else {
                correct(name, "container.image")
            },
        ),
        "InvalidImageName" => Cause::new(
            format!("`{image}` can't be the name of an image"),
            correct(name, "container.image"),
        ),
        "ImageInspectError" => Cause::new(
            format!("the node can't read the image {image}"),
            format!("mwctl up {name}"),
        ),
        "CreateContainerConfigError" => configuration(service, image, message),
        "CreateContainerError" | "RunContainerError" => Cause::new(
            format!("the container `{}` can't be started", container.name),
            correct(name, "container.command"),
        ),
        _ => return None,
    };
    Some(cause.because([message]))
}

/// Whether a container that waits for this reason has its image and its configuration: what the node says is about
/// the program in it.
pub(super) fn is_there(reason: &str) -> bool {
    matches!(reason, "CreateContainerError" | "RunContainerError")
}

/// Whether an image is the service's own, which `up` pushes to the registry that the nodes read.
fn is_pushed(service: &Service, image: &str) -> bool {
    let names = format!("/mwctl/{}:", service.name);
    matches!(service.image, Image::Build(_)) && image.contains(&names)
}

/// What to type where the nodes don't get what was pushed.
fn pushed_in_vain(name: &crate::name::ServiceName, message: &str) -> String {
    if lacks(message) {
        return format!("mwctl up {name}  # pushes it again");
    }
    "say how the nodes call the registry, `mwctl up --registry HOST:PORT=HOST-ON-NODES:PORT`, or leave it out: `mwctl up --registry none`"
        .to_owned()
}

/// Whether a registry answered, and doesn't have it.
fn lacks(message: &str) -> bool {
    let lower = message.to_lowercase();
    ["not found", "manifest unknown", "does not exist"]
        .iter()
        .any(|words| lower.contains(words))
}

fn pull_failure(image: &str, message: &str) -> String {
    let lower = message.to_lowercase();
    if lacks(message) {
        format!("the registry has no image {image}")
    } else if ["unauthorized", "denied", "403", "401"]
        .iter()
        .any(|words| lower.contains(words))
    {
        format!("the registry doesn't give out the image {image}")
    } else if ["no matching manifest", "no match for platform"]
        .iter()
        .any(|words| lower.contains(words))
    {
        format!("the registry has the image {image} for other architectures than the node's only")
    } else if [
        "no such host",
        "timeout",
        "connection refused",
        "unreachable",
    ]
    .iter()
    .any(|words| lower.contains(words))
    {
        format!("the registry of the image {image} can't be reached from the node")
    } else {
        format!("the image {image} can't be pulled")
    }
}

fn configuration(service: &Service, image: &str, message: &str) -> Cause {
    let name = &service.name;
    let user = format!(
        "write the number of an unprivileged user as `container.user` of `{name}` into `mwctl.yaml`"
    );
    if message.contains("run as root") {
        Cause::new(
            format!("the image {image} runs as root, which isn't allowed here"),
            user,
        )
    } else if message.contains("non-numeric user") {
        Cause::new(
            format!("the image {image} names its user, and a name may be root's"),
            user,
        )
    } else if let Some(key) = super::after(message, "couldn't find key ") {
        let place = message
            .split_once(" in ")
            .map_or("", |(_, place)| place.trim());
        let object = place.rsplit('/').next();
        Cause::new(
            format!("`{name}` is configured with the key `{key}`, which {place} doesn't have"),
            super::mended(service, object),
        )
    } else if message.contains("not found") {
        Cause::new(
            format!("something that `{name}` is configured with isn't in the cluster"),
            super::mended(service, super::missing(message)),
        )
    } else {
        Cause::new(
            format!("the configuration of `{name}` isn't accepted by the node"),
            format!("mwctl render {name}"),
        )
    }
}

fn correct(name: &crate::name::ServiceName, field: &str) -> String {
    format!("correct `{field}` of `{name}` in `mwctl.yaml`, then type `mwctl up {name}`")
}
