//! What texts and numbers in many places may look like: each answers the complaints, none for a good one.

use std::net::IpAddr;

use serde_json::Value;

use super::report::{Path, Report, text};
use crate::names;

pub(super) const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
pub(super) const PORT: &str = "must be between 1 and 65535, inclusive";
pub(super) const IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
pub(super) const CIDR: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
pub(super) const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
pub(super) const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

pub(super) fn is_port(number: i64) -> bool {
    (1..=65535).contains(&number)
}

/// Complaints about the name of a port.
pub(super) fn port_name(name: &str) -> Vec<&'static str> {
    let mut complaints = Vec::new();
    if name.len() > 15 {
        complaints.push("must be no more than 15 characters");
    }
    if !name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    {
        complaints.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    } else if !name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        complaints.push("must contain at least one letter (a-z)");
    }
    if name.contains("--") {
        complaints.push("must not contain consecutive hyphens");
    }
    if name.starts_with('-') || name.ends_with('-') {
        complaints.push("must not begin or end with a hyphen");
    }
    complaints
}

/// Complaints about the number or the name of a port.
pub(super) fn port(value: &Value, at: &Path<'_>, report: &mut Report) {
    if let Some(name) = value.as_str() {
        for complaint in port_name(name) {
            report.invalid(at, value, complaint);
        }
    } else if !is_port(value.as_i64().unwrap_or_default()) {
        report.invalid(at, &Value::from(value.as_i64().unwrap_or_default()), PORT);
    }
}

/// Complaints about the key of a config map, a secret or a file made of one.
pub(super) fn config_key(key: &str) -> Vec<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let mut complaints = Vec::new();
    if key.len() > 253 {
        complaints.push("must be no more than 253 characters".to_owned());
    }
    if key.is_empty() || !key.bytes().all(plain) {
        complaints.push(CONFIG_KEY.to_owned());
    } else if key == "." || key == ".." {
        complaints.push(format!("must not be '{key}'"));
    } else if key.starts_with("..") {
        complaints.push("must not start with '..'".to_owned());
    }
    complaints
}

/// Complaints about a DNS label, which tell dots apart.
pub(super) fn label(name: &str) -> Vec<String> {
    if name.contains('.') && names::dns_label(&name.replace('.', "")).is_empty() {
        return vec!["must not contain dots".to_owned()];
    }
    names::dns_label(name)
}

pub(super) fn is_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

pub(super) fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= most)
}

/// A path within something: relative, and not leading out of it.
pub(super) fn local_path(value: &Value, at: &Path<'_>, report: &mut Report) {
    if text(value).starts_with('/') {
        report.invalid(at, value, "must be a relative path");
    }
    no_way_up(value, at, report);
}

/// A path without `..`.
pub(super) fn no_way_up(value: &Value, at: &Path<'_>, report: &mut Report) {
    if text(value).split('/').any(|part| part == "..") {
        report.invalid(at, value, "must not contain '..'");
    }
}

/// A count or a share: not below zero, and written as a percentage if it is a text.
pub(super) fn count_or_share(value: &Value, at: &Path<'_>, report: &mut Report) {
    if let Some(share) = value.as_str() {
        if share_of(share).is_none() {
            report.invalid(at, value, PERCENT);
        }
    } else if value.as_i64().is_some_and(|count| count < 0) {
        report.invalid(at, value, NOT_NEGATIVE);
    }
}

/// The number of a percentage.
pub(super) fn share_of(text: &str) -> Option<u64> {
    let digits = text.strip_suffix('%')?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// Complaints about the keys and the values of labels.
pub(super) fn labels(labels: &Value, at: &Path<'_>, report: &mut Report) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        report.all_invalid(at, &Value::from(key.as_str()), names::qualified_name(key));
        report.all_invalid(at, value, names::label_value(text(value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ports_have_letters_and_fifteen_characters_at_most() {
        assert!(port_name("http-2").is_empty());
        for name in ["80", "A", "a--b", "-a", "averyverylongname", ""] {
            assert!(!port_name(name).is_empty(), "{name}");
        }
    }

    #[test]
    fn networks_have_an_address_and_a_length() {
        assert!(is_cidr("10.0.0.0/8") && is_cidr("2001:db8::/64"));
        assert!(!is_cidr("10.0.0.0/33") && !is_cidr("10.0.0.0") && !is_cidr("x/8"));
    }

    #[test]
    fn keys_of_config_maps_are_names_of_files() {
        assert!(config_key("a.b_C-1").is_empty() && config_key("..data").len() == 1);
        assert_eq!(config_key(".."), ["must not be '..'"]);
        assert_eq!(config_key(""), [CONFIG_KEY]);
    }
}
