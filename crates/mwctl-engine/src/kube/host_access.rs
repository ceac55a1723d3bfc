//! Where services of a cluster are reached from this machine. The node that listens for them says so in an object of the cluster, so
//! that whoever may use the cluster finds it there; clusters whose nodes listen for nobody have none.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use mwctl_node::network::HostAddresses;
use tokio::sync::watch;

use super::{Cluster, request};

/// Where the object is: what everybody in a cluster may read is in this namespace.
const NAMESPACE: &str = "kube-public";
const NAME: &str = "mwctl-host-access";

/// How long to wait for an address that isn't told yet: the node hears of a service when it is made, and listens some
/// milliseconds later.
const PATIENCE: Duration = Duration::from_secs(2);
/// Before it is tried again to tell.
const PAUSE: Duration = Duration::from_secs(1);

/// The addresses of a namespace's Services, by name and port.
pub type Addresses = BTreeMap<(String, u16), SocketAddrV4>;

/// Keeps the object as the node's listeners are, until there are no more of them.
pub async fn tell(client: Client, mut addresses: watch::Receiver<HostAddresses>) {
    let maps: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    let parameters = PatchParams::apply("mwctl-node").force();
    loop {
        let map = written(&addresses.borrow_and_update());
        if let Err(error) = maps.patch(NAME, &parameters, &Patch::Apply(&map)).await {
            tracing::warn!(%error, "nobody is told where services are reached");
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        if addresses.changed().await.is_err() {
            return;
        }
    }
}

/// The addresses of the cluster's namespace; none where its node doesn't listen on this machine. Waits a moment for those that
/// are `wanted`.
pub async fn of(cluster: &Cluster, wanted: &BTreeSet<(String, u16)>) -> Addresses {
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), NAMESPACE);
    let asked = request(|| format!("look up {NAME}"), maps.get_opt(NAME)).await;
    let map = match asked {
        Ok(Some(map)) => map,
        Ok(None) => return Addresses::new(),
        Err(error) => {
            // Nothing depends on it, and some may not read it.
            tracing::debug!("{error}");
            return Addresses::new();
        }
    };
    let has_all = |map: &ConfigMap| {
        let known = read(map, &cluster.namespace);
        wanted.iter().all(|port| known.contains_key(port))
    };
    if has_all(&map) {
        return read(&map, &cluster.namespace);
    }
    let told = await_condition(maps, NAME, |map: Option<&ConfigMap>| {
        map.is_some_and(has_all)
    });
    match tokio::time::timeout(PATIENCE, told).await {
        Ok(Ok(Some(map))) => read(&map, &cluster.namespace),
        _ => read(&map, &cluster.namespace),
    }
}

/// One entry for each Service, called `namespace.name`: its ports, each with an address.
fn written(addresses: &HostAddresses) -> ConfigMap {
    let mut services: BTreeMap<String, BTreeMap<u16, SocketAddrV4>> = BTreeMap::new();
    for ((service, port), address) in addresses {
        // Others are pods, which have a port on the node.
        if let Some((namespace, name)) = service.split_once('/')
            && !name.contains('/')
        {
            let ports = services.entry(format!("{namespace}.{name}")).or_default();
            ports.insert(*port, *address);
        }
    }
    let data = services.into_iter().filter_map(|(service, ports)| {
        let ports = serde_json::to_string(&ports).ok()?;
        Some((service, ports))
    });
    let mut map = ConfigMap {
        data: Some(data.collect()),
        ..ConfigMap::default()
    };
    map.metadata.name = Some(NAME.to_owned());
    map
}

fn read(map: &ConfigMap, namespace: &str) -> Addresses {
    let mut addresses = Addresses::new();
    for (service, ports) in map.data.iter().flatten() {
        let Some((of, name)) = service.split_once('.') else {
            continue;
        };
        let ports: BTreeMap<u16, SocketAddrV4> = serde_json::from_str(ports).unwrap_or_default();
        if of == namespace {
            addresses.extend(
                ports
                    .into_iter()
                    .map(|(port, at)| ((name.to_owned(), port), at)),
            );
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_by_namespace() {
        let at = |text: &str| text.parse::<SocketAddrV4>().unwrap();
        let told = HostAddresses::from([
            (("shop/web".to_owned(), 80), at("127.64.0.2:8080")),
            (("shop/web".to_owned(), 443), at("127.64.0.2:443")),
            (("other/web".to_owned(), 80), at("127.64.0.3:80")),
            (("shop/pod/web-0".to_owned(), 9000), at("127.64.0.1:9000")),
        ]);
        let map = written(&told);
        let expected = Addresses::from([
            (("web".to_owned(), 80), at("127.64.0.2:8080")),
            (("web".to_owned(), 443), at("127.64.0.2:443")),
        ]);
        assert_eq!(read(&map, "shop"), expected);
        assert_eq!(read(&map, "nobody"), Addresses::new());
        assert_eq!(read(&ConfigMap::default(), "shop"), Addresses::new());
    }
}
