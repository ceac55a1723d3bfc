//! Blubber files: keys that there are, with values that they may have and others.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{assert_in, assert_ordered, mistaken};
use crate::blubber::Blubber;

const COMMON: &[&str] = &[
    "base: debian:bookworm",
    "base: null",
    "arguments: {AA: '1', BB: $AA}",
    "apt: {packages: [ca-certificates, 'git=1:2', lib/backports]}",
    "apt: {packages: {default: [aa], bookworm-backports: [bb]}}",
    "apt: {sources: [{url: 'http://a/b', distribution: bookworm, components: [main], signed-by: KEY}]}",
    "apt: {proxies: ['http://a:1', {url: 'http://b', source: 'http://c'}]}",
    "lives: {as: me, uid: 1, gid: 2, in: /srv/me}",
    "lives: {uid: -1, in: /}",
    "runs: {as: you, uid: 3, gid: 4, environment: {A: b, PATH: '/x:$PATH'}, insecurely: true}",
    "runs: {environment: {A: 1}, in: srv}",
    "entrypoint: [/bin/sh, -c, 'echo $A ${B:-c}']",
    "entrypoint: []",
    "builders: [{custom: {command: [make, '$A'], requirements: [a, {from: local, source: b}]}}]",
    "builders: [{custom: {script: \"#!/bin/sh\\necho\", caches: [/c, {destination: d, id: e, access: locked}]}}]",
    "builders: [{custom: {command: 'make it', mounts: [local, {from: b, destination: /m, source: n}]}}, {node: {}}]",
    "builders: [{node: {env: production, use-npm-ci: true, requirements: [package.json]}}]",
    "builders: [{php: {production: true}}, {python: {version: python3, venv: /v, poetry: {version: '1.8', devel: true}}}]",
    "builders: [{node: {}, php: {}}]",
    "builder: {command: [make], requirements: [{from: a, source: x, destination: y, exclude: [z]}]}",
    "node: {env: '', requirements: [package.json], allow-dedupe-failure: true}",
    "php: {requirements: [composer.json]}",
    "python: {version: python3, requirements: [r.txt], no-deps: true, pip-version: '23', tox-version: 4.1}",
];
const VARIANT: &[&str] = &[
    "includes: [a]",
    "includes: [b, c]",
    "includes: [test]",
    "copies: [a]",
    "copies: [local, b]",
    "copies: [{from: local, source: x, destination: /y, exclude: ['*.md']}, {from: c, source: /z, destination: z}]",
    "copies: c",
    "copies: {from: b}",
];
const PIECES: &[&str] = &[
    "\n",
    "\n  ",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "'",
    "\"",
    "|\n",
    ">\n",
    "&a ",
    "*a",
    "<<: *a",
    "!!str ",
    "~",
    "null",
    "true",
    "1e9",
    "0x1",
    "$",
    "${",
    "#",
    "\t",
    "---\n",
    "...\n",
    "? ",
    "ß",
    "\0",
    "\r",
    "a: ",
    "version: v4\n",
    "variants: {",
    "local",
];

fn file() -> impl Strategy<Value = String> {
    let variant = (vec(select(COMMON), 0..4), vec(select(VARIANT), 0..3));
    let names = select(&["a", "b", "c", "test"][..]);
    (vec(select(COMMON), 0..4), vec((names, variant), 0..5)).prop_map(|(common, variants)| {
        let mut text = "version: v4\n".to_owned();
        // A key that is there twice is a mistake that somebody makes; mostly it hides all others.
        let mut keys = Vec::new();
        let mut is_new = |line: &&str| {
            let key = line.split(':').next().unwrap_or_default().to_owned();
            let is_new = !keys.contains(&key);
            keys.push(key);
            is_new
        };
        for line in common.into_iter().filter(|line| is_new(line)) {
            text = format!("{text}{line}\n");
        }
        text.push_str("variants:\n");
        let mut names = Vec::new();
        for (name, (common, own)) in variants {
            if names.contains(&name) {
                continue;
            }
            names.push(name);
            text = format!("{text}  {name}:\n");
            let mut keys = Vec::new();
            for line in common.into_iter().chain(own) {
                let key = line.split(':').next();
                if !keys.contains(&key) {
                    keys.push(key);
                    text = format!("{text}    {line}\n");
                }
            }
        }
        text
    })
}

proptest! {
    #[test]
    fn a_blubber_file_has_a_plan_for_each_variant_or_problems_with_their_lines(text in mistaken(file(), PIECES)) {
        match Blubber::read(&text) {
            Ok(blubber) => {
                for name in blubber.variants() {
                    let plan = blubber.plan(name).unwrap();
                    assert_ordered(&plan);
                    prop_assert_eq!(&plan.stages.last().unwrap().name, name);
                }
                prop_assert!(blubber.plan("none").is_err());
            }
            Err(problems) => assert_in(&text, &problems),
        }
    }
}
