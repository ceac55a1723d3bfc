//! What names, label keys and label values may look like, with Kubernetes' own sentences for those that may not.
//!
//! Pure functions on strings: each answers the complaints, none for a good one. Which fields hold names is said elsewhere.

const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const QUALIFIED: &str = "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// Complaints about the value of a label.
pub fn label_value(value: &str) -> Vec<String> {
    let mut complaints = too_long(value, 63);
    if !value.is_empty() && !is_word(value) {
        complaints.push(LABEL_VALUE.to_owned());
    }
    complaints
}

/// Complaints about the key of a label or an annotation: a word, with a DNS subdomain and a slash before it or not.
pub fn qualified_name(key: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut parts = key.split('/');
    let name = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) => name,
        (Some(prefix), Some(name), None) => {
            if prefix.is_empty() {
                complaints.push("prefix part must be non-empty".to_owned());
            } else {
                let told = dns_subdomain(prefix).into_iter();
                complaints.extend(told.map(|complaint| format!("prefix part {complaint}")));
            }
            name
        }
        _ => return vec![QUALIFIED.to_owned()],
    };
    if name.is_empty() {
        complaints.push("name part must be non-empty".to_owned());
    }
    complaints.extend(
        too_long(name, 63)
            .into_iter()
            .map(|complaint| format!("name part {complaint}")),
    );
    if !is_word(name) {
        complaints.push(NAME_PART.to_owned());
    }
    complaints
}

/// Complaints about a DNS subdomain (RFC 1123), which most names of objects are.
pub fn dns_subdomain(name: &str) -> Vec<String> {
    let mut complaints = too_long(name, 253);
    if !name.split('.').all(is_dns_label) {
        complaints.push(SUBDOMAIN.to_owned());
    }
    complaints
}

/// Complaints about a DNS label (RFC 1123), which names of namespaces are.
pub fn dns_label(name: &str) -> Vec<String> {
    let mut complaints = too_long(name, 63);
    if !is_dns_label(name) {
        complaints.push(LABEL.to_owned());
    }
    complaints
}

/// Complaints about an address as it is written canonically, which names of `IPAddress` objects are.
pub fn address(name: &str) -> Vec<String> {
    match name.parse::<std::net::IpAddr>() {
        Ok(address) if address.to_string() == name => Vec::new(),
        Ok(_) => vec!["must be in canonical form".to_owned()],
        Err(_) => vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()],
    }
}

/// Complaints about a DNS label of RFC 1035, which names of Services are.
pub fn dns_1035_label(name: &str) -> Vec<String> {
    let mut complaints = too_long(name, 63);
    if !is_dns_label(name) || !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        complaints.push(LABEL_1035.to_owned());
    }
    complaints
}

/// Complaints about a name that becomes one segment of a path, the least that every name must satisfy.
pub fn path_segment(name: &str) -> Vec<String> {
    if name == "." || name == ".." {
        return vec![format!("may not be '{name}'")];
    }
    ["/", "%"]
        .iter()
        .filter(|illegal| name.contains(**illegal))
        .map(|illegal| format!("may not contain '{illegal}'"))
        .collect()
}

fn too_long(text: &str, most: usize) -> Vec<String> {
    if text.len() > most {
        vec![format!("must be no more than {most} characters")]
    } else {
        Vec::new()
    }
}

/// Letters and digits at both ends, and `-`, `_`, `.` also between them.
fn is_word(text: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    ends(bytes.first())
        && ends(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

fn is_dns_label(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
        && bytes.iter().all(|byte| plain(byte) || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_get_no_complaint() {
        assert!(label_value("").is_empty() && label_value("My_value.1").is_empty());
        assert!(qualified_name("example.com/A_b").is_empty() && qualified_name("app").is_empty());
        assert!(dns_subdomain("a.b-c").is_empty() && dns_label("1a").is_empty());
        assert!(dns_1035_label("a1").is_empty() && path_segment("system:node").is_empty());
    }

    #[test]
    fn every_part_of_a_label_key_is_complained_of() {
        assert_eq!(
            qualified_name("A_/"),
            [
                format!("prefix part {SUBDOMAIN}"),
                "name part must be non-empty".to_owned(),
                NAME_PART.to_owned()
            ]
        );
        assert_eq!(qualified_name("a/b/c"), [QUALIFIED]);
        assert_eq!(qualified_name("/b"), ["prefix part must be non-empty"]);
    }

    #[test]
    fn names_are_bounded_and_keep_their_alphabet() {
        assert_eq!(
            label_value(&"a".repeat(64)),
            ["must be no more than 63 characters"]
        );
        assert_eq!(dns_label("a.b"), [LABEL]);
        assert_eq!(dns_subdomain("a..b"), [SUBDOMAIN]);
        assert_eq!(dns_1035_label("1a"), [LABEL_1035]);
        assert_eq!(
            path_segment("a/b%"),
            ["may not contain '/'", "may not contain '%'"]
        );
        assert_eq!(path_segment(".."), ["may not be '..'"]);
    }
}
