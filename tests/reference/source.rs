//! Pages from what the code's own documentation says of constants, variants and fields.
//!
//! A reader of Rust this is not: it knows the plain shape in which these three files are written,
//! and fails where it meets another.

use std::fmt::Write as _;

/// One documented item of a file: its documentation, and the line that follows it.
struct Item {
    text: String,
    line: String,
    indent: usize,
}

fn items(source: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let mut text = String::new();
    for line in source.lines() {
        let plain = line.trim();
        if let Some(more) = plain.strip_prefix("///") {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(more.trim());
        } else if plain.starts_with("#[") {
            // An attribute stands between an item and its documentation.
        } else if text.is_empty() {
            // Undocumented: no item of a page.
        } else {
            items.push(Item {
                text: std::mem::take(&mut text),
                line: plain.to_owned(),
                indent: line.len() - line.trim_start().len(),
            });
        }
    }
    items
}

/// What stands between the first `before` and the `after` that follows it.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

fn sentence(text: &str) -> &str {
    text.strip_suffix('.').unwrap_or(text)
}

pub(crate) fn exit_codes(source: &str) -> String {
    let mut page = "# Exit codes\n\n\
        Generated from `crates/mwctl/src/exit.rs`. They are part of the interface: a script may rely on them.\n\n\
        | code | meaning |\n| --- | --- |\n"
        .to_owned();
    let mut seen = 0;
    for item in items(source) {
        let name = item.line.trim_end_matches(',');
        let name = name.split('(').next().unwrap();
        let code = source.lines().map(str::trim).find_map(|line| {
            let (variant, code) = line.strip_prefix("Self::")?.split_once(" => ")?;
            (variant.split('(').next() == Some(name)).then(|| code.trim_end_matches(','))
        });
        let Some(code) = code else { continue };
        seen += 1;
        let code = if code == "code" { "any" } else { code };
        writeln!(page, "| {code} | {} |", sentence(&item.text)).unwrap();
    }
    assert_eq!(
        seen,
        source.matches("Self::").count() - source.matches("Self::from").count(),
        "each code has its line"
    );
    page.push_str(
        "\n`mwctl test` ends with the code of the tests, `mwctl exec` with the code of the command: \
         these may be any, also one of those above.\n",
    );
    page
}

pub(crate) fn environment(source: &str) -> String {
    let mut page = "# Environment variables\n\n\
        Generated from `crates/mwctl/src/env.rs`, the only place that reads the environment.\n\n\
        | variable | meaning |\n| --- | --- |\n"
        .to_owned();
    for item in items(source) {
        let Some(name) = between(&item.line, "&str = \"", "\"") else {
            continue;
        };
        writeln!(page, "| `{name}` | {} |", sentence(&item.text)).unwrap();
    }
    let mut others: Vec<&str> = ["path(\"", "text(\""]
        .iter()
        .flat_map(|read| source.split(read).skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    others.sort_unstable();
    let others: Vec<String> = others.iter().map(|name| format!("`{name}`")).collect();
    writeln!(
        page,
        "\nBeside these `mwctl` reads {} in their usual meaning, and `NO_COLOR`, which turns colours off. \
         A description may ask for variables of its own, as in `secrets`.",
        others.join(", ")
    )
    .unwrap();
    page
}

pub(crate) fn events(source: &str) -> String {
    let mut page = "# Events\n\n\
        Generated from `crates/mwctl-engine/src/event.rs`.\n\n\
        With `--output json`, commands that follow something (`up`, `down`, `develop`, `apply`, `test`, `restart`, `logs`, `forward`) \
        write one JSON object a line. Each has `\"schema\": 1` and `\"event\"`, its kind. The number is raised when a field changes its \
        meaning or goes; new fields and new kinds of events may come without that.\n"
        .to_owned();
    let (_, body) = source.split_once("pub enum Event {").unwrap();
    for item in items(body) {
        let text = &item.text;
        if item.line.starts_with("pub struct Events") {
            break;
        }
        if item.indent == 4 && !item.line.starts_with("pub ") {
            let name = item.line.split([' ', '(', ',']).next().unwrap();
            writeln!(page, "\n## `{}`\n\n{text}", camel(name)).unwrap();
            if item.line.ends_with('{') {
                page.push_str("\n| field | value | meaning |\n| --- | --- | --- |\n");
            } else if let Some(inner) = between(&item.line, "(", ")") {
                writeln!(
                    page,
                    "Its fields are those of [{inner}](#{}).",
                    inner.to_lowercase()
                )
                .unwrap();
            }
        } else if let Some(name) = between(&item.line, "pub struct ", " {") {
            writeln!(page, "\n## {name}\n\n{text}").unwrap();
            page.push_str("\n| field | value | meaning |\n| --- | --- | --- |\n");
        } else if let Some((name, kind)) = item.line.trim_end_matches(',').split_once(": ") {
            let name = name.trim_start_matches("pub ");
            let value = value(kind);
            writeln!(page, "| `{}` | {value} | {} |", snake(name), sentence(text)).unwrap();
        }
    }
    page.push_str(
        "\n## Problem\n\n\
         | field | value | meaning |\n| --- | --- | --- |\n\
         | `message` | text | What is wrong |\n\
         | `location` | map, or `null` | `file`, `line`, `column`, `length` and `text`: the place, and its line |\n\
         | `hint` | text, or `null` | What to write instead |\n",
    );
    page
}

/// A Rust type in words.
fn value(kind: &str) -> String {
    if let Some(inner) = kind.strip_prefix("Option<") {
        return format!("{}, or `null`", value(inner.strip_suffix('>').unwrap()));
    }
    for list in ["Vec<", "BTreeSet<"] {
        if let Some(inner) = kind.strip_prefix(list) {
            return format!("list of {}", value(inner.strip_suffix('>').unwrap()));
        }
    }
    match kind {
        "String" | "ServiceName" => "text".to_owned(),
        "SocketAddr" => "text, `HOST:PORT`".to_owned(),
        "bool" => "`true` or `false`".to_owned(),
        "u64" | "u16" | "usize" | "i32" => "whole number".to_owned(),
        "f64" => "number".to_owned(),
        "Problem" | "Phase" | "Address" => format!("[{kind}](#{})", kind.to_lowercase()),
        other => panic!("say what `{other}` is for programs"),
    }
}

/// `StepDone` as serde writes it: `stepDone`.
fn camel(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().unwrap().to_ascii_lowercase();
    std::iter::once(first).chain(letters).collect()
}

/// `last_lines` as serde writes it: `lastLines`.
fn snake(name: &str) -> String {
    let mut words = name.split('_');
    let mut text = words.next().unwrap().to_owned();
    for word in words {
        text.push_str(&word[..1].to_ascii_uppercase());
        text.push_str(&word[1..]);
    }
    text
}
