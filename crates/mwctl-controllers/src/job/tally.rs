//! What a Job's pods add up to: what is counted, what is about to be, which indexes are done, and whether that is the end.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use k8s_openapi::api::batch::v1::UncountedTerminatedPods;
use k8s_openapi::api::core::v1::Pod;

use super::Work;
use super::completion::{self, End};
use super::failures::{self, Failures, Handling};
use super::pods_of::is_tracked;
use crate::pods;

/// Numbers that are being made up: counted ones, and the uids of those that aren't yet.
pub(super) struct Tally {
    pub(super) succeeded: i32,
    pub(super) failed: i32,
    pub(super) uncounted: UncountedTerminatedPods,
    pub(super) completed: BTreeSet<i32>,
    /// The indexes that have failed for good, where each has a limit of its own.
    pub(super) failed_indexes: Option<BTreeSet<i32>>,
    /// The last failed pod of each index that is to have another: it stays until that one carries its failures on.
    pub(super) kept: BTreeMap<i32, Arc<Pod>>,
    /// The uids of pods whose end isn't counted, so that they may go at once.
    pub(super) dismissed: BTreeSet<String>,
    /// Why it is over, if it is.
    pub(super) end: Option<End>,
}

impl Tally {
    pub(super) fn of(work: &Work<'_>) -> Self {
        let old = work.job.status.clone().unwrap_or_default();
        let noted = old.uncounted_terminated_pods.unwrap_or_default();
        let tracked: Vec<&Arc<Pod>> = (work.pods.iter().filter(|pod| is_tracked(pod))).collect();
        let held: HashSet<&str> = tracked.iter().map(|pod| uid(pod)).collect();
        // Those noted whose finalizer is gone are counted now.
        let split = |uids: Option<Vec<String>>| -> (Vec<String>, Vec<String>) {
            (uids.into_iter().flatten()).partition(|uid| held.contains(uid.as_str()))
        };
        let (mut succeeded, counted) = split(noted.succeeded);
        let (mut failed, failures) = split(noted.failed);
        let mut tally = Self {
            succeeded: old.succeeded.unwrap_or_default() + counted.len() as i32,
            failed: old.failed.unwrap_or_default() + failures.len() as i32,
            uncounted: UncountedTerminatedPods::default(),
            completed: work.indexes(old.completed_indexes.as_deref()),
            failed_indexes: None,
            kept: BTreeMap::new(),
            dismissed: BTreeSet::new(),
            end: None,
        };
        let is_noted = |list: &[String], pod: &Pod| list.iter().any(|it| it == uid(pod));
        for pod in &tracked {
            if pods::phase(pod) == "Succeeded" && !is_noted(&failed, pod) {
                tally.completed.extend(work.index(pod));
                if !is_noted(&succeeded, pod) {
                    succeeded.push(uid(pod).to_owned());
                }
            }
        }
        let mut fresh: Vec<(&Arc<Pod>, Handling)> = (tracked.iter())
            .filter(|pod| failures::has_failed(work, pod))
            .filter(|pod| !is_noted(&failed, pod) && !is_noted(&succeeded, pod))
            .map(|pod| (*pod, failures::handling(work, pod)))
            .collect();
        let conditions = (work.job.status.iter()).flat_map(|it| it.conditions.iter().flatten());
        let decided = End::decided(conditions);
        tally.look_at_indexes(work, &tracked, decided.is_some());
        let counts = |pod: &Pod, handling: &Handling| {
            *handling != Handling::Ignored && (!work.is_indexed() || work.index(pod).is_some())
        };
        let more = fresh.iter().filter(|(pod, it)| counts(pod, it)).count();
        let waiting = if work.is_indexed() {
            tally.succeeded = tally.completed.len() as i32;
            0
        } else {
            succeeded.len()
        };
        let totals = completion::Totals {
            succeeded: tally.succeeded + waiting as i32,
            failed: tally.failed + (failed.len() + more) as i32,
        };
        tally.end = decided.or_else(|| completion::end(work, &tally, totals));
        if let Some(end) = &tally.end {
            tally.kept.clear();
            let others = tracked.iter().filter(|pod| is_going(pod));
            for pod in others.filter(|pod| !failures::has_failed(work, pod)) {
                // Whoever has to go because the Job has failed has failed, too.
                if end.is_success() {
                    tally.dismissed.insert(uid(pod).to_owned());
                } else if !is_noted(&failed, pod) {
                    fresh.push((pod, failures::handling(work, pod)));
                }
            }
        }
        for (pod, handling) in &fresh {
            let kept = work.index(pod).and_then(|index| tally.kept.get(&index));
            if kept.is_some_and(|kept| uid(kept) == uid(pod)) {
                continue;
            }
            if counts(pod, handling) {
                failed.push(uid(pod).to_owned());
            } else {
                tally.dismissed.insert(uid(pod).to_owned());
            }
        }
        let some = |uids: Vec<String>| (!uids.is_empty()).then_some(uids);
        tally.uncounted = UncountedTerminatedPods {
            succeeded: some(succeeded),
            failed: some(failed),
        };
        tally
    }

    /// Which indexes have failed, and whose failures are to be carried on. Once the end is decided no more of them fail: their pods have to go
    /// whatever they do.
    fn look_at_indexes(&mut self, work: &Work<'_>, tracked: &[&Arc<Pod>], is_over: bool) {
        let Some(limit) = work.limit_per_index() else {
            return;
        };
        let old = work.job.status.as_ref();
        let old = old.and_then(|status| status.failed_indexes.as_deref());
        let mut lost = work.indexes(old);
        if is_over {
            self.failed_indexes = Some(lost);
            return;
        }
        let failed = || {
            let failed = tracked.iter().filter(|pod| failures::has_failed(work, pod));
            failed.filter_map(|pod| Some((work.index(pod)?, *pod)))
        };
        let ended = failed().filter(|(_, pod)| failures::fails_index(work, pod, limit));
        lost.extend(ended.map(|(index, _)| index));
        let active: BTreeSet<i32> = (work.pods.iter().filter(|pod| pods::is_active(pod)))
            .filter_map(|pod| work.index(pod))
            .collect();
        for (index, pod) in failed() {
            let sets = [&self.completed, &lost, &active];
            if sets.iter().any(|set| set.contains(&index)) {
                continue;
            }
            let rank = |pod: &Pod| (Failures::before(pod).all(), completion::ended_at(pod));
            let known = self.kept.get(&index).map(|known| rank(known));
            if known.is_none_or(|(failures, time)| {
                let (more, later) = rank(pod);
                failures <= more && time <= later
            }) {
                self.kept.insert(index, Arc::clone(pod));
            }
        }
        self.failed_indexes = Some(lost);
    }

    /// Whether every end is counted.
    pub(super) fn is_settled(&self) -> bool {
        self.uncounted.succeeded.is_none() && self.uncounted.failed.is_none()
    }
}

/// Whether a pod has been asked to go and hasn't ended.
pub(super) fn is_going(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some() && !pods::is_finished(pod)
}

fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}
