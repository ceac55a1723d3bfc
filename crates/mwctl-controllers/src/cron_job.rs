//! CronJobs: a Job at every time of a schedule, under a name made of that time, so that none is made twice.

mod schedule;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, CronJobStatus, Job};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use self::schedule::Schedule;
use crate::action::{Action, Announcement, Note, Propagation, Severity, Target};
use crate::controller::{Context, Controller};
use crate::observed::{
    Change, Key, Kind, Object, Observed, controller_of, owner_reference, reference_to,
};

/// The controller's name.
pub(crate) const NAME: &str = "cronjob-controller";

/// The annotation of a Job with the time it is for.
const TIME: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// How many times may be missed before somebody should look.
const MANY: usize = 100;

/// The controller.
pub(crate) static CONTROLLER: Controller = Controller {
    name: NAME,
    reads: &[Kind::CronJob, Kind::Job],
    traces_all: false,
    wakes,
    reconcile,
};

fn wakes(change: &Change, _: &Observed) -> Vec<Key> {
    match change.object() {
        Object::CronJob(cron) => vec![Key::of(cron.as_ref())],
        Object::Job(job) => {
            let namespace = job.namespace().unwrap_or_default();
            (controller_of(&job.metadata).into_iter())
                .filter(|owner| owner.kind == "CronJob")
                .map(|owner| Key::new(&namespace, &owner.name))
                .collect()
        }
        _ => Vec::new(),
    }
}

fn reconcile(context: &Context<'_>, key: &Key) -> Vec<Action> {
    let Some(cron) = context.observed.cron_jobs.get(key).map(AsRef::as_ref) else {
        return Vec::new();
    };
    let Some(spec) = &cron.spec else {
        return Vec::new();
    };
    let uid = cron.metadata.uid.as_deref().unwrap_or_default();
    let mut jobs: Vec<Arc<Job>> = context.observed.jobs.owned_by(uid).cloned().collect();
    jobs.sort_by_key(|job| (job.creation_timestamp(), job.name_any()));
    let table = Table { cron, spec, jobs };
    let mut actions = table.update_status();
    actions.extend(table.tidy());
    if cron.metadata.deletion_timestamp.is_some() || spec.suspend == Some(true) {
        return actions;
    }
    match Schedule::parse(&spec.schedule, spec.time_zone.as_deref()) {
        Ok(schedule) => actions.extend(table.start(context, &schedule)),
        Err(why) => {
            let text = format!("unparseable schedule {:?}: {why}", spec.schedule);
            actions.push(table.say(Severity::Warning, "UnparseableSchedule", text));
        }
    }
    actions
}

/// A CronJob and its Jobs, the oldest first.
struct Table<'a> {
    cron: &'a CronJob,
    spec: &'a CronJobSpec,
    jobs: Vec<Arc<Job>>,
}

/// How a Job has ended, if it has: `Complete` or `Failed`.
fn end(job: &Job) -> Option<&str> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    (conditions.iter())
        .find(|it| ["Complete", "Failed"].contains(&it.type_.as_str()) && it.status == "True")
        .map(|it| it.type_.as_str())
}

/// The time that a Job is for.
fn time_of(job: &Job) -> Option<Timestamp> {
    job.annotations().get(TIME)?.parse().ok()
}

