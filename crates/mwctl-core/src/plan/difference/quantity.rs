//! Kubernetes quantities: `1000m` and `1` are equal, and the server writes the shorter one.

use serde_json::Value;

/// Whether two values at `path` are equal quantities.
pub(in crate::plan) fn equal(path: &str, wanted: &Value, live: &Value) -> bool {
    let is_quantity = [".requests.", ".limits."]
        .iter()
        .any(|part| path.contains(part));
    is_quantity
        && matches!(
            (parse(wanted), parse(live)),
            (Some(wanted), Some(live)) if wanted == live
        )
}

/// A quantity in thousandths; `None` where it isn't one, or has finer parts than that.
fn parse(value: &Value) -> Option<i128> {
    let text = value.as_str()?;
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 9 || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scaled = digits.checked_mul(thousandths(suffix)?)?;
    let divisor = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    (scaled % divisor == 0).then_some(scaled / divisor)
}

/// How many thousandths a suffix stands for.
fn thousandths(suffix: &str) -> Option<i128> {
    let power = |base: i128, exponent: u32| base.checked_pow(exponent)?.checked_mul(1000);
    match suffix {
        "m" => Some(1),
        "" => Some(1000),
        "k" => power(1000, 1),
        "M" => power(1000, 2),
        "G" => power(1000, 3),
        "T" => power(1000, 4),
        "Ki" => power(1024, 1),
        "Mi" => power(1024, 2),
        "Gi" => power(1024, 3),
        "Ti" => power(1024, 4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_compared_by_what_they_mean() {
        let path = "spec.containers[a].resources.limits.cpu";
        let same = |a: &str, b: &str| equal(path, &Value::from(a), &Value::from(b));
        assert!(same("1000m", "1"));
        assert!(same("0.5", "500m"));
        assert!(same("1024Mi", "1Gi"));
        assert!(same("1.5Gi", "1536Mi"));
        assert!(!same("1G", "1Gi"));
        assert!(!same("1", "2"));
        assert!(!same("", ""));
        assert!(!equal(
            "spec.image",
            &Value::from("1000m"),
            &Value::from("1")
        ));
    }
}
