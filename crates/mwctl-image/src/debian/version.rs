//! The order of Debian's versions, as deb-version(7) has it.

use std::cmp::Ordering;

/// Which of two versions is the newer one.
pub fn compare(one: &str, other: &str) -> Ordering {
    let (one, other) = (split(one), split(other));
    one.0
        .cmp(&other.0)
        .then_with(|| part(one.1, other.1))
        .then_with(|| part(one.2, other.2))
}

/// Epoch, upstream's version, revision.
fn split(version: &str) -> (u64, &str, &str) {
    let version = version.trim();
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
    (epoch.parse().unwrap_or_default(), upstream, revision)
}

/// Parts without digits and numbers take turns.
fn part(mut one: &str, mut other: &str) -> Ordering {
    while !one.is_empty() || !other.is_empty() {
        let (mine, theirs) = (take(&mut one, false), take(&mut other, false));
        let mut order = letters(mine, theirs);
        if order == Ordering::Equal {
            let (mine, theirs) = (take(&mut one, true), take(&mut other, true));
            let (mine, theirs) = (mine.trim_start_matches('0'), theirs.trim_start_matches('0'));
            // Of two numbers without zeros before them, the longer one is the larger one.
            order = mine.len().cmp(&theirs.len()).then_with(|| mine.cmp(theirs));
        }
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Takes the longest beginning of digits, or of anything else.
fn take<'a>(text: &mut &'a str, digits: bool) -> &'a str {
    let end = text.find(|letter: char| letter.is_ascii_digit() != digits);
    let (taken, rest) = text.split_at(end.unwrap_or(text.len()));
    *text = rest;
    taken
}

/// A tilde comes before the end, the end before letters, letters before all else.
fn letters(one: &str, other: &str) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let places = 0..one.len().max(other.len());
    places
        .map(|at| weight(one.get(at)).cmp(&weight(other.get(at))))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        // Each older than the next; the list of deb-version(7) and of dpkg's own tests.
        for pair in [
            ["1.0~~", "1.0~~a"],
            ["1.0~~a", "1.0~"],
            ["1.0~", "1.0"],
            ["1.0", "1.0a"],
            ["1.0a", "1.0+"],
            ["2.36-9+deb12u9", "2.36-9+deb12u13"],
            ["9", "10"],
            ["99", "1:0"],
            ["1.2-1", "1.2-1.1"],
            ["1.2", "1.2-1"],
            ["1.2.3-1", "1.2.3-1+b1"],
            ["0.9.8~rc1-1", "0.9.8-1"],
            ["1-a-1", "1-a-2"],
            ["7.6-0", "7.6p2-4"],
            ["1.18.36", "1.18.44"],
            ["20230311", "20230311+deb12u1"],
            ["1:1.2.13", "1:1.2.13.dfsg-1"],
        ] {
            let [older, newer] = pair;
            assert_eq!(compare(older, newer), Ordering::Less, "{pair:?}");
            assert_eq!(compare(newer, older), Ordering::Greater, "{pair:?}");
        }
        for pair in [
            ["1.0", "1.00"],
            ["0:1", "1"],
            ["1-0", "1"],
            ["1.01-1", "1.1-1"],
            ["18446744073709551616000", "018446744073709551616000"],
        ] {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Equal, "{pair:?}");
        }
    }
}
