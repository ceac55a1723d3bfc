//! Quantities such as `100m` and `1.5Gi`: read, compared, and written in the one form that the API writes. No unit is known here.

use std::fmt;

/// What upstream says of text that is no quantity.
pub const REFUSAL: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

const NANO: i128 = 1_000_000_000;
const DECIMAL: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// A quantity, to the billionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity {
    nano: i128,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Decimal,
    Binary,
    Exponent,
}

impl Quantity {
    /// Reads a quantity; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let end = text
            .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-'))
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (negative, number) = match number.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return None;
        }
        let (form, base, power) = unit(suffix)?;
        let mut nano = scaled(whole, fraction, base, power);
        // Upstream knows no more than 63 bits.
        nano = nano.min(i128::from(i64::MAX) * NANO);
        Some(Self {
            nano: if negative { -nano } else { nano },
            form,
        })
    }

    /// A whole number.
    pub fn whole(number: i64) -> Self {
        Self {
            nano: i128::from(number) * NANO,
            form: Form::Decimal,
        }
    }

    /// The sum, in the form of the first unless that is nothing.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            nano: self.nano.saturating_add(other.nano),
            form: if self.nano == 0 {
                other.form
            } else {
                self.form
            },
        }
    }

    /// The value, rounded up to a whole one.
    pub fn ceil(self) -> i128 {
        -((-self.nano).div_euclid(NANO))
    }

    /// The value in thousandths, rounded up.
    pub fn ceil_milli(self) -> i128 {
        -((-self.nano).div_euclid(NANO / 1000))
    }

    /// The value in billionths: what two quantities are compared by.
    pub fn nano(self) -> i128 {
        self.nano
    }
}

/// The form, the base and the power of a suffix.
fn unit(suffix: &str) -> Option<(Form, i128, i32)> {
    let place = |units: [&str; 7]| units.iter().position(|unit| *unit == suffix);
    if let Some(power) = place(BINARY).filter(|power| *power > 0) {
        return Some((Form::Binary, 1024, power as i32));
    }
    if let Some(power) = place(DECIMAL) {
        return Some((Form::Decimal, 10, 3 * power as i32));
    }
    match suffix {
        "m" => return Some((Form::Decimal, 10, -3)),
        "u" => return Some((Form::Decimal, 10, -6)),
        "n" => return Some((Form::Decimal, 10, -9)),
        _ => {}
    }
    let power = suffix.strip_prefix(['e', 'E'])?;
    Some((Form::Exponent, 10, power.parse().ok()?))
}

/// Digits times a power, in billionths, rounded up; as large as can be where it is too large.
fn scaled(whole: &str, fraction: &str, base: i128, power: i32) -> i128 {
    let mut nano: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        nano = nano
            .saturating_mul(10)
            .saturating_add(i128::from(digit - b'0'));
    }
    let mut tens = 9 - fraction.len() as i64;
    if base == 10 {
        tens += i64::from(power);
    } else {
        for _ in 0..power {
            nano = nano.saturating_mul(base);
        }
    }
    // Beyond this many tens everything is nothing, or more than fits.
    for _ in 0..tens.clamp(-40, 40).unsigned_abs() {
        nano = if tens > 0 {
            nano.saturating_mul(10)
        } else {
            nano / 10 + i128::from(nano % 10 != 0)
        };
    }
    nano
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let small = self.nano.abs() < 1024 * NANO;
        // What isn't whole would be another amount: it is written in powers of ten instead.
        if self.form == Form::Binary && !small && self.nano % NANO == 0 {
            let mut value = self.nano / NANO;
            let mut power = 0;
            while value % 1024 == 0 && power + 1 < BINARY.len() {
                value /= 1024;
                power += 1;
            }
            return write!(formatter, "{value}{}", BINARY[power]);
        }
        let (mut value, mut power) = (self.nano, -3);
        while value != 0 && value % 1000 == 0 && power < 6 {
            value /= 1000;
            power += 1;
        }
        if value == 0 {
            power = 0;
        }
        if self.form == Form::Exponent {
            return match power {
                0 => write!(formatter, "{value}"),
                _ => write!(formatter, "{value}e{}", 3 * power),
            };
        }
        let suffix = match power {
            -3 => "n",
            -2 => "u",
            -1 => "m",
            _ => DECIMAL[power as usize],
        };
        write!(formatter, "{value}{suffix}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> String {
        Quantity::parse(text).map_or_else(|| "none".to_owned(), |quantity| quantity.to_string())
    }

    #[test]
    fn quantities_are_written_as_the_api_writes_them() {
        let expected = [
            ("0", "0"),
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("231.04Mi", "242262999040m"),
            ("-1.001Ki", "-1025024m"),
            ("100000", "100k"),
            ("1e3", "1e3"),
            ("12e6", "12e6"),
            ("+1", "1"),
            ("-1.5", "-1500m"),
            (".5", "500m"),
            ("1.", "1"),
            ("0.1n", "1n"),
            ("1048576", "1048576"),
        ];
        for (text, written) in expected {
            assert_eq!(canonical(text), written, "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "x", "1x", "1.2.3", "--1", "1-", "Ki", "1 Gi", "1Kii"] {
            assert_eq!(canonical(text), "none", "{text}");
        }
    }

    #[test]
    fn fractions_count_as_a_whole() {
        let quantity = Quantity::parse("1500m").unwrap();
        assert_eq!((quantity.ceil(), quantity.ceil_milli()), (2, 1500));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_the_same(text in "-?[0-9]{0,30}\\.?[0-9]{0,12}([numkMGTPE]|[KMGTPE]i|e[0-9]{1,9}|E-[0-9])?") {
            if let Some(quantity) = Quantity::parse(&text) {
                let written = quantity.to_string();
                prop_assert_eq!(canonical(&written), written);
            }
        }
    }
}
