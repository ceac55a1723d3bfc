//! Dockerfiles: sequences of instructions.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{assert_in, assert_ordered, mistaken, some};
use crate::dockerfile::{outline, plan};
use crate::plan::expand;

const WORDS: &[&str] = &[
    "a",
    "b",
    "./",
    "/srv",
    "..",
    "*.js",
    "$A",
    "${A}",
    "${A:-b}",
    "${A:+$B}",
    "${A",
    "\"q $A\"",
    "'s $A'",
    "\\$A",
    "a=b",
    "a=\"b c\"",
    "é",
    "80/tcp",
    "1-3",
    "web:web",
    "http://a/b",
    "&&",
    "|",
    "<<<x",
    "<<EOF",
    ">",
    "SIGTERM",
    "NONE",
    "CMD",
    "[\"a\", \"b\"]",
    "[\"a\"",
    "AS",
    "\"",
    "'",
    "`",
];
const FLAGS: &[&str] = &[
    "--from=a",
    "--from=0",
    "--from=none",
    "--from=$A",
    "--chown=web:web",
    "--chown=$A",
    "--chmod=755",
    "--chmod=u+x",
    "--link",
    "--exclude=*.md",
    "--parents",
    "--mount=type=cache,target=/c",
    "--mount=type=cache,id=$A,target=c,sharing=locked",
    "--mount=type=bind,from=a,source=/x,target=/y",
    "--mount=target=.",
    "--mount=type=tmpfs,target=/t",
    "--mount=type=secret,id=s",
    "--mount=",
    "--network=none",
    "--network=host",
    "--network=default",
    "--security=insecure",
    "--interval=3s",
    "--retries=x",
    "--timeout=1h2m",
    "--platform=linux/amd64",
    "--",
    "--x",
];
const NAMES: &[&str] = &[
    "RUN",
    "COPY",
    "ADD",
    "ENV",
    "ARG",
    "LABEL",
    "USER",
    "WORKDIR",
    "ENTRYPOINT",
    "CMD",
    "EXPOSE",
    "VOLUME",
    "STOPSIGNAL",
    "SHELL",
    "HEALTHCHECK",
    "MAINTAINER",
    "ONBUILD",
    "run",
    "Copy",
    "NOTHING",
];
const BETWEEN: &[&str] = &[" ", " ", " ", "\t", " \\\n  ", " \\\n# why\n  ", "  "];
const PIECES: &[&str] = &[
    "\\",
    "\n",
    "\\\n",
    "`",
    "$",
    "${",
    "}",
    "\"",
    "'",
    "[",
    "]",
    "=",
    ":",
    ",",
    "--",
    "#",
    "# escape=`\n",
    "<<EOF\n",
    "EOF\n",
    "\r\n",
    "\0",
    "\u{feff}",
    "FROM ",
    "FROM a AS ",
    "--from=",
    "ß",
];

fn instruction() -> impl Strategy<Value = String> {
    let rest = (some(FLAGS, 2), some(WORDS, 4), select(BETWEEN));
    (select(NAMES), rest).prop_map(|(name, (flags, words, between))| {
        let mut all = vec![name.to_owned()];
        all.extend(flags);
        all.extend(words);
        all.join(between)
    })
}

fn from() -> impl Strategy<Value = String> {
    let image = select(
        &[
            "a",
            "b",
            "scratch",
            "debian:bookworm",
            "$A",
            "${A:-a}",
            "x/y@sha256:0",
            "",
        ][..],
    );
    let name = select(&["", " AS a", " as b", " AS B", " AS 0", " AS", " AS $A"][..]);
    (image, name).prop_map(|(image, name)| format!("FROM {image}{name}"))
}

fn file() -> impl Strategy<Value = String> {
    let first = select(
        &[
            "",
            "# syntax=docker/dockerfile:1\n",
            "# escape=`\n",
            "ARG A=a\n",
            "#\n\n",
        ][..],
    );
    let stage = (from(), vec(instruction(), 0..6));
    (first, vec(stage, 0..4)).prop_map(|(first, stages)| {
        let stages = stages
            .into_iter()
            .map(|(from, lines)| format!("{from}\n{}\n", lines.join("\n")));
        format!("{first}{}", stages.collect::<String>())
    })
}

proptest! {
    #[test]
    fn a_dockerfile_is_a_plan_or_has_problems_with_their_lines(
        text in mistaken(file(), PIECES),
        target in proptest::option::of(select(&["a", "b", "0", "none"][..])),
    ) {
        let given = BTreeMap::from([("A".to_owned(), "a".to_owned())]);
        match plan(&text, target, &given) {
            Ok(plan) => {
                assert_ordered(&plan);
                let last = &plan.stages.last().unwrap().name;
                // A number is the place of a stage, whose name may be another.
                let name = target.filter(|target| target.parse::<usize>().is_err());
                prop_assert!(name.is_none_or(|name| last.eq_ignore_ascii_case(name)));
            }
            Err(problems) => assert_in(&text, &problems),
        }
        drop(outline(&text, &given));
    }

    #[test]
    fn any_text_has_its_variables_replaced_or_says_why_not(
        text in mistaken(some(WORDS, 6).prop_map(|words| words.concat()), PIECES),
    ) {
        drop(expand::dockerfile(&text, &|name| (name == "A").then(|| "$B".to_owned())));
        drop(expand::blubber(&text, &|_| None));
    }
}
