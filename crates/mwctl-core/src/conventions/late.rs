//! Values that a service fills in itself when it starts: `{env(NAME,default)}`, as service-runner writes
//! them into a configuration.
//!
//! The service replaces them in the text, before it is read as YAML. So they are left as they stand:
//! what a variable will be is known in the container. Only a fact needs a value now: the default.

/// One of them in a text.
struct Late<'a> {
    /// Where it begins and ends.
    start: usize,
    end: usize,
    default: Option<&'a str>,
}

/// All of them, in order.
fn find(text: &str) -> Vec<Late<'_>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(brace) = text[from..].find('{') {
        let start = from + brace;
        match at(text, start) {
            Some(late) => {
                from = late.end;
                found.push(late);
            }
            None => from = start + 1,
        }
    }
    found
}

/// The one that begins with the brace at `start`, if it is one.
fn at(text: &str, start: usize) -> Option<Late<'_>> {
    let rest = text[start + 1..].trim_start().strip_prefix("env(")?;
    let (inside, rest) = rest.split_once(')')?;
    let (name, default) = match inside.split_once(',') {
        Some((name, default)) => (name, Some(default.trim_start())),
        None => (inside, None),
    };
    if name.is_empty() || name.contains(char::is_whitespace) || inside.contains('\n') {
        return None;
    }
    let rest = rest.trim_start_matches([' ', '\t']).strip_prefix('}')?;
    Some(Late {
        start,
        end: text.len() - rest.len(),
        default: default.filter(|text| !text.is_empty()),
    })
}

/// The text of a fact as it is without any variable; `None` where it has no default.
pub(crate) fn without_variables(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut from = 0;
    for late in find(text) {
        plain.push_str(&text[from..late.start]);
        plain.push_str(late.default?);
        from = late.end;
    }
    plain.push_str(&text[from..]);
    Some(plain)
}

/// Those that are a whole value and stand without quotes: YAML would take them for maps.
fn bare(text: &str) -> Vec<Late<'_>> {
    let mut found = find(text);
    found.retain(|late| {
        let before = text[..late.start].trim_end_matches([' ', '\t']);
        let rest = text[late.end..].lines().next().unwrap_or_default();
        let ends = rest.trim().is_empty() || rest.trim_start().starts_with('#');
        ends && (before.ends_with([':', '-']) || before.ends_with('\n') || before.is_empty())
    });
    found
}

/// The text with quotes around those that YAML would take for maps.
pub(crate) fn quoted(text: &str) -> String {
    let mut whole = String::new();
    let mut from = 0;
    for late in bare(text) {
        whole.push_str(&text[from..late.start]);
        let value = &text[late.start..late.end];
        whole.extend(["'", &value.replace('\'', "''"), "'"]);
        from = late.end;
    }
    whole.push_str(&text[from..]);
    whole
}

/// Takes the quotes away again in what was written of `original`: without them the service reads
/// numbers as numbers.
pub(crate) fn unquoted(written: String, original: &str) -> String {
    bare(original).iter().fold(written, |written, late| {
        let value = &original[late.start..late.end];
        let single = format!("'{}'", value.replace('\'', "''"));
        let double = format!("\"{value}\"");
        written.replace(&single, value).replace(&double, value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_takes_the_default_and_one_without_is_unknown() {
        assert_eq!(without_variables("8888").as_deref(), Some("8888"));
        assert_eq!(
            without_variables("{env(PORT,8888)}").as_deref(),
            Some("8888")
        );
        let text = "http://{ env(HOST, localhost) }:{env(PORT,1)}/{x}";
        assert_eq!(
            without_variables(text).as_deref(),
            Some("http://localhost:1/{x}")
        );
        assert_eq!(without_variables("{env(PORT)}"), None);
        assert_eq!(
            without_variables("{env(P\n,1)}").as_deref(),
            Some("{env(P\n,1)}")
        );
    }

    #[test]
    fn one_without_quotes_is_a_text_to_yaml_and_stands_as_before_in_the_end() {
        let text = "a: {env(A,1)} # why\nb: '{env(B,2)}'\nc:\n  - {env(C)}\nd: x{env(D,4)}y\n";
        let safe = quoted(text);
        assert_eq!(
            safe,
            "a: '{env(A,1)}' # why\nb: '{env(B,2)}'\nc:\n  - '{env(C)}'\nd: x{env(D,4)}y\n"
        );
        assert_eq!(unquoted(safe, text), text);
    }

    #[test]
    fn other_braces_are_left_alone() {
        let text = "a: {b: 1}\nc: \"{{domain}}\"\nd: {env\n";
        assert_eq!(quoted(text), text);
    }
}
