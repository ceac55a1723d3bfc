//! Sets of indexes as Jobs write them: `0,2-4,7`.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

/// The annotation and the label with a pod's index.
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// The index of a pod, if it has one below that number.
pub(super) fn of(pod: &Pod, completions: i32) -> Option<i32> {
    let index: i32 = pod.annotations().get(INDEX)?.parse().ok()?;
    (0..completions).contains(&index).then_some(index)
}

/// Reads a set; what isn't a number, or lies outside, is left out.
pub(super) fn parse(text: &str, completions: i32) -> BTreeSet<i32> {
    let mut set = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<i32>(), last.parse::<i32>()) {
            set.extend(first.max(0)..=last.min(completions - 1));
        }
    }
    set
}

/// Writes a set. Two in a row are a list, more are a range.
pub(super) fn format(set: &BTreeSet<i32>) -> String {
    let mut runs: Vec<(i32, i32)> = Vec::new();
    for index in set {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *index => *last = *index,
            _ => runs.push((*index, *index)),
        }
    }
    let texts: Vec<String> = (runs.into_iter())
        .map(|(first, last)| match last - first {
            0 => first.to_string(),
            1 => format!("{first},{last}"),
            _ => format!("{first}-{last}"),
        })
        .collect();
    texts.join(",")
}

/// What the name of an index's pod begins with. The server would cut off the index of a long name.
pub(super) fn generate_name(job: &str, index: i32) -> String {
    // A label has 63 bytes, and five of them are made up.
    const ROOM: usize = 58;
    let end = format!("-{index}-");
    let stem: String = job.chars().take(ROOM.saturating_sub(end.len())).collect();
    stem + &end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_as_they_are_written() {
        for text in ["", "0", "0,1", "0,2-4,7", "1-3"] {
            assert_eq!(format(&parse(text, 10)), text);
        }
    }

    #[test]
    fn nonsense_and_indexes_beyond_the_end_are_left_out() {
        assert_eq!(format(&parse("x,1,5-", 3)), "1");
        assert_eq!(format(&parse("0-2147483647", 3)), "0-2");
    }

    #[test]
    fn the_name_of_a_pod_keeps_its_index_however_long_the_jobs_is() {
        assert_eq!(generate_name("work", 7), "work-7-");
        let long = generate_name(&"w".repeat(63), 10);
        assert_eq!(long.len(), 58);
        assert!(long.ends_with("w-10-"));
    }
}