impl Table<'_> {
    fn status(&self) -> CronJobStatus {
        self.cron.status.clone().unwrap_or_default()
    }

    fn active(&self) -> impl Iterator<Item = &Arc<Job>> {
        self.jobs.iter().filter(|job| end(job).is_none())
    }

    /// The last time that a Job was made for.
    fn last(&self) -> Option<Timestamp> {
        let noted = self.status().last_schedule_time.map(|time| time.0);
        noted
            .into_iter()
            .chain(self.jobs.iter().filter_map(|job| time_of(job)))
            .max()
    }

    fn update_status(&self) -> Vec<Action> {
        let old = self.status();
        let active: Vec<ObjectReference> = (self.active())
            .map(|job| ObjectReference {
                // The version of the moment would make every change of the Job one of ours.
                resource_version: None,
                ..reference_to(job.as_ref())
            })
            .collect();
        let successes = (self.jobs.iter().filter(|job| end(job) == Some("Complete")))
            .filter_map(|job| job.status.as_ref()?.completion_time.clone());
        let new = CronJobStatus {
            last_schedule_time: self.last().map(Time),
            last_successful_time: successes.chain(old.last_successful_time.clone()).max(),
            active: (!active.is_empty()).then_some(active),
        };
        if old == new {
            return Vec::new();
        }
        let was_active = |job: &Job| {
            let uid = job.metadata.uid.as_ref();
            (old.active.iter().flatten()).any(|it| it.uid.as_ref() == uid)
        };
        let mut actions: Vec<Action> = (self.jobs.iter().filter(|job| was_active(job)))
            .filter_map(|job| {
                let text = format!(
                    "Saw completed job: {}, condition: {}",
                    job.name_any(),
                    end(job)?
                );
                Some(self.say(Severity::Normal, "SawCompletedJob", text))
            })
            .collect();
        let mut cron = self.cron.clone();
        cron.status = Some(new);
        // The note follows the write: if that is refused, both come again.
        actions.insert(0, Action::UpdateStatus(cron.into()));
        actions
    }

    /// Deletes the oldest finished Jobs beyond the history that is to be kept.
    fn tidy(&self) -> Vec<Action> {
        let limits = [
            ("Complete", self.spec.successful_jobs_history_limit, 3),
            ("Failed", self.spec.failed_jobs_history_limit, 1),
        ];
        (limits.into_iter())
            .flat_map(|(how, limit, default)| {
                let kept = usize::try_from(limit.unwrap_or(default)).unwrap_or_default();
                let ended: Vec<&Arc<Job>> = (self.jobs.iter())
                    .filter(|job| {
                        end(job) == Some(how) && job.metadata.deletion_timestamp.is_none()
                    })
                    .collect();
                let surplus = ended.len().saturating_sub(kept);
                ended.into_iter().take(surplus)
            })
            .map(|job| self.delete(job))
            .collect()
    }

    /// Makes the Job of the latest time that has come, if there is one to be made.
    fn start(&self, context: &Context<'_>, schedule: &Schedule) -> Vec<Action> {
        let now = context.now;
        let mut actions: Vec<Action> = schedule.next(now).map(Action::WakeAt).into_iter().collect();
        let created = self.cron.creation_timestamp().map_or(now, |time| time.0);
        let mut since = self.last().unwrap_or(created);
        if let Some(seconds) = self.spec.starting_deadline_seconds {
            let earliest = now.saturating_sub(SignedDuration::from_secs(seconds));
            since = since.max(earliest.unwrap_or(Timestamp::MIN));
        }
        let Some(missed) = schedule.latest(since, now) else {
            return actions;
        };
        if missed.count > MANY {
            let text = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds \
                        or check clock skew";
            actions.push(self.say(Severity::Warning, "TooManyMissedTimes", text.to_owned()));
        }
        let is_running = self.active().next().is_some();
        match self.spec.concurrency_policy.as_deref() {
            Some("Forbid") if is_running => {
                let text = "Not starting job because prior execution is running and concurrency \
                            policy is Forbid";
                actions.push(self.say(Severity::Normal, "JobAlreadyActive", text.to_owned()));
                return actions;
            }
            Some("Replace") => actions.extend(self.active().map(|job| self.delete(job))),
            _ => {}
        }
        actions.push(self.create(missed.time));
        actions
    }

    fn create(&self, time: Timestamp) -> Action {
        let template = self.spec.job_template.clone();
        let meta = template.metadata.unwrap_or_default();
        let mut annotations: BTreeMap<String, String> = meta.annotations.unwrap_or_default();
        annotations.insert(TIME.to_owned(), time.to_string());
        let minutes = time.as_second().div_euclid(60);
        let job = Job {
            metadata: ObjectMeta {
                name: Some(format!("{}-{minutes}", self.cron.name_any())),
                namespace: self.cron.namespace(),
                labels: meta.labels,
                annotations: Some(annotations),
                owner_references: Some(vec![owner_reference(self.cron)]),
                ..ObjectMeta::default()
            },
            spec: template.spec,
            status: None,
        };
        let announcement = self.announcement(
            ("SuccessfulCreate", "Created job {name}"),
            ("FailedCreate", "Error creating job: {error}"),
        );
        Action::Create(job.into(), Some(announcement))
    }

    fn delete(&self, job: &Job) -> Action {
        Action::Delete {
            target: Target::of(job),
            propagation: Some(Propagation::Background),
            grace: None,
            announcement: Some(self.announcement(
                ("SuccessfulDelete", "Deleted job {name}"),
                ("FailedDelete", "Deleted job: {error}"),
            )),
        }
    }

    fn announcement(
        &self,
        done: (&'static str, &str),
        refused: (&'static str, &str),
    ) -> Announcement {
        Announcement {
            about: reference_to(self.cron),
            component: NAME,
            done: Some((done.0, done.1.to_owned())),
            refused: Some((refused.0, refused.1.to_owned())),
        }
    }

    fn say(&self, severity: Severity, reason: &'static str, message: String) -> Action {
        Action::Record(Note {
            about: reference_to(self.cron),
            severity,
            reason,
            message,
            component: NAME,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::world::World;

    fn cron(spec: &Value) -> Value {
        let mut cron = json!({
            "metadata": {"name": "tick", "namespace": "here"},
            "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {}}}},
        });
        for (name, value) in spec.as_object().unwrap() {
            cron["spec"][name] = value.clone();
        }
        cron
    }

    fn jobs(world: &World) -> Vec<String> {
        world
            .list::<Job>()
            .iter()
            .map(ResourceExt::name_any)
            .collect()
    }

    fn complete(world: &mut World, name: &str) {
        let time = Time(world.now);
        world.patch::<Job>(
            &Key::new("here", name),
            &json!({"status": {"completionTime": time, "conditions": [
                {"type": "Complete", "status": "True", "lastTransitionTime": time}]}}),
        );
    }

    #[test]
    fn a_job_is_made_at_every_time_of_the_schedule_and_named_after_it() {
        let mut world = World::with(&[NAME]);
        let key = world.create::<CronJob>(cron(&json!({})));
        assert_eq!(jobs(&world), [""; 0]);
        world.advance(60);
        // 2026-01-01T00:01:00Z in minutes since 1970.
        assert_eq!(jobs(&world), ["tick-29453761"]);
        let status = world.get::<CronJob>(&key).unwrap().status.unwrap();
        assert_eq!(status.active.unwrap().len(), 1);
        assert_eq!(
            status.last_schedule_time.unwrap().0.to_string(),
            "2026-01-01T00:01:00Z"
        );
        complete(&mut world, "tick-29453761");
        let status = world.get::<CronJob>(&key).unwrap().status.unwrap();
        assert_eq!(status.active, None);
        assert!(status.last_successful_time.is_some());
        assert_eq!(
            world.events,
            [
                "SuccessfulCreate: Created job tick-29453761",
                "SawCompletedJob: Saw completed job: tick-29453761, condition: Complete",
            ]
        );
    }

    #[test]
    fn of_many_missed_times_the_last_is_made_up_for() {
        let mut world = World::with(&[NAME]);
        let key = world.create::<CronJob>(cron(&json!({"suspend": true})));
        world.advance(3600);
        assert_eq!(jobs(&world), [""; 0]);
        world.patch::<CronJob>(&key, &json!({"spec": {"suspend": false}}));
        assert_eq!(jobs(&world), ["tick-29453820"]);
    }

    #[test]
    fn a_running_job_forbids_or_is_replaced_as_asked() {
        for (policy, count) in [("Forbid", 1), ("Replace", 1), ("Allow", 2)] {
            let mut world = World::with(&[NAME]);
            world.create::<CronJob>(cron(&json!({"concurrencyPolicy": policy})));
            world.advance(60);
            let first = jobs(&world);
            world.advance(60);
            assert_eq!(jobs(&world).len(), count, "{policy}");
            assert_eq!(
                jobs(&world).contains(&first[0]),
                policy != "Replace",
                "{policy}"
            );
        }
    }

    #[test]
    fn old_jobs_are_deleted() {
        let mut world = World::with(&[NAME]);
        world.create::<CronJob>(cron(&json!({"successfulJobsHistoryLimit": 1})));
        for _ in 0..3 {
            world.advance(60);
            for job in jobs(&world) {
                complete(&mut world, &job);
            }
        }
        assert_eq!(jobs(&world).len(), 1);
    }

    #[test]
    fn a_schedule_that_is_none_is_told_of() {
        let mut world = World::with(&[NAME]);
        world.create::<CronJob>(cron(&json!({"schedule": "often"})));
        assert!(
            world.events[0].starts_with("UnparseableSchedule"),
            "{:?}",
            world.events
        );
    }
}
