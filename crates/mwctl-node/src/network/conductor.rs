//! The one loop of the network: changes and orders in, a state, and what follows from it out to the kernel and to who listens.
//!
//! What comes while rules are being written waits and is then taken in at once, so that a hundred changes cost a few transactions.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::{mpsc, oneshot, watch};

use super::NetworkError;
use super::address::Pool;
use super::cluster::{Change, Cluster};
use super::config::{Config, RESERVED};
use super::kernel::Inside;
use super::namespace::Resident;
use super::ruleset::Ruleset;
use super::view::View;

/// How long after a failed transaction it is tried again, if nothing else happens.
const AGAIN: Duration = Duration::from_secs(1);

/// What the loop is asked to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// To give a pod an address.
    Allocate {
        uid: String,
        pod: Arc<Pod>,
        /// Told at once.
        address: oneshot::Sender<Result<Ipv4Addr, NetworkError>>,
        /// Told when the rules that concern the pod are in place.
        ruled: oneshot::Sender<Result<(), NetworkError>>,
    },
    /// To take it back.
    Release {
        uid: String,
        done: oneshot::Sender<Result<(), NetworkError>>,
    },
}

/// The state of the loop.
#[derive(Debug)]
pub(crate) struct Conductor {
    config: Arc<Config>,
    inside: Resident<Inside>,
    views: watch::Sender<Arc<View>>,
    cluster: Cluster,
    pool: Pool,
    /// This node's pods by uid.
    local: BTreeMap<String, (Arc<Pod>, Ipv4Addr)>,
    /// Those who wait for rules.
    waiting: Vec<oneshot::Sender<Result<(), NetworkError>>>,
    applied: Option<Ruleset>,
    failed: bool,
}

impl Conductor {
    pub(crate) fn new(
        config: Arc<Config>,
        inside: Resident<Inside>,
        views: watch::Sender<Arc<View>>,
    ) -> Self {
        Self {
            pool: Pool::new(config.pods, RESERVED),
            config,
            inside,
            views,
            cluster: Cluster::default(),
            local: BTreeMap::new(),
            waiting: Vec::new(),
            applied: None,
            failed: false,
        }
    }

    /// Puts the first rules in place: those that hold before anything is known.
    pub(crate) async fn begin(&mut self) -> io::Result<()> {
        self.settle().await
    }

    /// Works until nobody gives orders any more.
    pub(crate) async fn run(
        mut self,
        changes: BoxStream<'static, Change>,
        mut orders: mpsc::Receiver<Order>,
    ) {
        let mut changes = changes.fuse();
        let mut watching = true;
        loop {
            tokio::select! {
                change = changes.next(), if watching => match change {
                    Some(change) => self.cluster.learn(change),
                    None => watching = false,
                },
                order = orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => return,
                },
                () = tokio::time::sleep(AGAIN), if self.failed => {}
            }
            // What else is there already is part of the same turn.
            while let Some(Some(change)) = futures::FutureExt::now_or_never(changes.next()) {
                self.cluster.learn(change);
            }
            while let Ok(order) = orders.try_recv() {
                self.obey(order).await;
            }
            let outcome = self.settle().await;
            if let Err(error) = &outcome {
                tracing::error!(%error, "the rules of the pod network can't be changed");
            }
            self.failed = outcome.is_err();
            self.answer(outcome);
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Allocate {
                uid,
                pod,
                address,
                ruled,
            } => {
                let allocated = self.pool.allocate(&uid);
                if let Ok(address) = allocated {
                    self.local.insert(uid, (pod, address));
                    self.waiting.push(ruled);
                }
                address.send(allocated.map_err(NetworkError::Address)).ok();
            }
            Order::Release { uid, done } => {
                done.send(self.release(&uid).await).ok();
            }
        }
    }

    async fn release(&mut self, uid: &str) -> Result<(), NetworkError> {
        let Some(address) = self.pool.get(uid) else {
            return Ok(());
        };
        self.local.remove(uid);
        let number = number(&self.config, address);
        let detached = self.inside.run(move |inside| {
            inside.detach(number)?;
            inside.cut_address(address)
        });
        // Only an address that leads nowhere any more can be another pod's.
        if let Err(error) = detached.await {
            return Err(NetworkError::Detach {
                address,
                source: Arc::new(error),
            });
        }
        self.pool.release(uid);
        Ok(())
    }

    /// Who waits is answered once everything is known that could forbid something.
    fn answer(&mut self, outcome: io::Result<()>) {
        if !self.cluster.is_complete() && outcome.is_ok() {
            return;
        }
        let failure = outcome.err().map(Arc::new);
        for waiting in self.waiting.drain(..) {
            let answer = failure
                .clone()
                .map_or(Ok(()), |error| Err(NetworkError::Rules(error)));
            waiting.send(answer).ok();
        }
    }

    /// Makes the kernel, the name server, the relay and the listeners agree with what is known.
    async fn settle(&mut self) -> io::Result<()> {
        let local = self
            .local
            .iter()
            .map(|(uid, (_, address))| (*address, uid.clone()));
        let observed = self.cluster.observed(&self.local);
        let view = Arc::new(View::new(&self.config, observed, local.collect()));
        let before = Arc::clone(&self.views.borrow());
        if view == before && self.applied.is_some() && !self.failed {
            return Ok(());
        }
        let ruleset = Ruleset::new(&self.config.addresses(), &view.frontends, &view.isolations);
        if self.applied.as_ref() != Some(&ruleset) {
            let new = ruleset.clone();
            self.inside.run(move |inside| inside.apply(&new)).await?;
            self.applied = Some(ruleset);
        }
        self.views.send_replace(Arc::clone(&view));
        if view.isolations != before.isolations || view.frontends != before.frontends {
            let config = Arc::clone(&self.config);
            let cut = self
                .inside
                .run(move |inside| inside.cut(&config, &view))
                .await?;
            if cut > 0 {
                tracing::debug!(cut, "connections ended that are allowed no more");
            }
        }
        Ok(())
    }
}

/// The number of a pod's interface: how far its address is into the network.
pub(crate) fn number(config: &Config, address: Ipv4Addr) -> u32 {
    address.to_bits() - config.pods.base().to_bits()
}
