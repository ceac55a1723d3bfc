//! Kubernetes quantities (`100m`, `1.5Gi`, `2e3`), brought into the one form the API server keeps.
//!
//! Without that, a second `up` would see `0.5` become `500m` and change it back for ever.

/// A quantity in units of 10⁻⁹, and its canonical text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Quantity {
    pub(crate) nano: i128,
    pub(crate) text: String,
}

const NANO: i128 = 1_000_000_000;
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// Reads a quantity; `None` where it isn't one, is negative, or is larger than Kubernetes takes.
pub(crate) fn parse(text: &str) -> Option<Quantity> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || digits.len() > 25 {
        return None;
    }
    let mantissa: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let places = i32::try_from(fraction.len()).ok()?;
    if let Some(power) = BINARY.iter().position(|it| *it == suffix) {
        let scale = 1024_i128.checked_pow(u32::try_from(power).ok()? + 1)?;
        let nano = scaled(mantissa.checked_mul(scale)?, 9 - places)?;
        return limited(nano, |nano| binary(nano).unwrap_or_else(|| decimal(nano)));
    }
    if let Some((_, exponent)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return limited(scaled(mantissa, exponent + 9 - places)?, decimal);
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    if !(-9..=18).contains(&exponent) {
        return None;
    }
    limited(scaled(mantissa, exponent + 9 - places)?, scientific)
}

/// `mantissa · 10^power`, rounded up as Kubernetes does.
fn scaled(mantissa: i128, power: i32) -> Option<i128> {
    let factor = 10_i128.checked_pow(power.unsigned_abs())?;
    if power >= 0 {
        mantissa.checked_mul(factor)
    } else {
        Some(mantissa / factor + i128::from(mantissa % factor != 0))
    }
}

fn limited(nano: i128, format: impl Fn(i128) -> String) -> Option<Quantity> {
    (nano / NANO <= i128::from(i64::MAX)).then(|| Quantity {
        nano,
        text: format(nano),
    })
}

/// The number without its trailing groups of three zeros, and how many digits those were less nine.
fn thousands(nano: i128) -> (i128, i32) {
    let (mut value, mut exponent) = (nano, -9);
    while value != 0 && value % 1000 == 0 && exponent < 18 {
        value /= 1000;
        exponent += 3;
    }
    if value == 0 {
        (0, 0)
    } else {
        (value, exponent)
    }
}

fn decimal(nano: i128) -> String {
    let (value, exponent) = thousands(nano);
    let suffix = DECIMAL.iter().find(|(_, power)| *power == exponent);
    format!("{value}{}", suffix.map_or("", |(name, _)| name))
}

fn scientific(nano: i128) -> String {
    match thousands(nano) {
        (value, 0) => value.to_string(),
        (value, exponent) => format!("{value}e{exponent}"),
    }
}

/// The binary form; `None` for a number that isn't whole or is below 1024.
fn binary(nano: i128) -> Option<String> {
    let mut value = (nano % NANO == 0).then_some(nano / NANO)?;
    if value < 1024 {
        return None;
    }
    let mut power = 0;
    while value % 1024 == 0 && power < BINARY.len() {
        value /= 1024;
        power += 1;
    }
    let suffix = if power == 0 { "" } else { BINARY[power - 1] };
    Some(format!("{value}{suffix}"))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_quantity_has_one_canonical_form() {
        for (text, canonical) in [
            ("1", "1"),
            ("0.5", "500m"),
            ("1000m", "1"),
            ("100m", "100m"),
            ("1500", "1500"),
            ("1000", "1k"),
            ("200Mi", "200Mi"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("400M", "400M"),
            ("2e3", "2e3"),
            ("0", "0"),
            (".5", "500m"),
            ("1.", "1"),
        ] {
            assert_eq!(
                parse(text).map(|it| it.text).as_deref(),
                Some(canonical),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in [
            "",
            "m",
            "1 Gi",
            "200mb",
            "1.2.3",
            "-1",
            "1Gib",
            "1e99",
            "1e",
            "99999999999E",
            ".",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
