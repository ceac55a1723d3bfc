//! What is new with every call: the time, identifiers, and the ends of generated names. The only place of chance and clock here.

use jiff::Timestamp;
use uuid::Uuid;

/// Letters that make no words.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The most of a `generateName` that is kept: what a label may hold, less the generated end.
const PREFIX: usize = 63 - ENDING;
const ENDING: usize = 5;

/// The time, as `metadata` writes it.
pub fn now() -> String {
    after_seconds(0)
}

/// The time in so many seconds.
pub(super) fn after_seconds(seconds: i64) -> String {
    let now = Timestamp::now();
    let then = Timestamp::from_second(now.as_second().saturating_add(seconds)).unwrap_or(now);
    then.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A new `metadata.uid`.
pub(super) fn uid() -> String {
    Uuid::new_v4().to_string()
}

/// A name that begins as `generateName` says.
pub(super) fn name(prefix: &str) -> String {
    let kept = prefix
        .char_indices()
        .map(|(at, letter)| at + letter.len_utf8());
    let kept = kept
        .take_while(|end| *end <= PREFIX)
        .last()
        .unwrap_or_default();
    let chance = Uuid::new_v4();
    let ending = chance.as_bytes()[..ENDING]
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
    prefix[..kept].chars().chain(ending).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_name_keeps_what_fits_of_its_prefix() {
        assert!(name("web-").starts_with("web-"));
        assert_eq!(name("web-").len(), 9);
        assert_eq!(name(&"ä".repeat(80)).len(), 63);
        assert_ne!(name("a"), name("a"));
    }

    #[test]
    fn times_are_of_whole_seconds() {
        assert_eq!(now().len(), "2026-01-01T00:00:00Z".len());
        assert!(after_seconds(60) > now());
        assert!(!after_seconds(i64::MAX).is_empty());
    }
}
