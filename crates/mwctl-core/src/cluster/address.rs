//! Whether an API server's address can be a machine of one's own.
//!
//! A private address is never proof of a local cluster, a public one is proof against it.

use std::net::IpAddr;

/// The host of `https://host:port/path`, without the brackets of an IPv6 address.
pub(super) fn host(server: &str) -> &str {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    if let Some(bracketed) = authority.strip_prefix('[') {
        return bracketed.split(']').next().unwrap_or(bracketed);
    }
    authority.split(':').next().unwrap_or(authority)
}

/// Whether the address is reachable from outside, as far as its text says.
pub(super) fn is_public(server: &str) -> bool {
    let host = host(server);
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            !(address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_unspecified())
        }
        Ok(IpAddr::V6(address)) => {
            !(address.is_loopback()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.is_unspecified())
        }
        Err(_) => !is_private_name(host),
    }
}

fn is_private_name(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost"
        || [".localhost", ".docker.internal", ".local", ".testing"]
            .iter()
            .any(|suffix| host.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_found_in_every_form_of_an_address() {
        assert_eq!(host("https://192.168.49.2:8443"), "192.168.49.2");
        assert_eq!(host("https://[::1]:6443/x"), "::1");
        assert_eq!(host("example.org"), "example.org");
        assert_eq!(host("https://a.b/c:d"), "a.b");
    }

    #[test]
    fn loopback_and_private_addresses_are_not_public() {
        for server in [
            "https://127.0.0.1:6443",
            "https://192.168.49.2:8443",
            "https://10.1.2.3",
            "https://172.17.0.2:1",
            "https://[::1]:6443",
            "https://0.0.0.0:34567",
            "https://kubernetes.docker.internal:6443",
            "https://localhost:6443",
            "https://api.crc.testing:6443",
        ] {
            assert!(!is_public(server), "{server} was taken for public");
        }
    }

    #[test]
    fn everything_else_is_public() {
        for server in [
            "https://34.118.1.1",
            "https://ABC.gr7.eu-west-1.eks.amazonaws.com",
            "https://172.32.0.1",
            "https://localhost.example.org",
            "https://[2a02::1]:6443",
        ] {
            assert!(is_public(server), "{server} was taken for private");
        }
    }
}
