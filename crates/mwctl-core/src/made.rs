//! Values that are made once and kept in the cluster: random private settings, and certificates.
//!
//! What the cluster has already is taken from there; only what is missing is made, by whoever has
//! randomness. A stack of which all are known renders to the same objects every time.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::Value;

use crate::manifest::{self, ObjectId};
use crate::model::{KeyPair, Reach, Secret, SecretSource, Service, Stack, VolumeKind};
use crate::name::ServiceName;

/// Makes what can't be derived.
pub trait Make {
    /// So many random letters and digits.
    fn password(&mut self, length: u32) -> String;

    /// A certificate for these names and addresses.
    fn certificate(&mut self, names: &[String]) -> KeyPair;
}

/// The Secrets in the cluster that may hold what was made before.
pub fn kept(stack: &Stack) -> Vec<ObjectId> {
    let id = |name: String| ObjectId {
        api_version: "v1".to_owned(),
        kind: "Secret".to_owned(),
        namespace: Some(stack.namespace.clone()),
        name,
    };
    let services = stack.services.values();
    services
        .flat_map(|service| {
            let generated = |it: &SecretSource| matches!(it, SecretSource::Generated { .. });
            let settings = service.secrets.values().any(generated);
            let settings = settings.then(|| manifest::secret_name(stack, service));
            let certificates = certificates(service);
            let certificates =
                certificates.map(|it| manifest::certificate_name(stack, service, it));
            settings.into_iter().chain(certificates).map(id)
        })
        .collect()
}

/// The stack with everything known: from `live`, the objects of [`kept`] that are there, or made.
pub fn settled(stack: &Stack, live: &BTreeMap<ObjectId, Value>, make: &mut dyn Make) -> Stack {
    let mut settled = stack.clone();
    let held = |name: &str, key: &str| -> Option<String> {
        let secret = live.iter().find(|(id, _)| id.name == name)?.1;
        let data = secret.get("data")?.get(key)?.as_str()?;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(data)
            .ok()?;
        String::from_utf8(bytes)
            .ok()
            .filter(|text| !text.is_empty())
    };
    for service in settled.services.values_mut() {
        let object = manifest::secret_name(stack, service);
        for (name, source) in &mut service.secrets {
            if let SecretSource::Generated { length } = *source {
                let value = held(&object, name).unwrap_or_else(|| make.password(length));
                *source = SecretSource::Given(Secret::new(value));
            }
        }
        let volumes: Vec<String> = certificates(service).map(ToOwned::to_owned).collect();
        for volume in volumes {
            let object = manifest::certificate_name(stack, service, &volume);
            let pair = held(&object, "tls.crt").zip(held(&object, "tls.key"));
            let pair = match pair {
                Some((certificate, key)) => KeyPair {
                    certificate,
                    key: Secret::new(key),
                },
                None => make.certificate(&names(stack, service)),
            };
            service.certificates.insert(volume, pair);
        }
    }
    share(&mut settled);
    settled
}

fn certificates(service: &Service) -> impl Iterator<Item = &str> {
    let volumes = service.volumes.iter();
    let volumes = volumes.filter(|volume| volume.kind == VolumeKind::Certificate);
    volumes.map(|volume| volume.name.as_str())
}

/// The names under which a service is reached.
fn names(stack: &Stack, service: &Service) -> Vec<String> {
    let object = manifest::object_name(stack, service);
    let containers = std::iter::once(&service.main).chain(&service.helpers);
    let ports = containers.flat_map(|container| &container.ports);
    let others = ports.filter_map(|port| match &port.reach {
        Reach::Named(name) => Some(format!("{object}-{name}")),
        Reach::Service | Reach::Cluster | Reach::Pod => None,
    });
    let namespace = &stack.namespace;
    let mut names: Vec<String> = std::iter::once(object.clone())
        .chain(others)
        .flat_map(|host| {
            [
                host.clone(),
                format!("{host}.{namespace}"),
                format!("{host}.{namespace}.svc"),
                format!("{host}.{namespace}.svc.cluster.local"),
            ]
        })
        .collect();
    names.extend(["localhost".to_owned(), "127.0.0.1".to_owned()]);
    names
}

/// Gives each service the settings that it has from others; circles were refused before.
fn share(stack: &mut Stack) {
    let known: BTreeMap<(ServiceName, String), SecretSource> = stack
        .services
        .values()
        .flat_map(|service| {
            let secrets = service.secrets.iter();
            secrets.map(|(name, source)| ((service.name.clone(), name.clone()), source.clone()))
        })
        .collect();
    for service in stack.services.values_mut() {
        for source in service.secrets.values_mut() {
            let mut found = source.clone();
            for _ in 0..known.len() {
                let SecretSource::Of { service, secret } = &found else {
                    break;
                };
                match known.get(&(service.clone(), secret.clone())) {
                    Some(next) => found = next.clone(),
                    None => break,
                }
            }
            *source = found;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::fixture::{name, stack};
    use crate::model::Volume;

    #[derive(Default)]
    struct Counter(u32);

    impl Make for Counter {
        fn password(&mut self, length: u32) -> String {
            self.0 += 1;
            format!("{length}-{}", self.0)
        }

        fn certificate(&mut self, names: &[String]) -> KeyPair {
            KeyPair {
                certificate: names.join(" "),
                key: Secret::new(self.password(1)),
            }
        }
    }

    fn described() -> Stack {
        let mut stack = stack();
        let redis = stack.services.get_mut("redis").unwrap();
        let made = SecretSource::Generated { length: 24 };
        redis.secrets.insert("PASSWORD".to_owned(), made);
        let mathoid = stack.services.get_mut("mathoid").unwrap();
        let shared = SecretSource::Of {
            service: name("redis"),
            secret: "PASSWORD".to_owned(),
        };
        mathoid.secrets.insert("REDIS_PASSWORD".to_owned(), shared);
        mathoid.volumes.push(Volume {
            name: "tls-proxy-certs".to_owned(),
            kind: VolumeKind::Certificate,
        });
        stack
    }

    #[test]
    fn what_is_missing_is_made_and_shared() {
        let settled = settled(&described(), &BTreeMap::new(), &mut Counter::default());
        let value =
            |service: &str, key: &str| settled.services[service].secrets[key].text().to_owned();
        assert_eq!(
            value("redis", "PASSWORD"),
            value("mathoid", "REDIS_PASSWORD")
        );
        let pair = &settled.services["mathoid"].certificates["tls-proxy-certs"];
        assert!(pair.certificate.contains("mathoid-main.math.svc "));
        assert!(pair.certificate.ends_with("localhost 127.0.0.1"));
    }

    #[test]
    fn what_the_cluster_has_is_kept() {
        let described = described();
        let first = settled(&described, &BTreeMap::new(), &mut Counter::default());
        let rendered = manifest::render(&first, &BTreeMap::new(), "checkout");
        let wanted = kept(&described);
        assert_eq!(wanted.len(), 2);
        let live = rendered
            .iter()
            .filter(|object| wanted.contains(&object.id()));
        let live = live
            .map(|object| (object.id(), object.to_value()))
            .collect();
        assert_eq!(settled(&described, &live, &mut Counter(7)), first);
        let empty = json!({ "data": { "PASSWORD": "" } });
        let live = wanted.into_iter().map(|id| (id, empty.clone())).collect();
        assert_ne!(settled(&described, &live, &mut Counter(7)), first);
    }
}
