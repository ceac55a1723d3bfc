//! How long ago something was, in the few words of `kubectl`.

use jiff::Timestamp;
use serde_json::Value;

/// The time since a moment; `<unknown>` when there is none.
pub(super) fn since(moment: &Value, now: Timestamp) -> String {
    let then = moment
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok());
    then.map_or_else(
        || "<unknown>".to_owned(),
        |then| of(now.as_second() - then.as_second()),
    )
}

/// The time between two moments, if both are known.
pub(super) fn between(start: &Value, end: &Value) -> Option<String> {
    let moment = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
    Some(of(moment(end)?.as_second() - moment(start)?.as_second()))
}

/// So many seconds: the finer the shorter ago.
pub(super) fn of(seconds: i64) -> String {
    const DAY: i64 = 24;
    const YEAR: i64 = 365;
    let two = |large: i64, unit: &str, small: i64, smaller: &str| {
        if small == 0 {
            format!("{large}{unit}")
        } else {
            format!("{large}{unit}{small}{smaller}")
        }
    };
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let days = hours / DAY;
    match (seconds, minutes, hours, days) {
        (..-1, ..) => "<invalid>".to_owned(),
        (-1..=0, ..) => "0s".to_owned(),
        (..120, ..) => format!("{seconds}s"),
        (_, ..10, ..) => two(minutes, "m", seconds % 60, "s"),
        (_, ..180, ..) => format!("{minutes}m"),
        (_, _, ..8, _) => two(hours, "h", minutes % 60, "m"),
        (_, _, ..48, _) => format!("{hours}h"),
        (_, _, _, ..8) => two(days, "d", hours % DAY, "h"),
        (_, _, _, ..730) => format!("{days}d"),
        (_, _, _, ..2920) => two(days / YEAR, "y", days % YEAR, "d"),
        _ => format!("{}y", days / YEAR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_ago_the_coarser() {
        let (minute, hour, day) = (60, 3600, 86_400);
        let expected = [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (2 * minute + 5, "2m5s"),
            (10 * minute + 5, "10m"),
            (179 * minute, "179m"),
            (3 * hour + 31 * minute, "3h31m"),
            (8 * hour + 1, "8h"),
            (47 * hour, "47h"),
            (2 * day + hour, "2d1h"),
            (9 * day, "9d"),
            (800 * day, "2y70d"),
            (3000 * day, "8y"),
            (-5, "<invalid>"),
        ];
        for (seconds, words) in expected {
            assert_eq!(of(seconds), words, "{seconds}");
        }
    }
}
