//! The name of the test that runs, as a namespace. It makes none.

/// The longest name of a namespace (RFC 1123 label).
const LONGEST: usize = 63;

/// The namespace of the test on this thread, which Rust's test harness names after it.
pub(crate) fn of_this_test() -> String {
    let thread = std::thread::current();
    label(thread.name().unwrap_or_default())
}

/// A label made of any text: its last part where it is too long, for that is the test's own name.
fn label(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(|letter: char| !letter.is_ascii_alphanumeric()) {
        if !word.is_empty() {
            words.push(word.to_ascii_lowercase());
        }
    }
    let name = words.join("-");
    let name = &name[name.len().saturating_sub(LONGEST)..];
    match name.trim_matches('-') {
        "" => "test".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, label, of_this_test};

    #[test]
    fn a_namespace_is_named_after_its_test() {
        assert_eq!(
            of_this_test(),
            "name-tests-a-namespace-is-named-after-its-test"
        );
        assert_eq!(label("a::B_c"), "a-b-c");
        assert_eq!(label(""), "test");
    }

    #[test]
    fn of_a_long_name_the_end_stays() {
        let long = label(&format!("module::{}_tail", "x".repeat(80)));
        assert!(long.len() <= LONGEST && long.ends_with("x-tail"));
    }
}
