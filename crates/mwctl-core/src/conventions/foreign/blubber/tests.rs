//! What a variant inherits, sentence by sentence, and what is said of a file that Blubber would refuse.

use serde_json::{Value, json};

use super::*;

fn expanded(source: &str, variant: &str) -> Value {
    let blubber = read(Path::new("blubber.yaml"), source).unwrap();
    blubber.variant(variant).unwrap().2.value(true)
}

fn refused(source: &str) -> Vec<String> {
    let problems = read(Path::new("blubber.yaml"), source).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn the_top_level_comes_first_and_what_is_included_before_the_variant() {
    let source = "version: v4\nbase: top\nlives: {in: /srv/a, uid: 1}\nvariants:\n\
        \x20 one: {base: first, lives: {uid: 2}, includes: [two]}\n\
        \x20 two: {base: second, runs: {environment: {A: a}}}\n\
        \x20 all: {includes: [one, two], runs: {environment: {B: b}}}\n";
    assert_eq!(
        expanded(source, "all"),
        json!({
            "base": "first", "lives": { "in": "/srv/a", "uid": 2 },
            "runs": { "environment": { "A": "a", "B": "b" } }
        })
    );
}

#[test]
fn single_values_replace_only_where_they_say_something() {
    let source = "version: v4\nvariants:\n\
        \x20 low: {base: x, lives: {uid: 5}, runs: {insecurely: true}, node: {env: production}}\n\
        \x20 top: {includes: [low], base: ~, lives: {uid: 0}, runs: {insecurely: false}, node: {env: \"\"}}\n";
    assert_eq!(
        expanded(source, "top"),
        json!({
            "base": "x", "lives": { "uid": 5 }, "runs": { "insecurely": false },
            "node": { "env": "production" }
        })
    );
}

#[test]
fn packages_sources_and_proxies_are_appended() {
    let source = "version: v4\napt: {packages: [a]}\nvariants:\n\
        \x20 low: {apt: {packages: {default: [b], sid: [c]}, proxies: [http://one]}}\n\
        \x20 top: {includes: [low], apt: {packages: [d], proxies: [http://two]}}\n";
    assert_eq!(
        expanded(source, "top")["apt"],
        json!({
            "packages": { "default": ["a", "b", "d"], "sid": ["c"] },
            "proxies": ["http://one", "http://two"]
        })
    );
}

#[test]
fn requirements_commands_and_entrypoints_are_replaced_whole() {
    let source = "version: v4\nentrypoint: [a, b]\nvariants:\n\
        \x20 low: {node: {requirements: [package.json], env: test}, builder: {command: [x, y], caches: [c]}}\n\
        \x20 top: {includes: [low], entrypoint: [], node: {requirements: [other.json]}, builder: {command: [z]}}\n";
    let top = expanded(source, "top");
    assert_eq!(top["entrypoint"], json!([]));
    assert_eq!(
        top["node"],
        json!({ "requirements": ["other.json"], "env": "test" })
    );
    assert_eq!(top["builder"], json!({ "command": ["z"], "caches": ["c"] }));
}

#[test]
fn copies_are_appended_and_the_same_one_stands_once() {
    let source = "version: v4\nvariants:\n\
        \x20 aaa: {copies: [local]}\n  bbb: {includes: [aaa], copies: [aaa]}\n\
        \x20 ccc: {includes: [bbb], copies: [local]}\n";
    assert_eq!(expanded(source, "ccc")["copies"], json!(["aaa", "local"]));
}

#[test]
fn included_builders_come_first_and_a_predefined_one_is_merged_at_the_includers_place() {
    let source = "version: v4\nvariants:\n\
        \x20 low: {builders: [{custom: {command: a}}, {node: {env: test, requirements: [p]}}, {php: {production: true}}]}\n\
        \x20 top: {includes: [low], builders: [{custom: {command: a}}, {node: {env: production}}]}\n";
    assert_eq!(
        expanded(source, "top")["builders"],
        json!([
            { "custom": { "command": "a" } },
            { "php": { "production": true } },
            { "custom": { "command": "a" } },
            { "node": { "env": "production", "requirements": ["p"] } }
        ])
    );
}

#[test]
fn values_keep_their_lines_through_the_merge() {
    let source = "version: v4\nbase: top\nvariants:\n  low:\n    entrypoint: [node]\n  top:\n    includes: [low]\n";
    let blubber = read(Path::new("blubber.yaml"), source).unwrap();
    let top = &blubber.variant("top").unwrap().2;
    assert_eq!(top.get("base").unwrap().at.line, 2);
    assert_eq!(top.get("entrypoint").unwrap().at.line, 5);
}

#[test]
fn what_blubber_refuses_is_a_problem_and_all_are_told() {
    let source = "version: v4\nbse: x\nvariants:\n  ab: {}\n  one: {includes: [tow], copies: [local, {from: x}]}\n\
        \x20 two: {lives: {in: srv}, node: {}, builders: [{php: {}}], copis: []}\n\
        \x20 ccc: {includes: [ddd]}\n  ddd: {includes: [ccc]}\n\
        \x20 eee: {builder: {command: a, script: b}, copies: [{destination: /x, from: local}]}\n";
    assert_eq!(
        refused(source),
        [
            "blubber.yaml:2:1: unknown key `bse` (did you mean `base`?)",
            "blubber.yaml:4:3: `ab` can't be a variant's name (at least three letters, digits, hyphens and dots, starting with a letter)",
            "blubber.yaml:5:20: unknown variant `tow` (did you mean `two`?)",
            "blubber.yaml:5:35: `copies` are all names or all maps",
            "blubber.yaml:6:3: the variant `two` has both `builders` and `node`",
            "blubber.yaml:6:21: `srv` must be an absolute path, and not the root",
            "blubber.yaml:6:60: unknown key `copis` (did you mean `copies`?)",
            "blubber.yaml:7:3: variants include each other: ccc → ddd → ccc",
            "blubber.yaml:9:18: a builder has either a `command` or a `script`",
            "blubber.yaml:9:52: a copy with `destination` needs `source`",
        ]
    );
    assert_eq!(
        refused("variants: {}\n"),
        ["blubber.yaml:1:1: `version` is missing (start with `version: v4`)"]
    );
}

#[test]
fn another_version_is_told_and_not_guessed_at() {
    let blubber = read(Path::new("blubber.yaml"), "version: v3\nvariants: {x: 1}\n").unwrap();
    assert_eq!(blubber.other_version.as_deref(), Some("v3"));
}
