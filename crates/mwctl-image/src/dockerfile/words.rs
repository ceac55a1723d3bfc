//! The words of an instruction: flags, quotes, lists, names and values.

use super::lines::Line;
use crate::plan::Problem;

/// Who builds what isn't built here.
pub(crate) const ELSEWHERE: &str = "BuildKit can: `mwctl build --engine buildkit`, or `engine: buildkit` beside `file` in `mwctl.yaml`; docker, podman and buildah, too, where they know it";

/// What another engine can and this one can't.
pub(super) fn refused(line: &Line, message: impl Into<String>) -> Problem {
    Problem::new(line.number, message).hint(ELSEWHERE)
}

/// Flags by name, in order.
pub(super) type Flags = Vec<(String, String)>;

/// The flags (`--name=value`) at the beginning, and what follows them.
pub(super) fn flags(line: &Line) -> Result<(Flags, &str), Problem> {
    let mut flags = Vec::new();
    let mut rest = line.rest.as_str();
    while let Some(flag) = rest.strip_prefix("--") {
        let end = flag.find(char::is_whitespace).unwrap_or(flag.len());
        let (flag, after) = flag.split_at(end);
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        if name.is_empty() {
            return Err(Problem::new(line.number, "a flag without a name"));
        }
        flags.push((name.to_owned(), value.to_owned()));
        rest = after.trim_start();
    }
    Ok((flags, rest))
}

/// Words between spaces, without their quotes. A backslash before anything but a dollar goes.
pub(super) fn plain(line: &Line, text: &str) -> Result<Vec<String>, Problem> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some('\''), letter) => {
                let word = word.get_or_insert_default();
                if letter == '$' {
                    // Here it begins no variable.
                    word.push('\\');
                }
                word.push(letter);
            }
            (_, '\\') => {
                let next = letters.next();
                let word = word.get_or_insert_default();
                if next == Some('$') {
                    // Variables are replaced later: it must still be known that this is none.
                    word.push('\\');
                }
                word.extend(next);
            }
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    if let Some(open) = quote {
        let message = format!("the quote {open} isn't closed");
        return Err(Problem::new(line.number, message));
    }
    words.extend(word);
    Ok(words)
}

/// A list in JSON; `None` where it is none.
pub(super) fn list(text: &str) -> Option<Vec<String>> {
    text.starts_with('[')
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}

/// `NAME=VALUE …`, or one `NAME VALUE` as it was written long ago.
pub(super) fn pairs(line: &Line) -> Result<Vec<(String, String)>, Problem> {
    let first = line.rest.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let (name, value) = line
            .rest
            .split_once(char::is_whitespace)
            .ok_or_else(|| Problem::new(line.number, format!("`{first}` has no value")))?;
        return Ok(vec![(name.to_owned(), value.trim().to_owned())]);
    }
    let words = plain(line, &line.rest)?;
    let pair = |word: String| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Problem::new(
            line.number,
            format!("`{word}` is no NAME=VALUE"),
        )),
    };
    words.into_iter().map(pair).collect()
}

/// `NAME` and `NAME=DEFAULT`.
pub(super) fn arguments(line: &Line) -> Result<Vec<(String, Option<String>)>, Problem> {
    let words = plain(line, &line.rest)?;
    if words.is_empty() {
        return Err(Problem::new(line.number, "`ARG` takes a name"));
    }
    let split = words.into_iter().map(|word| match word.split_once('=') {
        Some((name, default)) => (name.to_owned(), Some(default.to_owned())),
        None => (word, None),
    });
    Ok(split.collect())
}

/// A time as in `30s` or `1m30s`, in nanoseconds.
pub(super) fn nanoseconds(line: &Line, text: &str) -> Result<u64, Problem> {
    let wrong = || {
        Problem::new(
            line.number,
            format!("`{text}` is no time: write `30s` or `5m`"),
        )
    };
    let mut total = 0_f64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, after) = rest.split_at(digits.ok_or_else(wrong)?);
        let unit = after
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let factor = match unit {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return Err(wrong()),
        };
        total += number.parse::<f64>().map_err(|_| wrong())? * factor;
        rest = after;
    }
    Ok(total as u64)
}
