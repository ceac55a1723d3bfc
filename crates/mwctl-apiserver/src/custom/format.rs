//! Formats of texts that are more than notes for the reader.

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::names;

/// Whether a text has a format. Whatever format is unknown, every text has.
pub(super) fn is(format: &str, text: &str) -> bool {
    match format {
        "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
        "date" => text.parse::<jiff::civil::Date>().is_ok(),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "byte" => STANDARD.decode(text).is_ok(),
        "hostname" => names::dns_subdomain(&text.to_lowercase()).is_empty(),
        "email" => is_email(text),
        "uuid" => is_uuid(text),
        "duration" => is_duration(text),
        _ => true,
    }
}

fn is_email(text: &str) -> bool {
    text.rsplit_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !text.contains(' '))
}

fn is_uuid(text: &str) -> bool {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// As Go writes them (`1h30m`), or in words (`3 days`).
fn is_duration(text: &str) -> bool {
    let units = [
        "ns", "us", "µs", "ms", "s", "m", "h", "d", "w", "sec", "min", "hour", "day", "week",
    ];
    let mut rest = text.trim_start_matches(['-', '+']);
    if rest == "0" {
        return true;
    }
    let mut any = false;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let after = rest[digits..].trim_start();
        let unit = after
            .find(|c: char| c.is_ascii_digit() || c == ' ')
            .unwrap_or(after.len());
        let named = units
            .iter()
            .any(|known| after[..unit].trim_end_matches('s') == known.trim_end_matches('s'));
        if digits == 0 || unit == 0 || !named {
            return false;
        }
        any = true;
        rest = after[unit..].trim_start();
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_from_other_texts() {
        let good = [
            ("date-time", "2026-01-01T00:00:00Z"),
            ("date", "2026-01-01"),
            ("ipv4", "1.2.3.4"),
            ("ipv6", "::1"),
            ("byte", "AAEC"),
            ("email", "a@b.c"),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000"),
            ("duration", "1h30m"),
            ("duration", "3 days"),
            ("password", "anything"),
        ];
        for (format, text) in good {
            assert!(is(format, text), "{format} {text}");
        }
        for format in [
            "date-time",
            "date",
            "ipv4",
            "ipv6",
            "byte",
            "email",
            "uuid",
            "duration",
        ] {
            assert!(!is(format, "?"), "{format}");
        }
    }
}
