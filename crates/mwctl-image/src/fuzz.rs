//! Inputs that look as if somebody had made them, and to which then something happened: what is random from the start is
//! refused at its first byte, and finds little.
//!
//! `PROPTEST_CASES` says how many are tried.

mod archives;
mod blubber;
mod dockerfile;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::plan::{Plan, Problem};

/// The same text, mostly with a few mistakes: something left out, twice, or in the wrong place, of which `pieces` has some.
fn mistaken(
    text: impl Strategy<Value = String>,
    pieces: &'static [&'static str],
) -> impl Strategy<Value = String> {
    let place = any::<Index>();
    let mistakes = vec((0_u8..5, place, 0_usize..20, 0..pieces.len()), 0..5);
    (text, mistakes).prop_map(move |(text, mistakes)| {
        let mut text: Vec<char> = text.chars().collect();
        for (mistake, place, length, piece) in mistakes {
            let begin = place.index(text.len() + 1);
            let end = (begin + length).min(text.len());
            let there = text[begin..end].to_vec();
            let piece = pieces[piece].chars();
            match mistake {
                0 => drop(text.drain(begin..end)),
                1 => drop(text.splice(begin..begin, there)),
                2 => drop(text.splice(begin..end, piece)),
                3 => drop(text.splice(begin..begin, piece)),
                _ => text.rotate_left(begin),
            }
        }
        text.into_iter().collect()
    })
}

/// Words of which there is none, one or more.
fn some(words: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<String>> {
    let word = proptest::sample::select(words).prop_map(str::to_owned);
    vec(word, 0..=most)
}

/// Problems say where in the text they are.
fn assert_in(text: &str, problems: &[Problem]) {
    assert!(!problems.is_empty());
    // As YAML counts them; a Dockerfile has no more of them.
    let ends = text.replace("\r\n", "\n");
    let lines = 1 + ends
        .matches(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
        .count();
    for problem in problems {
        assert!(problem.line <= lines, "{problem:?} of {lines} lines");
        assert!(!problem.message.is_empty());
    }
}

/// Whatever a stage needs comes before it, and the wanted one is the last.
fn assert_ordered(plan: &Plan) {
    let mut known: Vec<&str> = Vec::new();
    for stage in &plan.stages {
        for need in stage.needs() {
            assert!(
                known.contains(&need),
                "`{need}` isn't made before `{}`",
                stage.name
            );
        }
        known.push(&stage.name);
    }
    assert!(!known.is_empty());
}
