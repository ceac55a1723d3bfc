//! `$NAME` and `${NAME…}` in the texts of Dockerfiles and Compose files.
//!
//! The forms are those that both know: `${N:-default}`, `${N-default}`, `${N:+other}`, `${N+other}`,
//! `${N:?message}`. Nothing is taken from this machine's environment.

/// The text with its variables filled in, or the name of one that nobody gives.
pub(super) fn expand(text: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        // An escaped dollar is one.
        if expanded.ends_with('\\') {
            expanded.pop();
            expanded.push('$');
            rest = &rest[at + 1..];
            continue;
        }
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some(inside) = rest.strip_prefix('{') {
            let Some(end) = closing(inside) else {
                expanded.push_str("${");
                rest = inside;
                continue;
            };
            expanded.push_str(&form(&inside[..end], value)?);
            rest = &inside[end + 1..];
        } else {
            let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
                expanded.push('$');
            } else {
                expanded.push_str(&value(name).ok_or_else(|| name.to_owned())?);
                rest = after;
            }
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Where the brace that was opened is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1_u32;
    for (index, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(index);
        }
    }
    None
}

fn form(inside: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let end = inside.find(|c: char| !is_name(c)).unwrap_or(inside.len());
    let (name, rest) = inside.split_at(end);
    let (colon, rest) = match rest.strip_prefix(':') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let given = value(name).filter(|value| !colon || !value.is_empty());
    let mut chars = rest.chars();
    let Some(kind) = chars.next() else {
        return given.ok_or_else(|| name.to_owned());
    };
    let other = chars.as_str();
    match kind {
        '-' => given.map_or_else(|| nested(other, value), Ok),
        '+' if given.is_some() => nested(other, value),
        '+' => Ok(String::new()),
        '?' => given.ok_or_else(|| name.to_owned()),
        _ => Err(name.to_owned()),
    }
}

/// Defaults may hold variables themselves; how deep is limited by the text's own length.
fn nested(text: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    if text.len() > 4096 {
        return Err(text.chars().take(20).collect());
    }
    expand(text, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        expand(text, &|name| match name {
            "A" => Some("a".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn variables_and_their_defaults_are_filled_in() {
        assert_eq!(filled("$A-${A}x").as_deref(), Ok("a-ax"));
        assert_eq!(filled("${B:-b}${EMPTY:-e}${EMPTY-f}").as_deref(), Ok("be"));
        assert_eq!(filled("${A:+yes}${B:+no}").as_deref(), Ok("yes"));
        assert_eq!(filled("${B:-${A}}").as_deref(), Ok("a"));
        assert_eq!(filled("$$A \\$A 1$ $").as_deref(), Ok("$A $A 1$ $"));
        assert_eq!(filled("${unclosed").as_deref(), Ok("${unclosed"));
    }

    #[test]
    fn what_nobody_gives_is_named() {
        assert_eq!(filled("${B}"), Err("B".to_owned()));
        assert_eq!(filled("x$B"), Err("B".to_owned()));
        assert_eq!(filled("${B:?must be set}"), Err("B".to_owned()));
    }
}
