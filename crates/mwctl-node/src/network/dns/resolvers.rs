//! What `/etc/resolv.conf` says, as a value (resolv.conf(5)).

use std::net::IpAddr;

/// Who is asked for names, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolvers {
    /// The name servers, in the order in which they are asked.
    pub servers: Vec<IpAddr>,
    /// The domains that are tried behind short names.
    pub search: Vec<String>,
    /// Options such as `ndots:5`.
    pub options: Vec<String>,
}

impl Resolvers {
    /// Reads a file's text. Lines that aren't known are passed over, as by the C library; of several `search` lines the last counts.
    pub fn parse(text: &str) -> Self {
        let mut resolvers = Self::default();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // A zone, as in `fe80::1%eth0`, names an interface of this machine; it can't be dialled without.
                    resolvers
                        .servers
                        .extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()));
                }
                Some("search" | "domain") => resolvers.search = words.map(str::to_owned).collect(),
                Some("options") => resolvers.options.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        resolvers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_domains_and_options_are_read_and_the_rest_is_passed_over() {
        let text = "# made by hand\nnameserver 127.0.0.53 ; here\nnameserver fe80::1%eth0\nnameserver 2001:db8::1\n\
            domain old.example\nsearch a.example b.example\noptions edns0 trust-ad\noptions ndots:2\nsortlist 1.2.3.4\nnameserver\n";
        let read = Resolvers::parse(text);
        assert_eq!(
            read.servers,
            [
                "127.0.0.53".parse::<IpAddr>().unwrap(),
                "2001:db8::1".parse().unwrap()
            ]
        );
        assert_eq!(read.search, ["a.example", "b.example"]);
        assert_eq!(read.options, ["edns0", "trust-ad", "ndots:2"]);
    }
}
