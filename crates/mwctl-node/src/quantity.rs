//! Kubernetes' quantities as whole numbers: `100m`, `1.5`, `2Gi`, `1e3`.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// A quantity in thousandths of its unit, rounded up. None where the text is no quantity, which the server refuses.
pub(crate) fn thousandths(quantity: &Quantity) -> Option<u64> {
    let text = quantity.0.trim();
    let end = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.' && letter != '+')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, part) = number
        .trim_start_matches('+')
        .split_once('.')
        .unwrap_or((number, ""));
    let digits: String = part.chars().chain("000000000".chars()).take(9).collect();
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let billionths = whole
        .checked_mul(1_000_000_000)?
        .checked_add(digits.parse().ok()?)?;
    let (times, divided_by): (u128, u128) = match suffix {
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1000),
        "" => (1, 1),
        "k" => (1000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let ten = 10_u128.checked_pow(power.unsigned_abs())?;
            if power < 0 { (1, ten) } else { (ten, 1) }
        }
    };
    let divided_by = divided_by.checked_mul(1_000_000)?;
    u64::try_from(billionths.checked_mul(times)?.div_ceil(divided_by)).ok()
}

/// A quantity in whole units, rounded up.
pub(crate) fn units(quantity: &Quantity) -> Option<u64> {
    Some(thousandths(quantity)?.div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        let read = |text: &str| thousandths(&Quantity(text.to_owned()));
        assert_eq!(read("100m"), Some(100));
        assert_eq!(read("1.5"), Some(1500));
        assert_eq!(read("2Gi"), Some((2 << 30) * 1000));
        assert_eq!(read("1e3"), Some(1_000_000));
        assert_eq!(read("12E-1"), Some(1200));
        assert_eq!(read("1n"), Some(1));
        for wrong in ["", "x", "1x", "-1", "1e99"] {
            assert!(
                read(wrong).is_none_or(|value| wrong.is_empty() && value == 0),
                "{wrong}"
            );
        }
        assert_eq!(units(&Quantity("1500m".to_owned())), Some(2));
    }
}
