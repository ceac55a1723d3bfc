//! What goes along with a developed service beside its session: a local port, the logs, an eye on its pod.
//!
//! They tell and decide nothing; the loop in `conduct.rs` owns them and ends them.

use std::net::{Ipv4Addr, SocketAddr};

use mwctl_core::model::{Condition, Service, Stack};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::super::session::Arrived;
use super::Plan;
use crate::execute::{reach, told};
use crate::kube::pods::selector;
use crate::kube::wait::{Sign, Wait};
use crate::kube::{forward, logs};

/// Starts what a session has beside it from its begin: a local port and the logs.
pub(super) fn accompany(
    plan: &Plan<'_>,
    stack: &Stack,
    service: &Service,
    companions: &mut JoinSet<()>,
) {
    if plan.detach {
        return;
    }
    if plan.forward {
        lead_a_port(plan, stack, service, companions);
    }
    if plan.logs {
        show_logs(plan, stack, service, companions);
    }
}

fn lead_a_port(plan: &Plan<'_>, stack: &Stack, service: &Service, companions: &mut JoinSet<()>) {
    let Some(port) = service.port() else { return };
    let mut route = forward::Route {
        service: service.name.clone(),
        selector: selector(stack, service),
        local: SocketAddr::from((Ipv4Addr::LOCALHOST, port.number)),
        port: port.number,
    };
    let (cluster, events) = (plan.cluster.clone(), plan.events.clone());
    companions.spawn(async move {
        if forward::run(&cluster, &route, &events).await.is_ok() {
            return;
        }
        // Its own number is taken on this machine: any other will do.
        route.local.set_port(0);
        if let Err(error) = forward::run(&cluster, &route, &events).await {
            let failure = error.into();
            events.send(told("forward", Some(route.service.clone()), &failure));
        }
    });
}

fn show_logs(plan: &Plan<'_>, stack: &Stack, service: &Service, companions: &mut JoinSet<()>) {
    let wanted = logs::Wanted {
        tail: Some(0),
        since_seconds: None,
        follow: true,
        previous: false,
        container: None,
    };
    let selector = selector(stack, service);
    let (cluster, events) = (plan.cluster.clone(), plan.events.clone());
    let name = service.name.clone();
    companions.spawn(async move {
        if let Err(error) = logs::tell(&cluster, &name, &selector, &wanted, &events).await {
            tracing::debug!("the logs of {name} ended: {error}");
        }
    });
}

/// Tells when a pod can't start at all. That its process isn't ready yet is no news while it is
/// developed: the session tells what happens to it.
pub(super) fn watch_over(
    plan: &Plan<'_>,
    stack: &Stack,
    service: &Service,
    ready_tx: &mpsc::UnboundedSender<Arrived>,
    companions: &mut JoinSet<()>,
) {
    let (cluster, stack, service) = (plan.cluster.clone(), stack.clone(), service.clone());
    let (events, ready_tx) = (plan.events.clone(), ready_tx.clone());
    let (timeout, detach) = (plan.timeout, plan.detach);
    companions.spawn(async move {
        let quiet = |_: Sign| {};
        let ready = reach(
            &cluster,
            &stack,
            &service,
            Condition::Ready,
            timeout,
            &quiet,
        )
        .await;
        let live = ready.is_ok();
        if let Err(failure) = ready {
            let hopeless = matches!(failure.error.downcast_ref::<Wait>(), Some(Wait::Stuck(_)));
            if hopeless || detach {
                events.send(told("start", Some(service.name.clone()), &failure));
            }
        }
        // Who develops goes on in any case; who only waits for the end has it.
        let service = service.name;
        drop(ready_tx.send(Arrived { service, live }));
    });
}
