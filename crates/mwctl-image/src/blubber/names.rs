//! What names and versions look like. Each check says what is wrong with a text, if anything.

pub(super) fn anything(_: &str) -> Option<String> {
    None
}

fn unless(right: bool, text: &str, what: &str) -> Option<String> {
    (!right).then(|| format!("\"{text}\" is not a valid {what}"))
}

pub(super) fn user_name(text: &str) -> Option<String> {
    let first = |c: char| c.is_ascii_lowercase() || c == '_';
    let middle = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    let right = text.starts_with(first) && text.trim_end_matches('$').chars().all(middle);
    unless(right && text.len() < 33, text, "user name")
}

pub(super) fn absolute(text: &str) -> Option<String> {
    let right = text.starts_with('/') && !text.trim_matches('/').is_empty();
    unless(right, text, "absolute non-root path")
}

pub(super) fn variable_name(text: &str) -> Option<String> {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let middle = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let right = text.starts_with(first) && text.chars().all(middle);
    unless(right, text, "environment variable name")
}

pub(super) fn argument_name(text: &str) -> Option<String> {
    let right = text.len() > 1 && variable_name(text).is_none();
    unless(right, text, "argument name")
}

pub(super) fn web_address(text: &str) -> Option<String> {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let right = rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace)
    });
    unless(right, text, "HTTP/HTTPS URL")
}

pub(super) fn release_name(text: &str) -> Option<String> {
    let middle = |c: char| c.is_ascii_alphanumeric() || "-._/+".contains(c);
    let right = !text.is_empty() && text.chars().all(middle);
    unless(right, text, "Debian release name")
}

pub(super) fn package_name(text: &str) -> Option<String> {
    let (name, rest) = match text.find(['=', '/']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let middle = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+.-".contains(c);
    let first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let wanted = |c: char| c.is_ascii_alphanumeric() || "+.:~-".contains(c);
    let right = name.len() > 1
        && name.starts_with(first)
        && name.chars().all(middle)
        && (rest.is_empty() || rest.len() > 1 && rest[1..].chars().all(wanted));
    unless(right, text, "Debian package name")
}

pub(super) fn access(text: &str) -> Option<String> {
    let right = ["shared", "locked", "private"].contains(&text);
    unless(right, text, "access: `shared`, `locked` or `private`")
}

pub(super) fn alphanumeric(text: &str) -> Option<String> {
    let right = text.chars().all(|c| c.is_ascii_alphanumeric());
    unless(right, text, "Node environment name")
}

pub(super) fn python_version(text: &str) -> Option<String> {
    let plain = text.trim_start_matches(['=', '<', '>', '!', '~', ' ']);
    let right = plain.starts_with(|c: char| c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "=<>!~ .,*+-".contains(c));
    unless(right, text, "Python package version specification")
}

pub(super) fn is_variant_name(name: &str) -> bool {
    let middle = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    name.len() > 2
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(middle)
}
