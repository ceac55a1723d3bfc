//! Which services' images stand upon those of other services, and in which order they are built.
//!
//! Decides from names alone; nothing is looked up.

use std::collections::{BTreeMap, BTreeSet};

use mwctl_core::manifest::LOCAL_IMAGES;
use mwctl_core::model::{Image, Service, Stack};
use mwctl_core::name::ServiceName;

use super::Used;
use crate::image::base::bootstrap::suite;

/// Services by those that they are built upon.
pub type Upon = BTreeMap<ServiceName, BTreeSet<ServiceName>>;

/// Images that can't be built, since each needs another one first.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the images of these services are built upon each other: {}", listed(.0))]
pub struct Circle(pub BTreeSet<ServiceName>);

fn listed(names: &BTreeSet<ServiceName>) -> String {
    let names: Vec<&str> = names.iter().map(ServiceName::as_str).collect();
    names.join(", ")
}

/// The service whose own file makes the image of this whole name, and its tag: the variant or stage, as `mwctl build`
/// names images.
pub fn maker<'a, 'b>(stack: &'a Stack, base: &'b str) -> Option<(&'a Service, &'b str)> {
    let (name, tag) = base.strip_prefix(LOCAL_IMAGES)?.split_once(':')?;
    if suite(base).is_some() {
        return None;
    }
    let service = stack.services.get(&ServiceName::new(name).ok()?)?;
    let has_file = matches!(&service.image, Image::Build(build) if build.file.is_some());
    has_file.then_some((service, tag))
}

/// Which services are built upon which others.
pub fn upon(stack: &Stack, used: &Used) -> Upon {
    let mut upon = Upon::new();
    for (base, services) in used {
        let Some((maker, _)) = maker(stack, base) else {
            continue;
        };
        // The stage for tests may stand upon the service's own image.
        for service in services.iter().filter(|service| **service != maker.name) {
            let needs = upon.entry(service.clone()).or_default();
            needs.insert(maker.name.clone());
        }
    }
    upon
}

/// Those that have changed and all that are built upon them, each after what it is built upon; else by name.
pub fn ordered(upon: &Upon, changed: &BTreeSet<ServiceName>) -> Result<Vec<ServiceName>, Circle> {
    let mut affected = changed.clone();
    loop {
        let more = upon.iter().filter(|(service, needs)| {
            !affected.contains(*service) && needs.iter().any(|need| affected.contains(need))
        });
        let more: Vec<ServiceName> = more.map(|(service, _)| service.clone()).collect();
        if more.is_empty() {
            break;
        }
        affected.extend(more);
    }
    let mut order = Vec::new();
    while !affected.is_empty() {
        let waits = |service: &&ServiceName| {
            let needs = upon.get(*service);
            needs.is_some_and(|needs| needs.iter().any(|need| affected.contains(need)))
        };
        let Some(next) = affected.iter().find(|service| !waits(service)).cloned() else {
            return Err(Circle(affected));
        };
        affected.remove(&next);
        order.push(next);
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<ServiceName> {
        let names = names.iter().map(|name| ServiceName::new(*name).unwrap());
        names.collect()
    }

    /// Of `who upon whom` pairs.
    fn graph(pairs: &[(&str, &[&str])]) -> Upon {
        let pairs = pairs.iter().map(|(who, whom)| {
            let who = names(&[who]).pop_first().unwrap();
            (who, names(whom))
        });
        pairs.collect()
    }

    fn order(upon: &Upon, changed: &[&str]) -> Vec<String> {
        let order = ordered(upon, &names(changed)).unwrap();
        order.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_others_stand_upon_is_built_first_whatever_it_is_called() {
        let upon = graph(&[("a", &["z"]), ("b", &["a", "m"]), ("c", &["z"])]);
        assert_eq!(order(&upon, &["z"]), ["z", "a", "b", "c"]);
        assert_eq!(order(&upon, &["a"]), ["a", "b"]);
        // What it needs and didn't change isn't built.
        assert_eq!(order(&upon, &["b", "m"]), ["m", "b"]);
        assert_eq!(
            order(&upon, &["m", "x", "z"]),
            ["m", "x", "z", "a", "b", "c"]
        );
        assert_eq!(order(&upon, &[]), Vec::<String>::new());
    }

    #[test]
    fn a_circle_is_told_with_those_that_are_in_it_or_wait_for_it() {
        let upon = graph(&[("a", &["b"]), ("b", &["a"]), ("c", &["b"]), ("d", &["e"])]);
        assert_eq!(order(&upon, &["e"]), ["e", "d"]);
        let circle = ordered(&upon, &names(&["a", "e"])).unwrap_err();
        assert_eq!(circle, Circle(names(&["a", "b", "c"])));
        assert!(
            circle.to_string().ends_with("each other: a, b, c"),
            "{circle}"
        );
    }
}
