//! Schedules of cron jobs: five fields, or a name such as `@daily`. Whether a schedule is one is all that is asked here.

/// The least and the most of each field.
const FIELDS: [(u32, u32, &[&str]); 5] = [
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (
        1,
        12,
        &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    ),
    (0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];
const NAMES: [&str; 7] = [
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
];

/// The complaint about a schedule.
pub(super) fn complaint(schedule: &str) -> Option<String> {
    if schedule.contains("TZ") {
        return Some("cannot use TZ or CRON_TZ in schedule, use timeZone field instead".to_owned());
    }
    if schedule.starts_with('@') {
        let known = NAMES.contains(&schedule) || schedule.starts_with("@every ");
        return (!known).then(|| format!("unrecognized descriptor: {schedule}"));
    }
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Some(format!(
            "expected exactly 5 fields, found {}: [{}]",
            fields.len(),
            fields.join(" ")
        ));
    }
    let bounded = fields.into_iter().zip(FIELDS);
    bounded
        .flat_map(|(field, bounds)| field.split(',').map(move |part| (part, bounds)))
        .find_map(|(part, bounds)| part_complaint(part, bounds).err())
}

/// `*/5`, `1-3`, `mon`, `1-10/2`.
fn part_complaint(part: &str, (least, most, names): (u32, u32, &[&str])) -> Result<(), String> {
    let number = |text: &str| {
        let place = names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text));
        let number = place.map(|place| place as u32 + least);
        number.map_or_else(
            || text.parse().map_err(|_| format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax")),
            Ok,
        )
    };
    let (range, step) = part
        .split_once('/')
        .map_or((part, None), |(range, step)| (range, Some(step)));
    let (start, end) = if range == "*" || range == "?" {
        (least, most)
    } else if let Some((start, end)) = range.split_once('-') {
        (number(start)?, number(end)?)
    } else {
        let only = number(range)?;
        (only, if step.is_some() { most } else { only })
    };
    if let Some(step) = step
        && number(step)? == 0
    {
        return Err(format!("step of range should be a positive number: {part}"));
    }
    if start < least {
        return Err(format!(
            "beginning of range ({start}) below minimum ({least}): {part}"
        ));
    }
    if end > most {
        return Err(format!(
            "end of range ({end}) above maximum ({most}): {part}"
        ));
    }
    if start > end {
        return Err(format!(
            "beginning of range ({start}) beyond end of range ({end}): {part}"
        ));
    }
    Ok(())
}

/// Whether this may be the name of a time zone. The zones themselves are known where jobs are started.
pub(super) fn is_zone(name: &str) -> bool {
    jiff::tz::TimeZone::get(name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_told_from_what_is_none() {
        for schedule in [
            "* * * * *",
            "*/5 0-6,8 1 jan mon",
            "@daily",
            "0 0 1-31/2 * ?",
        ] {
            assert_eq!(complaint(schedule), None, "{schedule}");
        }
        for schedule in [
            "* * * *",
            "x * * * *",
            "60 * * * *",
            "5-1 * * * *",
            "*/0 * * * *",
            "@sometimes",
        ] {
            assert!(complaint(schedule).is_some(), "{schedule}");
        }
    }
}
