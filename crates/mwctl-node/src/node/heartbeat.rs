//! The node's signs of life: its object, renewed now and then, and its lease, renewed often.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Namespace, Node};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use tokio::time::sleep;

use crate::context::Context;

use super::object;

/// As the kubelet does.
const LEASE: Duration = Duration::from_secs(10);
const LEASE_LASTS: i32 = 40;
/// A node's object is renewed with every so many leases: five minutes.
const OBJECT: u32 = 30;
const LEASES: &str = "kube-node-lease";

/// Makes the node known, or says anew what it is.
pub(super) async fn register(context: &Context) -> Result<(), kube::Error> {
    let nodes: Api<Node> = Api::all(context.client.clone());
    let node = node(context);
    match nodes.create(&PostParams::default(), &node).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let metadata = serde_json::json!({"metadata": {"labels": node.metadata.labels}});
            let parameters = PatchParams::default();
            nodes
                .patch(&context.options.name, &parameters, &Patch::Merge(metadata))
                .await?;
        }
        created => drop(created?),
    }
    write_status(context).await
}

/// Renews both for as long as the node lives.
pub(super) async fn beat(context: Arc<Context>) {
    let mut beats = 0_u32;
    loop {
        if let Err(error) = renew(&context).await {
            tracing::debug!("the node's lease isn't renewed: {error}");
        }
        sleep(LEASE).await;
        beats = beats.wrapping_add(1);
        if beats.is_multiple_of(OBJECT)
            && let Err(error) = write_status(&context).await
        {
            tracing::debug!("the node's status isn't renewed: {error}");
        }
    }
}

fn node(context: &Context) -> Node {
    let address = context.networks.node_address();
    object::node(
        &context.options.name,
        &context.machine,
        address,
        context.runtime.lacks(),
        Timestamp::now(),
    )
}

async fn write_status(context: &Context) -> Result<(), kube::Error> {
    let nodes: Api<Node> = Api::all(context.client.clone());
    let patch = serde_json::json!({"status": node(context).status});
    nodes
        .patch_status(
            &context.options.name,
            &PatchParams::default(),
            &Patch::Strategic(patch),
        )
        .await?;
    Ok(())
}

async fn renew(context: &Context) -> Result<(), kube::Error> {
    let name = &context.options.name;
    let leases: Api<Lease> = Api::namespaced(context.client.clone(), LEASES);
    let spec = LeaseSpec {
        holder_identity: Some(name.clone()),
        lease_duration_seconds: Some(LEASE_LASTS),
        renew_time: Some(MicroTime(Timestamp::now())),
        ..LeaseSpec::default()
    };
    let patch = serde_json::json!({"spec": spec});
    match leases
        .patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
    {
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        patched => return patched.map(drop),
    }
    make_namespace(context).await?;
    let metadata = ObjectMeta {
        name: Some(name.clone()),
        ..ObjectMeta::default()
    };
    leases
        .create(
            &PostParams::default(),
            &Lease {
                metadata,
                spec: Some(spec),
            },
        )
        .await?;
    Ok(())
}

/// A cluster has it from the beginning; a small one may not.
async fn make_namespace(context: &Context) -> Result<(), kube::Error> {
    let namespaces: Api<Namespace> = Api::all(context.client.clone());
    let metadata = ObjectMeta {
        name: Some(LEASES.to_owned()),
        ..ObjectMeta::default()
    };
    match namespaces
        .create(
            &PostParams::default(),
            &Namespace {
                metadata,
                ..Namespace::default()
            },
        )
        .await
    {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        made => made.map(drop),
    }
}
