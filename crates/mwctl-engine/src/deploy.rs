//! From a stack to a plan: its images as they would be, its objects, what is there, the difference.
//!
//! Nothing in the cluster is changed here; `execute.rs` carries the plan out.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use mwctl_core::manifest::{self, AgentBundle, Form, Object, container_name, workload_id};
use mwctl_core::model::{Image, Service, Stack};
use mwctl_core::name::ServiceName;
use mwctl_core::observed::{ImageState, Observed, form};
use mwctl_core::plan::{Desired, ImageBuild, Plan, PlanOptions, plan};
use mwctl_core::problem::Problem;

use crate::image::BuildError;
use serde_json::Value;

use crate::kube::{Cluster, Request, apply, observe};
use crate::made::{self, Unmade};
use crate::workshop::Workshop;

/// A plan can't be made.
#[derive(Debug, thiserror::Error)]
pub enum Prepare {
    /// An image can't be planned.
    #[error(transparent)]
    Image(#[from] BuildError),
    /// The nodes can't be asked for their images.
    #[error("cannot see which images the nodes have")]
    Delivery(#[source] crate::delivery::DeliveryError),
    /// The cluster can't be observed.
    #[error(transparent)]
    Request(#[from] Request),
    /// A private setting or a certificate can't be made.
    #[error(transparent)]
    Made(#[from] Unmade),
    /// The agent doesn't run on the nodes.
    #[error(transparent)]
    Agent(#[from] ForeignArchitecture),
    /// A service can't be deployed as it is described.
    #[error("{}", .0.message)]
    Described(Problem),
}

/// What is to be deployed, and in which form.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The stack.
    pub stack: &'a Stack,
    /// Whose checkout it is.
    pub worktree: &'a str,
    /// Services that are wanted in their develop form.
    pub develop: &'a BTreeSet<ServiceName>,
    /// The plan's options.
    pub options: PlanOptions,
}

/// A plan, with what it was made from.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Each service's own image.
    pub images: BTreeMap<ServiceName, String>,
    /// The wanted objects.
    pub objects: Vec<Object>,
    /// What was seen.
    pub observed: Observed,
    /// What has to be done.
    pub plan: Plan,
}

/// Each service's own image by reference, and those that are made on this machine.
#[derive(Clone, Debug, Default)]
pub struct Images {
    /// Every service's own image.
    pub references: BTreeMap<ServiceName, String>,
    /// Those that are made here.
    pub builds: BTreeMap<ServiceName, ImageBuild>,
}

/// Finds out which images the services will run, without making any; `developed` are those under the
/// containers that are being developed, and that may stay.
pub async fn images(
    services: impl IntoIterator<Item = &Service>,
    developed: &BTreeMap<ServiceName, String>,
    workshop: &Workshop,
) -> Result<Images, Prepare> {
    let planned = try_join_all(services.into_iter().map(|service| async move {
        let runs = developed.get(&service.name).map(String::as_str);
        Ok::<_, Prepare>((service, workshop.plan(service, runs).await?))
    }))
    .await?;
    let mut images = Images::default();
    for (service, build) in planned {
        let reference = match (build, &service.image) {
            (Some(build), _) => {
                let reference = build.reference.clone();
                images.builds.insert(service.name.clone(), build);
                reference
            }
            (None, Image::Reference(reference)) => reference.clone(),
            (None, Image::Build(build)) => build.base.clone(),
        };
        images.references.insert(service.name.clone(), reference);
    }
    Ok(images)
}

/// The objects that are wanted, each service in its planned or its develop form.
pub async fn objects(
    wanted: &Wanted<'_>,
    images: &Images,
    workshop: &Workshop,
) -> Result<Vec<Object>, Prepare> {
    let Wanted {
        stack, worktree, ..
    } = *wanted;
    let mut objects = manifest::render(stack, &images.references, worktree);
    if !wanted.develop.is_empty() {
        agent_runs_on(&workshop.architecture)?;
    }
    for name in wanted.develop {
        let Some(service) = stack.services.get(name) else {
            continue;
        };
        let developed = develop_form(service, wanted, images, workshop).await?;
        let replaced: BTreeSet<_> = developed.iter().map(Object::id).collect();
        objects.retain(|object| !replaced.contains(&object.id()));
        objects.extend(developed);
    }
    objects.sort_by_key(Object::id);
    Ok(objects)
}

async fn develop_form(
    service: &Service,
    wanted: &Wanted<'_>,
    images: &Images,
    workshop: &Workshop,
) -> Result<Vec<Object>, Prepare> {
    let image = images
        .references
        .get(&service.name)
        .map(String::as_str)
        .unwrap_or_default();
    // Only asked when nothing nearer names a command: it may need a look into a registry.
    let known = manifest::command_of(service, None).is_ok();
    let own = match &service.image {
        Image::Reference(reference) if !known => Some(workshop.command_line(reference).await?),
        _ => None,
    };
    let agent = agent();
    manifest::develop_form(
        wanted.stack,
        service,
        image,
        own.as_deref(),
        &agent,
        wanted.worktree,
    )
    .map_err(Prepare::Described)
}

/// The agent was built for other machines than the cluster's nodes.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "nothing can be developed or tested on nodes of architecture `{0}`: the agent in this program \
     runs on `{expected}`",
    expected = mwctl_agent_bundle::ARCHITECTURE
)]
pub struct ForeignArchitecture(String);

/// Makes sure that the agent runs on nodes of this architecture, as in `amd64`.
pub fn agent_runs_on(architecture: &str) -> Result<(), ForeignArchitecture> {
    if architecture == mwctl_agent_bundle::ARCHITECTURE {
        Ok(())
    } else {
        Err(ForeignArchitecture(architecture.to_owned()))
    }
}

/// The agent that this program carries.
pub fn agent() -> AgentBundle<'static> {
    AgentBundle {
        loader: mwctl_agent_bundle::LOADER,
        packed: mwctl_agent_bundle::PACKED,
        digest: mwctl_agent_bundle::DIGEST,
    }
}

