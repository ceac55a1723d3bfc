//! Durations as people write them: `30s`, `250ms`, `5m`, `1h`.

/// Milliseconds; `None` where the text is no duration or longer than a year.
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let milliseconds = number.parse::<u64>().ok()?.checked_mul(factor)?;
    (milliseconds <= 366 * 24 * 3_600_000).then_some(milliseconds)
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn a_duration_is_a_number_with_its_unit() {
        assert_eq!(milliseconds("250ms"), Some(250));
        assert_eq!(milliseconds("30s"), Some(30_000));
        assert_eq!(milliseconds("2m"), Some(120_000));
        for text in [
            "",
            "30",
            "s",
            "1.5s",
            "-1s",
            "30 s",
            "99999999999999999999s",
            "9999999h",
        ] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
