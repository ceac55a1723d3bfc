//! Amounts of a resource, exact to a thousandth: `100m`, `1.5`, `2Gi`, `1e3`.

use std::ops::{Add, Sub};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Thousandths of a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Amount(pub(crate) i128);

impl Amount {
    /// Reads a quantity. What is none counts as nothing: the server refuses such values.
    pub(crate) fn of(quantity: &Quantity) -> Self {
        Self::parse(&quantity.0).unwrap_or_default()
    }

    fn parse(text: &str) -> Option<Self> {
        let end = text
            .find(|it: char| !it.is_ascii_digit() && !matches!(it, '.' | '+' | '-'))
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let is_negative = whole.starts_with('-');
        // Nine decimals are as many as Kubernetes keeps.
        let digits: String = part.chars().chain("000000000".chars()).take(9).collect();
        let whole: i128 = match whole.trim_start_matches(['-', '+']) {
            "" => 0,
            digits => digits.parse().ok()?,
        };
        let nano = whole.checked_mul(1_000_000_000)? + digits.parse::<i128>().ok()?;
        let (factor, divisor) = scale(suffix)?;
        // Rounded up, as requests are.
        let milli = nano
            .checked_mul(factor)?
            .checked_add(divisor * 1_000_000 - 1)?
            / (divisor * 1_000_000);
        Some(Self(if is_negative { -milli } else { milli }))
    }
}

/// What a suffix multiplies by, and divides by.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    let binary = |power: u32| Some((1024_i128.pow(power), 1));
    let decimal = |power: u32| Some((1000_i128.pow(power), 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1_000)),
        "k" => decimal(1),
        "M" => decimal(2),
        "G" => decimal(3),
        "T" => decimal(4),
        "P" => decimal(5),
        "E" => decimal(6),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let size = 10_i128.checked_pow(power.unsigned_abs().min(18))?;
            Some(if power < 0 { (1, size) } else { (size, 1) })
        }
    }
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Amount {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl std::iter::Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milli(text: &str) -> Option<i128> {
        Amount::parse(text).map(|amount| amount.0)
    }

    #[test]
    fn quantities_are_read_in_all_their_forms() {
        assert_eq!(milli("100m"), Some(100));
        assert_eq!(milli("1.5"), Some(1_500));
        assert_eq!(milli(".5"), Some(500));
        assert_eq!(milli("2Gi"), Some(2 * 1024 * 1024 * 1024 * 1000));
        assert_eq!(milli("1e3"), Some(1_000_000));
        assert_eq!(milli("5E"), Some(5_000_000_000_000_000_000_000));
    }

    #[test]
    fn less_than_a_thousandth_is_rounded_up() {
        assert_eq!(milli("1u"), Some(1));
        assert_eq!(milli("1n"), Some(1));
    }

    #[test]
    fn what_is_no_quantity_is_nothing() {
        for text in ["x", "1X", "e", "1.2.3"] {
            assert_eq!(milli(text), None, "{text}");
        }
    }
}
