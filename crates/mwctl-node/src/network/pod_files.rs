//! The files by which a pod knows its network: `resolv.conf` and `hosts`, as the kubelet writes them. Pure.

use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Pod, PodDNSConfig};

pub use super::dns::resolvers::Resolvers;

/// How many resolvers and search domains a C library takes (resolv.conf(5), and Kubernetes' own limits).
const SERVERS: usize = 3;
const DOMAINS: usize = 32;

/// The text of a pod's `resolv.conf`.
///
/// `host` is what this machine's says. With the policy `Default` the pod gets this machine's search domains, but the cluster's name
/// server: it passes questions on to this machine's resolvers, which a pod can't reach itself.
pub fn resolv_conf(
    pod: &Pod,
    cluster_dns: Ipv4Addr,
    cluster_domain: &str,
    host: &Resolvers,
) -> String {
    let spec = pod.spec.clone().unwrap_or_default();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let cluster = vec![cluster_dns.to_string()];
    let (mut servers, mut search, mut options) = match spec.dns_policy.as_deref() {
        Some("None") => (Vec::new(), Vec::new(), Vec::new()),
        Some("Default") => (cluster, host.search.clone(), host.options.clone()),
        _ => {
            let mut search = vec![
                format!("{namespace}.svc.{cluster_domain}"),
                format!("svc.{cluster_domain}"),
                cluster_domain.to_owned(),
            ];
            search.extend(host.search.iter().cloned());
            (cluster, search, vec!["ndots:5".to_owned()])
        }
    };
    add(&mut servers, &mut search, &mut options, spec.dns_config);
    servers.truncate(SERVERS);
    search.truncate(DOMAINS);
    let mut lines = Vec::new();
    if !search.is_empty() {
        lines.push(format!("search {}\n", search.join(" ")));
    }
    lines.extend(
        servers
            .iter()
            .map(|server| format!("nameserver {server}\n")),
    );
    if !options.is_empty() {
        lines.push(format!("options {}\n", options.join(" ")));
    }
    lines.concat()
}

/// What the pod itself asks for comes behind; its options take the place of those of the same name.
fn add(
    servers: &mut Vec<String>,
    search: &mut Vec<String>,
    options: &mut Vec<String>,
    asked: Option<PodDNSConfig>,
) {
    let asked = asked.unwrap_or_default();
    for (list, more) in [(servers, asked.nameservers), (search, asked.searches)] {
        for item in more.unwrap_or_default() {
            if !list.contains(&item) {
                list.push(item);
            }
        }
    }
    for option in asked.options.unwrap_or_default() {
        let Some(name) = option.name else { continue };
        options.retain(|known| known.split(':').next() != Some(&name));
        options.push(match option.value.filter(|value| !value.is_empty()) {
            Some(value) => format!("{name}:{value}"),
            None => name,
        });
    }
}

/// The text of a pod's `hosts`.
pub fn hosts(pod: &Pod, address: Ipv4Addr, cluster_domain: &str) -> String {
    let spec = pod.spec.clone().unwrap_or_default();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let hostname = hostname(pod);
    let mut text = String::from(
        "# Kubernetes-managed hosts file.\n\
         127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::\tip6-localnet\n\
         fe00::\tip6-mcastprefix\n\
         fe00::1\tip6-allnodes\n\
         fe00::2\tip6-allrouters\n",
    );
    let names = match spec.subdomain.filter(|subdomain| !subdomain.is_empty()) {
        Some(subdomain) => {
            format!("{hostname}.{subdomain}.{namespace}.svc.{cluster_domain}\t{hostname}")
        }
        None => hostname,
    };
    text.extend([&address.to_string(), "\t", &names, "\n"]);
    let aliases = spec.host_aliases.unwrap_or_default();
    if !aliases.is_empty() {
        text.push_str("\n# Entries added by HostAliases.\n");
    }
    for alias in aliases {
        let names = alias.hostnames.unwrap_or_default().join("\t");
        text.extend([&alias.ip, "\t", &names, "\n"]);
    }
    text
}

/// The name that a pod's containers have for themselves: at most 63 characters, as the kernel's is.
pub fn hostname(pod: &Pod) -> String {
    let asked = pod.spec.as_ref().and_then(|spec| spec.hostname.clone());
    let name = asked
        .filter(|name| !name.is_empty())
        .or_else(|| pod.metadata.name.clone());
    let mut name = name.unwrap_or_default();
    name.truncate(63);
    name.trim_end_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(spec: &str) -> Pod {
        let text =
            format!(r#"{{"metadata": {{"namespace": "shop", "name": "web-0"}}, "spec": {spec}}}"#);
        serde_json::from_str(&text).unwrap()
    }

    fn resolv(spec: &str) -> String {
        let host = Resolvers::parse("nameserver 192.168.1.1\nsearch home.example\noptions edns0\n");
        resolv_conf(
            &pod(spec),
            Ipv4Addr::new(10, 96, 0, 10),
            "cluster.local",
            &host,
        )
    }

    #[test]
    fn a_pod_asks_the_cluster_first_and_this_machines_domains_last() {
        assert_eq!(
            resolv(r#"{"containers": []}"#),
            "search shop.svc.cluster.local svc.cluster.local cluster.local home.example\n\
             nameserver 10.96.0.10\noptions ndots:5\n"
        );
    }

    #[test]
    fn what_the_pod_asks_for_comes_behind_or_instead() {
        let config = r#""dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["a.example", "cluster.local"],
            "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}"#;
        assert_eq!(
            resolv(&format!(r#"{{"containers": [], {config}}}"#)),
            "search shop.svc.cluster.local svc.cluster.local cluster.local home.example a.example\n\
             nameserver 10.96.0.10\nnameserver 1.1.1.1\noptions ndots:2 edns0\n"
        );
        assert_eq!(
            resolv(&format!(
                r#"{{"containers": [], "dnsPolicy": "None", {config}}}"#
            )),
            "search a.example cluster.local\nnameserver 1.1.1.1\noptions ndots:2 edns0\n"
        );
        assert_eq!(
            resolv(r#"{"containers": [], "dnsPolicy": "Default"}"#),
            "search home.example\nnameserver 10.96.0.10\noptions edns0\n"
        );
    }

    #[test]
    fn a_pod_finds_itself_and_its_aliases_in_hosts() {
        let address = Ipv4Addr::new(10, 42, 0, 9);
        let text = hosts(&pod(r#"{"containers": []}"#), address, "cluster.local");
        assert!(text.ends_with("\n10.42.0.9\tweb-0\n"), "{text}");
        let spec = r#"{"containers": [], "hostname": "one", "subdomain": "db",
            "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a.example", "b.example"]}]}"#;
        let text = hosts(&pod(spec), address, "cluster.local");
        assert!(
            text.contains("\n10.42.0.9\tone.db.shop.svc.cluster.local\tone\n"),
            "{text}"
        );
        assert!(
            text.ends_with("HostAliases.\n10.0.0.1\ta.example\tb.example\n"),
            "{text}"
        );
    }
}
