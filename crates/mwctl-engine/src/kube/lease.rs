//! Holds a stack's lease while it is deployed: taken, renewed, given back.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::DynamicObject;
use mwctl_core::lease::{self, Holder, SECONDS, Standing};
use mwctl_core::manifest::ObjectId;
use serde_json::{Value, json};

use super::{Cluster, Request, apply, request};

/// A stack can't be deployed at this moment.
#[derive(Debug, thiserror::Error)]
pub enum Taken {
    /// Somebody else deploys it.
    #[error("the stack `{stack}` is being deployed by {by} for {since} s")]
    Held {
        /// The stack.
        stack: String,
        /// Who.
        by: String,
        /// How long, in seconds.
        since: u64,
        /// After how many seconds it lapses if they are gone.
        lapses: u64,
    },
    /// The cluster can't be asked.
    #[error(transparent)]
    Request(#[from] Request),
}

/// A lease that is held.
#[derive(Debug)]
pub struct Claim {
    cluster: Cluster,
    name: String,
    uid: Option<String>,
}

/// The start of this machine, where the system tells.
fn boot() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    read.map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// Takes a stack's lease for `owner`. `None` where the namespace isn't there yet: then nothing is,
/// that two could disagree about.
pub async fn claim(cluster: &Cluster, stack: &str, owner: &str) -> Result<Option<Claim>, Taken> {
    let holder = Holder {
        owner: owner.to_owned(),
        boot: boot(),
        process: std::process::id(),
    };
    let object = lease::object(stack, &cluster.namespace, &holder, &now());
    let api = leases(cluster, stack);
    let wanted: DynamicObject = match serde_json::from_value(object) {
        Ok(wanted) => wanted,
        Err(_) => return Ok(None),
    };
    // Twice: the one that was in the way may be gone by now.
    for _ in 0..2 {
        let parameters = PostParams::default();
        let made = request(
            || format!("take the lease of the stack `{stack}`"),
            api.create(&parameters, &wanted),
        );
        match made.await {
            Ok(made) => {
                return Ok(Some(Claim {
                    cluster: cluster.clone(),
                    name: lease::name(stack),
                    uid: made.metadata.uid,
                }));
            }
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) if !error.is_conflict() => return Err(error.into()),
            Err(_) => {}
        }
        let name = lease::name(stack);
        let found = request(|| format!("look up {name}"), api.get_opt(&name)).await?;
        let Some(found) = found else { continue };
        let live = serde_json::to_value(&found).unwrap_or_default();
        if let Standing::Held { by, since, lapses } = settled(standing(&live, &holder.boot)) {
            let stack = stack.to_owned();
            return Err(Taken::Held {
                stack,
                by,
                since,
                lapses,
            });
        }
        remove(cluster, &name, found.metadata.uid).await?;
    }
    Ok(None)
}

fn standing(lease: &Value, boot: &str) -> Standing {
    let since = |field: &str| -> u64 {
        let text = lease["spec"][field].as_str().unwrap_or_default();
        let seconds = text.parse::<Timestamp>().map_or(0, Timestamp::as_second);
        u64::try_from(Timestamp::now().as_second() - seconds).unwrap_or(0)
    };
    lease::standing(lease, boot, since("acquireTime"), since("renewTime"))
}

/// Looks whether a process of this machine is there still.
fn settled(standing: Standing) -> Standing {
    match standing {
        Standing::HeldHere { process, otherwise } => {
            let there = rustix::process::Pid::from_raw(process.cast_signed())
                .is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok());
            if there { *otherwise } else { Standing::Free }
        }
        other => other,
    }
}

fn now() -> String {
    format!("{:.6}", Timestamp::now())
}

fn leases(cluster: &Cluster, stack: &str) -> Api<DynamicObject> {
    let id = ObjectId {
        api_version: "coordination.k8s.io/v1".to_owned(),
        kind: "Lease".to_owned(),
        namespace: Some(cluster.namespace.clone()),
        name: lease::name(stack),
    };
    apply::api(cluster, &id)
}

async fn remove(cluster: &Cluster, name: &str, uid: Option<String>) -> Result<(), Request> {
    let api = leases(cluster, "");
    let exactly = DeleteParams {
        preconditions: Some(Preconditions {
            uid,
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match request(|| format!("give back {name}"), api.delete(name, &exactly)).await {
        Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
        _ => Ok(()),
    }
}

impl Claim {
    /// Waits for `work` and renews the lease meanwhile.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            done = work => done,
            never = self.renew() => match never {},
        }
    }

    async fn renew(&self) -> std::convert::Infallible {
        let api = leases(&self.cluster, "");
        loop {
            tokio::time::sleep(Duration::from_secs(SECONDS / 3)).await;
            let patch = json!({ "spec": { "renewTime": now() } });
            let (parameters, patch) = (PatchParams::default(), Patch::Merge(&patch));
            let renewed = api.patch(&self.name, &parameters, &patch);
            let renewed = request(|| format!("renew {}", self.name), renewed);
            if let Err(error) = renewed.await {
                // Whoever takes it then repeats what we do: each step can be repeated.
                tracing::debug!("{error}");
            }
        }
    }

    /// Gives it back.
    pub async fn release(self) {
        if let Err(error) = remove(&self.cluster, &self.name, self.uid).await {
            tracing::debug!("{error}: it lapses by itself");
        }
    }
}
