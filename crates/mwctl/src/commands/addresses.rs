//! Where a stack's services are reached from this machine, as URLs: on clusters whose node listens here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use mwctl_core::manifest::{Frontend, frontends};
use mwctl_core::model::{Service, Stack};
use mwctl_core::name::ServiceName;
use mwctl_engine::kube::{Cluster, host_access};

use crate::ui::style::{accent, bold};

/// The URLs of each service, that of its own port first.
pub(super) type Urls = BTreeMap<ServiceName, Vec<String>>;

/// Looks them up for services that are deployed. Empty where the cluster's node doesn't listen on this machine.
pub(super) async fn of<'a>(
    cluster: &Cluster,
    stack: &Stack,
    services: impl Iterator<Item = &'a Service>,
) -> Urls {
    let wanted: BTreeMap<&ServiceName, Vec<Frontend>> = services
        .map(|service| (&service.name, frontends(stack, service)))
        .collect();
    let ports = wanted.values().flatten();
    let ports: BTreeSet<(String, u16)> = ports.map(|it| (it.object.clone(), it.port)).collect();
    if ports.is_empty() {
        return Urls::new();
    }
    let known = host_access::of(cluster, &ports).await;
    let mut urls = Urls::new();
    for (service, frontends) in wanted {
        for Frontend {
            object,
            port,
            scheme,
        } in frontends
        {
            if let Some(at) = known.get(&(object, port)) {
                let urls = urls.entry(service.clone()).or_default();
                urls.push(format!("{scheme}://{at}"));
            }
        }
    }
    urls
}

/// A line for each service that has any.
pub(super) fn text(urls: &Urls) -> String {
    let width = urls.keys().map(|name| name.as_str().len()).max();
    let width = width.unwrap_or_default();
    let mut text = String::new();
    for (service, urls) in urls {
        let name = format!("{:width$}", service.as_str());
        let urls: Vec<String> = urls.iter().map(|url| accent(url)).collect();
        let _infallible = writeln!(text, "  {}  {}", bold(&name), urls.join("  "));
    }
    text
}