/// Plans: looks at files, nodes and cluster side by side, and decides.
pub async fn prepare(
    cluster: &Cluster,
    workshop: &Workshop,
    wanted: Wanted<'_>,
) -> Result<Prepared, Prepare> {
    let stack = made::settle(cluster, wanted.stack).await?;
    let wanted = Wanted {
        stack: &stack,
        ..wanted
    };
    let images = async {
        let developed = developed(cluster, &wanted).await?;
        images(wanted.stack.services.values(), &developed, workshop).await
    };
    let observed = observe::stack(cluster, wanted.stack.name.as_str());
    let (images, observed) = futures::join!(images, observed);
    let (images, mut observed) = (images?, observed?);
    let objects = objects(&wanted, &images, workshop).await?;
    let ids: Vec<_> = objects.iter().map(Object::id).collect();
    let (seen, on_node) = futures::join!(
        observe::also(cluster, &ids, &mut observed),
        on_nodes(&images, workshop),
    );
    seen?;
    observed.images = on_node?;
    let desired = Desired {
        stack: wanted.stack,
        objects: &objects,
        builds: &images.builds,
        worktree: wanted.worktree,
    };
    let plan = plan(&desired, &observed, &wanted.options);
    Ok(Prepared {
        images: images.references,
        objects,
        observed,
        plan,
    })
}

async fn on_nodes(
    images: &Images,
    workshop: &Workshop,
) -> Result<BTreeMap<String, ImageState>, Prepare> {
    let references: BTreeSet<&str> = images
        .builds
        .values()
        .map(|build| build.reference.as_str())
        .collect();
    try_join_all(references.into_iter().map(|reference| async move {
        let on_node = workshop.has(reference).await.map_err(Prepare::Delivery)?;
        Ok((reference.to_owned(), ImageState { on_node }))
    }))
    .await
    .map(|states| states.into_iter().collect())
}

/// The images under those of the wanted services that are being developed already.
async fn developed(
    cluster: &Cluster,
    wanted: &Wanted<'_>,
) -> Result<BTreeMap<ServiceName, String>, Request> {
    let services = wanted.develop.iter();
    let services = services.filter_map(|name| wanted.stack.services.get(name));
    let found = try_join_all(services.map(|service| async {
        let live = live_develop_form(cluster, wanted.stack, service).await?;
        let image = live.and_then(|live| main_image(&live, wanted.stack, service));
        Ok::<_, Request>(image.map(|image| (service.name.clone(), image)))
    }));
    Ok(found.await?.into_iter().flatten().collect())
}

/// A service's Deployment, if it is in its develop form.
async fn live_develop_form(
    cluster: &Cluster,
    stack: &Stack,
    service: &Service,
) -> Result<Option<Value>, Request> {
    let live = observe::object(cluster, &workload_id(stack, service)).await?;
    Ok(live.filter(|live| form(live) == Form::Develop))
}

fn main_image(deployment: &Value, stack: &Stack, service: &Service) -> Option<String> {
    let name = container_name(stack, service, &service.main);
    let containers = deployment.pointer("/spec/template/spec/containers")?;
    let main = containers
        .as_array()?
        .iter()
        .find(|container| container["name"] == name)?;
    main["image"].as_str().map(ToOwned::to_owned)
}

/// Puts services that are in their develop form back into their planned form, with the image that
/// they have, and doesn't wait for it. Returns those that were.
pub async fn leave(
    cluster: &Cluster,
    stack: &Stack,
    services: &BTreeSet<ServiceName>,
    worktree: &str,
) -> Result<Vec<ServiceName>, Unmade> {
    let stack = &made::settle(cluster, stack).await?;
    let mut left = Vec::new();
    for service in services.iter().filter_map(|name| stack.services.get(name)) {
        let Some(live) = live_develop_form(cluster, stack, service).await? else {
            continue;
        };
        let images = main_image(&live, stack, service)
            .map(|image| (service.name.clone(), image))
            .into_iter()
            .collect();
        let id = workload_id(stack, service);
        let objects = manifest::render(stack, &images, worktree);
        for object in objects.into_iter().filter(|object| object.id() == id) {
            apply::apply(cluster, &object.stamped()).await?;
        }
        left.push(service.name.clone());
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_is_refused_on_nodes_that_cannot_run_it() {
        assert_eq!(agent_runs_on(mwctl_agent_bundle::ARCHITECTURE), Ok(()));
        let refused = agent_runs_on("riscv64").map_err(|error| error.to_string());
        assert!(refused.is_err_and(|text| text.contains("riscv64") && text.contains("amd64")));
    }
}
