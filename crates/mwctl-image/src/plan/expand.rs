//! Variables in texts, as Dockerfiles have them and as Blubber has them.

/// A text with the variables of a Dockerfile replaced: `$a`, `${a}`, `${a:-else}`, `${a:+then}`.
/// What isn't set is empty; `\$` is a dollar.
///
/// `Err` with what can't be understood.
pub fn dockerfile(text: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['$', '\\']) {
        expanded.push_str(&rest[..at]);
        let special = &rest[at..];
        if let Some(after) = special.strip_prefix('\\') {
            // Only a dollar needs it here; quotes are gone already.
            let (letter, after) = match after.strip_prefix('$') {
                Some(after) => ('$', after),
                None => ('\\', after),
            };
            expanded.push(letter);
            rest = after;
            continue;
        }
        let after = &special[1..];
        if let Some(inner) = after.strip_prefix('{') {
            let end = closing(inner).ok_or_else(|| format!("`{special}` has no `}}`"))?;
            expanded.push_str(&braces(&inner[..end], value)?);
            rest = &inner[end + 1..];
        } else {
            let length = name_length(after);
            if length == 0 {
                expanded.push('$');
            } else {
                expanded.push_str(&value(&after[..length]).unwrap_or_default());
            }
            rest = &after[length..];
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn name_length(text: &str) -> usize {
    let mut bytes = text.bytes();
    match bytes.next() {
        Some(b) if b.is_ascii_alphabetic() || b == b'_' => {}
        _ => return 0,
    }
    1 + bytes
        .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
        .count()
}

/// Where the brace closes that was opened before.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn braces(inner: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let length = name_length(inner);
    let (name, modifier) = inner.split_at(length);
    if length == 0 {
        return Err(format!("`${{{inner}}}` names no variable"));
    }
    let known = value(name);
    let filled = known.clone().filter(|value| !value.is_empty());
    match modifier.as_bytes() {
        [] => Ok(known.unwrap_or_default()),
        [b':', b'-', ..] => match filled {
            Some(value) => Ok(value),
            None => dockerfile(&modifier[2..], value),
        },
        [b'-', ..] => match known {
            Some(value) => Ok(value),
            None => dockerfile(&modifier[1..], value),
        },
        [b':', b'+', ..] => match filled {
            Some(_) => dockerfile(&modifier[2..], value),
            None => Ok(String::new()),
        },
        [b'+', ..] => match known {
            Some(_) => dockerfile(&modifier[1..], value),
            None => Ok(String::new()),
        },
        _ => Err(format!("`${{{inner}}}` has an unknown modifier")),
    }
}

/// A text with variables replaced as Blubber does it before a command is run: what isn't set is
/// nothing, and there is no escape (Go's `os.Expand`).
pub fn blubber(text: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let Some(first) = after.chars().next() else {
            expanded.push('$');
            rest = "";
            break;
        };
        if first == '{' {
            match after.find('}') {
                // `${}` and what isn't closed vanish without a word.
                Some(1) => rest = &after[2..],
                None => rest = &after[1..],
                Some(end) => {
                    expanded.push_str(&value(&after[1..end]).unwrap_or_default());
                    rest = &after[end + 1..];
                }
            }
            continue;
        }
        let is_special = "*#$@!?-0123456789".contains(first);
        let length = if is_special { 1 } else { name_length(after) };
        if length == 0 {
            expanded.push('$');
        } else {
            expanded.push_str(&value(&after[..length]).unwrap_or_default());
        }
        rest = &after[length..];
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> Option<String> {
        match name {
            "a" => Some("A".to_owned()),
            "empty" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_of_a_dockerfile() {
        for (text, expanded) in [
            ("x$a-${a}y", "xA-Ay"),
            (
                "${b:-else}${a:-else}${empty:-else}${empty-else}",
                "elseAelse",
            ),
            (
                "${a:+then}${b:+then}${empty:+then}${empty+then}",
                "thenthen",
            ),
            ("${b:-${a}}", "A"),
            (r"\$a $ $1 \n", r"$a $ $1 \n"),
            ("$b", ""),
        ] {
            assert_eq!(dockerfile(text, &value).as_deref(), Ok(expanded), "{text}");
        }
        for bad in ["${a", "${}", "${a%x}"] {
            assert!(dockerfile(bad, &value).is_err(), "{bad}");
        }
    }

    #[test]
    fn variables_of_blubber_vanish_where_they_are_unknown() {
        for (text, expanded) in [
            ("x$a-${a}", "xA-A"),
            ("for i in 1; do echo $i; done", "for i in 1; do echo ; done"),
            ("$1$?$$", ""),
            ("cost $ and ${}", "cost $ and "),
            ("end$", "end$"),
        ] {
            assert_eq!(blubber(text, &value), expanded, "{text}");
        }
    }
}
