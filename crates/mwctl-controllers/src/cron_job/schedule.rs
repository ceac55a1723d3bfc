//! Schedules of five fields, or by name, in a time zone.

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions};
use k8s_openapi::jiff::Timestamp;

/// How many times are looked at one by one before the search goes on near the end.
const CLOSE: usize = 200;

/// When something is to happen.
pub(super) struct Schedule(Crontab);

/// Times that have come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missed {
    /// The latest of them.
    pub(super) time: Timestamp,
    /// How many there are, at least.
    pub(super) count: usize,
}

impl Schedule {
    /// Reads a schedule. Without a time zone it is one of UTC.
    pub(super) fn parse(text: &str, zone: Option<&str>) -> Result<Self, cronexpr::Error> {
        let fields = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            fields => fields,
        };
        // A question mark is another way to say that every day will do.
        let fields = fields.replace('?', "*");
        let text = match zone {
            Some(zone) => format!("{fields} {zone}"),
            None => fields,
        };
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        cronexpr::parse_crontab_with(&text, options).map(Self)
    }

    /// The first time after another.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let next = self.0.find_next(MakeTimestamp(after)).ok()?;
        Some(next.timestamp())
    }

    /// The latest time after one and not after another.
    pub(super) fn latest(&self, since: Timestamp, now: Timestamp) -> Option<Missed> {
        let mut time = self.next(since).filter(|time| *time <= now)?;
        let mut count = 1;
        while let Some(next) = self.next(time).filter(|next| *next <= now) {
            time = next;
            count += 1;
            if count == CLOSE {
                // Far behind: the search begins anew, ever further before the end.
                time = self.near(time, now);
            }
        }
        Some(Missed { time, count })
    }

    /// A time of the schedule not long before the end.
    fn near(&self, time: Timestamp, now: Timestamp) -> Timestamp {
        let Some(next) = self.next(time) else {
            return time;
        };
        let mut back = next.duration_since(time);
        while let Ok(begin) = now.checked_sub(back) {
            if begin <= time {
                break;
            }
            if let Some(found) = self.next(begin).filter(|found| *found <= now) {
                return found;
            }
            back = back.saturating_mul(2);
        }
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn names_and_question_marks_are_fields() {
        let now = time("2026-01-01T10:30:00Z");
        for (text, next) in [
            ("@hourly", "2026-01-01T11:00:00Z"),
            ("@daily", "2026-01-02T00:00:00Z"),
            ("*/20 * * * ?", "2026-01-01T10:40:00Z"),
            ("0 9 * * MON", "2026-01-05T09:00:00Z"),
        ] {
            let schedule = Schedule::parse(text, None).unwrap();
            assert_eq!(schedule.next(now), Some(time(next)), "{text}");
        }
    }

    #[test]
    fn a_time_zone_moves_the_day() {
        let schedule = Schedule::parse("0 0 * * *", Some("Asia/Tokyo")).unwrap();
        let next = schedule.next(time("2026-01-01T10:00:00Z"));
        assert_eq!(next, Some(time("2026-01-01T15:00:00Z")));
    }

    #[test]
    fn the_latest_of_many_missed_times_is_found_without_counting_all() {
        let schedule = Schedule::parse("* * * * *", None).unwrap();
        let now = time("2026-01-01T10:30:30Z");
        let missed = schedule.latest(time("2016-01-01T00:00:00Z"), now).unwrap();
        assert_eq!(missed.time, time("2026-01-01T10:30:00Z"));
        assert!(missed.count >= CLOSE);
        assert_eq!(schedule.latest(time("2026-01-01T10:30:00Z"), now), None);
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in ["", "often", "61 * * * *", "* * * *", "@every"] {
            assert!(Schedule::parse(text, None).is_err(), "{text}");
        }
        assert!(Schedule::parse("* * * * *", Some("Nowhere/Atall")).is_err());
    }
}
