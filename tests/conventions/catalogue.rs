//! The chapter of the reference page that tells, for each shipped convention and helper, what recognises it, what it
//! runs, and how it is written down: made from the files themselves.

use std::fmt::Write as _;
use std::path::Path;

use mwctl_core::conventions;
use serde_json::Value;

/// The shipped documents of a folder, by their names.
fn documents(folder: &str) -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../conventions")
        .join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let document: Value =
            serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        (document["name"].as_str().unwrap().to_owned(), document)
    };
    files.iter().map(read).collect()
}

/// A value of a convention, or of the one that it extends.
fn value<'a>(
    all: &'a [(String, Value)],
    convention: &'a Value,
    pointer: &str,
) -> Option<&'a Value> {
    convention.pointer(pointer).or_else(|| {
        let below = convention["extends"].as_str()?;
        let (_, below) = all.iter().find(|(name, _)| name == below)?;
        value(all, below, pointer)
    })
}

fn sign(sign: &Value) -> String {
    let file = sign["file"].as_str().unwrap();
    let own = match sign["key"].as_str() {
        Some(key) => format!("`{file}` with `{key}`"),
        None => format!("`{file}`"),
    };
    let others = sign["or"].as_array().into_iter().flatten().map(self::sign);
    std::iter::once(own)
        .chain(others)
        .collect::<Vec<_>>()
        .join(" or ")
}

fn signs(recognise: &Value, key: &str, between: &str) -> Option<String> {
    let all: Vec<String> = recognise[key].as_array()?.iter().map(sign).collect();
    Some(all.join(between))
}

fn recognition(convention: &Value) -> String {
    if convention["name"] == "container" {
        return "It is chosen where nothing else fits and these say what runs in what.".to_owned();
    }
    let Some(recognise) = convention.get("recognise") else {
        return "It is chosen by name.".to_owned();
    };
    let mut parts = Vec::new();
    parts.extend(signs(recognise, "all", ", and "));
    parts.extend(signs(recognise, "any", ", or "));
    let mut text = format!("Recognised by {}", parts.join("; and beside it "));
    if let Some(none) = signs(recognise, "none", ", ") {
        write!(text, "; not where there is {none}").unwrap();
    }
    text + "."
}

/// A command as a person would type it.
fn words(command: &Value) -> String {
    let word = |word: &Value| match word.as_str() {
        None => word.to_string(),
        Some(plain) if !plain.is_empty() && !plain.contains([' ', '"']) => plain.to_owned(),
        // A template is one word, whatever is in it.
        Some(template) if template.contains("{{") && !template.contains('"') => template.to_owned(),
        Some(other) => format!("'{other}'"),
    };
    let words = command.as_array().into_iter().flatten().map(word);
    words.collect::<Vec<_>>().join(" ")
}

/// What it runs, upon what, and where it is reached.
fn running(all: &[(String, Value)], convention: &Value) -> String {
    let text = |pointer: &str| value(all, convention, pointer).and_then(Value::as_str);
    let mut parts = Vec::new();
    if let Some(command) = value(all, convention, "/container/command") {
        parts.push(format!("`{}`", words(command)));
    }
    if let Some(base) = text("/container/build/base") {
        parts.push(format!("upon `{base}`"));
    } else if let Some(image) = text("/container/image") {
        parts.push(format!("in the image `{image}`"));
    }
    if let Some(port) = value(all, convention, "/container/ports/0/port") {
        let assumed = value(all, convention, "/facts/port").and_then(|it| it.as_array()?.last());
        parts.push(match (port.as_u64(), assumed) {
            (None, Some(assumed)) => {
                format!(
                    "on port {} unless the repository says another",
                    assumed["value"]
                )
            }
            _ => format!("on port {port}"),
        });
    }
    if let Some(kind) = text("/workload/kind") {
        parts.push(format!("as a `{kind}`"));
    }
    if parts.is_empty() {
        return "What it runs is yours to say.".to_owned();
    }
    format!("Runs {}.", parts.join(", "))
}

fn example(all: &[(String, Value)], name: &str, convention: &Value) -> String {
    if value(all, convention, "/container/image").is_some() {
        return format!(
            "services:\n  web: {{convention: node, source: {{path: web}}, needs: [{name}]}}\n  {name}:\n"
        );
    }
    if convention.get("recognise").is_some() || name == "container" {
        return format!(
            "services:\n  web:\n    source: {{path: web}} # or by name: `convention: {name}`\n"
        );
    }
    let more = if name == "cron" {
        ", workload: {schedule: \"*/5 * * * *\"}"
    } else {
        ""
    };
    format!(
        "services:\n  tidy:\n    {{convention: {name}, container: {{image: \"example.org/tidy:1\", command: [tidy]}}{more}}}\n"
    )
}

/// What is written stands in a document that has no problems.
fn check(example: &str) {
    let document = format!("apiVersion: mwctl/v1\nkind: Stack\nname: example\n{example}");
    let parsed = conventions::parse(Path::new("example.yaml"), &document);
    assert_eq!(parsed.problems, [], "{example}");
}

/// The chapter.
pub(crate) fn chapter() -> String {
    let mut page = "\n# Shipped conventions\n\n\
        Generated from `conventions/services` and `conventions/helpers`; each runs on a cluster in `tests/shipped`. \
        Whatever they say can be said otherwise: `container: {build: {base: …}}` takes another base.\n"
        .to_owned();
    let all = documents("services");
    for (name, convention) in &all {
        let description = convention["description"].as_str().unwrap();
        let example = example(&all, name, convention);
        check(&example);
        let (recognition, running) = (recognition(convention), running(&all, convention));
        writeln!(
            page,
            "\n## {name}\n\n{description} {recognition} {running}\n\n```yaml\n{example}```"
        )
        .unwrap();
    }
    page.push_str("\n# Shipped helpers\n\nContainers beside the service in its pod.\n");
    for (name, helper) in documents("helpers") {
        let description = helper["description"].as_str().unwrap();
        let image = helper["image"].as_str().unwrap();
        let ports = helper["ports"].as_array().into_iter().flatten();
        let ports =
            ports.map(|port| format!("`{}` {}", port["name"].as_str().unwrap(), port["port"]));
        let ports: Vec<String> = ports.collect();
        let ports = if ports.is_empty() {
            String::new()
        } else {
            format!(" Ports: {}.", ports.join(", "))
        };
        let example =
            format!("services:\n  web: {{source: {{path: web}}, helpers: {{{name}: {{}}}}}}\n");
        check(&example);
        writeln!(
            page,
            "\n## {name}\n\n{description} Image: `{image}`.{ports}\n\n```yaml\n{example}```"
        )
        .unwrap();
    }
    page
}
