//! What is different at each run, made the same: ages, times, addresses, random names. Pure.

use std::sync::LazyLock;

use regex::Regex;

/// What is replaced by what, in this order.
///
/// A random part of a name has none of the letters that Kubernetes avoids in them.
static REPLACED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UID"),
        (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
        (
            r"\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}",
            "TIME",
        ),
        (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC", "TIME"),
        (
            r#"((?:resourceVersion|Resource Version)(?:\\*")?: *(?:\\*")?)\d+"#,
            "${1}REVISION",
        ),
        (r"kubectl-edit-\d+", "kubectl-edit-NUMBER"),
        (r"\b[0-9a-f]{64}\b", "DIGEST"),
        (r"\bey[\w-]+\.[\w-]+\.[\w-]+", "TOKEN"),
        (r"\b\d{1,3}(\.\d{1,3}){3}(/\d+)?(:\d+)?\b", "ADDRESS"),
        (r"-[bcdfghjklmnpqrstvwxz2456789]{8,10}\b", "-HASH"),
        (r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-RANDOM"),
        (
            r#"(pod-template-hash"?[=:] ?"?)[bcdfghjklmnpqrstvwxz2456789]+"#,
            "${1}HASH",
        ),
        (r"\b3[0-2]\d{3}\b", "NODEPORT"),
        (
            r"\b\d+(d|h|m|s|ms)(\d+[hms])?( \(x\d+ over [^)]*\))?( ago)?( |$)",
            "AGE$5",
        ),
        (r"[ \t]{2,}", "  "),
    ]
    .into_iter()
    .map(|(pattern, by)| (Regex::new(&format!("(?m){pattern}")).unwrap(), by))
    .collect()
});

/// A text without what is particular to one run; `known` are words of this run and what to call them.
pub(crate) fn normal(text: &str, known: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (word, name) in known {
        text = text.replace(word, name);
    }
    for (pattern, by) in REPLACED.iter() {
        text = pattern.replace_all(&text, *by).into_owned();
    }
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

#[test]
fn what_a_run_made_up_is_named_and_the_rest_stays() {
    let text = "web-5ff997b8d8-zd448   1/1  Running   0   12s   10.0.0.7\n";
    assert_eq!(
        normal(text, &[]),
        "web-HASH-RANDOM  1/1  Running  0  AGE  ADDRESS"
    );
    assert_eq!(normal("on 2026-11-24 04:35:42 +0000 UTC", &[]), "on TIME");
    assert_eq!(
        normal("in n1 at 2026-11-24T04:35:42Z", &[("n1", "NAMESPACE")]),
        "in NAMESPACE at TIME"
    );
    assert_eq!(
        normal(r#""resourceVersion":"12","replicas":3"#, &[]),
        r#""resourceVersion":"REVISION","replicas":3"#
    );
}
