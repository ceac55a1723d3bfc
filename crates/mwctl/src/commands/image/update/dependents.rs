//! Builds what stands upon bases that have changed, in the order in which images stand upon each other; an image that is
//! a base itself is recorded as soon as it is made, so that the next one is built upon just that.

use std::collections::BTreeSet;
use std::sync::Arc;

use mwctl_core::lock::Lock;
use mwctl_core::model::{Image, Service, Stack};
use mwctl_core::name::ServiceName;
use mwctl_engine::bases::{Finder, LookError, Used, maker};
use mwctl_engine::execute::Images as _;
use mwctl_engine::workshop::Workshop;

use super::super::outdated::{unknown, unread};
use super::{Answer, change, platform};
use crate::commands::build::UNNAMED;
use crate::error::CommandError;
use crate::invocation::Invocation;
use crate::ui::style::{bold, dim};

/// What is known while they are built.
pub(super) struct Dependents<'a> {
    pub run: &'a Invocation,
    pub finder: &'a Finder,
    pub stack: &'a Stack,
    pub used: &'a Used,
    /// What was recorded before.
    pub old: &'a Lock,
}

/// An image that is a base of others, under the name that they have for it; it gets that name when all went well.
pub(super) struct Named {
    made: String,
    name: String,
}

impl Dependents<'_> {
    /// Builds the images of services, also those for tests, in this order. What is recorded of those that others stand
    /// upon goes into the lock.
    pub(super) async fn build(
        &self,
        order: &[ServiceName],
        lock: &mut Lock,
        answer: &mut Answer,
    ) -> Result<Vec<Named>, CommandError> {
        let first = Arc::new(lock.clone());
        let run = self.run;
        let workshop = Workshop::here(run.cache(), Invocation::runner(), run.machine(), first);
        let mut named = Vec::new();
        for name in order {
            workshop.set_lock(Arc::new(lock.clone()));
            let service = &self.stack.services[name];
            let mut done = BTreeSet::new();
            for form in [service, &service.tested()] {
                self.image(&workshop, form, &mut done).await?;
            }
            for (base, services) in self.used {
                let Some((_, tag)) = maker(self.stack, base).filter(|(it, _)| it.name == *name)
                else {
                    continue;
                };
                let form = variant(service, tag);
                // Somebody may have given it another tag than its variant's: then it stays what it is.
                let made = match workshop.plan(&form, None).await {
                    Ok(Some(_)) => self.image(&workshop, &form, &mut done).await?,
                    Ok(None) | Err(_) => None,
                };
                let image = made.as_ref().unwrap_or(base);
                let meaning = self.finder.image(image).await.map_err(unknown)?;
                let recorded = self.finder.record(base, meaning, &|_| {}).await;
                let recorded = recorded.map_err(unknown)?;
                let before = self.old.get(base, &platform());
                named.extend(made.map(|made| Named {
                    made,
                    name: base.clone(),
                }));
                if before.is_none_or(|before| !before.says_the_same(&recorded)) {
                    answer.changes.extend(change(before, &recorded, services));
                    lock.set(recorded);
                }
            }
        }
        Ok(named)
    }

    /// Builds one image, unless that is done; its name.
    async fn image(
        &self,
        workshop: &Workshop,
        form: &Service,
        done: &mut BTreeSet<String>,
    ) -> Result<Option<String>, CommandError> {
        let Some(image) = workshop.plan(form, None).await.map_err(unread)? else {
            return Ok(None);
        };
        let reference = image.reference;
        if !done.insert(reference.clone()) {
            return Ok(Some(reference));
        }
        let run = self.run;
        run.ui.say(&format!(
            "{} {}",
            bold(form.name.as_str()),
            dim(&format!("build {reference}"))
        ));
        let progress = |line: String| tracing::debug!("{line}");
        let building = workshop.build(form, &reference, &progress);
        let built = tokio::select! {
            built = building => built,
            () = run.interrupt.finish.cancelled() => return Err(CommandError::interrupted()),
        };
        built.map_err(|failure| {
            let mut error = CommandError::failure(failure.error);
            error.hints.extend(failure.hint);
            error
        })?;
        Ok(Some(reference))
    }

    /// Gives those that are bases of others the names that these have for them.
    pub(super) async fn name(&self, named: &[Named]) -> Result<(), CommandError> {
        for Named { made, name } in named {
            self.finder.name(made, name).await.map_err(unknown)?;
        }
        Ok(())
    }

    /// The services whose images are bases of others and were never made.
    pub(super) async fn unmade(&self, names: &Used) -> Result<BTreeSet<ServiceName>, LookError> {
        let mut unmade = BTreeSet::new();
        for name in names.keys() {
            let Some((service, _)) = maker(self.stack, name) else {
                continue;
            };
            match self.finder.image(name).await {
                Ok(_) => {}
                Err(LookError::Nowhere { .. }) => drop(unmade.insert(service.name.clone())),
                Err(error) => return Err(error),
            }
        }
        Ok(unmade)
    }
}

/// The service with the variant or stage of its file that has this name.
fn variant(service: &Service, tag: &str) -> Service {
    let mut form = service.clone();
    if let Image::Build(build) = &mut form.image
        && let Some(file) = &mut build.file
        && tag != UNNAMED
    {
        file.variant = Some(tag.to_owned());
    }
    form
}
