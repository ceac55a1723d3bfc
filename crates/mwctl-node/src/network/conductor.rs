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
use super::closing::may_close;
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
    /// Those who leave in this turn.
    leaving: Vec<Leaving>,
    applied: Option<Ruleset>,
    /// The state that no open connection contradicts; none before the first rules, which no connection is older than.
    cut: Option<Arc<View>>,
    failed: bool,
}

/// A pod that is to be taken off the network, and who waits for that.
#[derive(Debug)]
struct Leaving {
    address: Ipv4Addr,
    uid: String,
    done: oneshot::Sender<Result<(), NetworkError>>,
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
            leaving: Vec::new(),
            applied: None,
            cut: None,
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
                    Some(order) => self.obey(order),
                    None => return,
                },
                () = tokio::time::sleep(AGAIN), if self.failed => {}
            }
            // What else is there already is part of the same turn.
            while let Some(Some(change)) = futures::FutureExt::now_or_never(changes.next()) {
                self.cluster.learn(change);
            }
            while let Ok(order) = orders.try_recv() {
                self.obey(order);
            }
            self.release().await;
            let outcome = self.settle().await;
            if let Err(error) = &outcome {
                tracing::error!(%error, "the rules of the pod network can't be changed");
            }
            self.failed = outcome.is_err();
            self.answer(outcome);
        }
    }

    fn obey(&mut self, order: Order) {
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
            Order::Release { uid, done } => match self.pool.get(&uid) {
                Some(address) => self.leaving.push(Leaving { address, uid, done }),
                None => drop(done.send(Ok(()))),
            },
        }
    }

    /// Takes pods off the network, all that leave in a turn together: the connections are looked through once.
    async fn release(&mut self) {
        if self.leaving.is_empty() {
            return;
        }
        let leaving = std::mem::take(&mut self.leaving);
        let mut pods = BTreeMap::new();
        for Leaving { address, uid, .. } in &leaving {
            self.local.remove(uid);
            pods.insert(*address, number(&self.config, *address));
        }
        let released = self.inside.run(move |inside| Ok(inside.release(&pods)));
        let (failed, lost) = match released.await {
            Ok(failed) => (failed, None),
            Err(error) => (BTreeMap::new(), Some(Arc::new(error))),
        };
        for Leaving { address, uid, done } in leaving {
            let failure = failed.get(&address).or(lost.as_ref()).cloned();
            if failure.is_none() {
                // Only an address that leads nowhere any more can be another pod's.
                self.pool.release(&uid);
            }
            let failed = |source| Err(NetworkError::Detach { address, source });
            done.send(failure.map_or(Ok(()), failed)).ok();
        }
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
        if view == *self.views.borrow() && self.applied.is_some() && !self.failed {
            return Ok(());
        }
        let ruleset = Ruleset::new(&self.config.addresses(), &view.frontends, &view.isolations);
        if self.applied.as_ref() != Some(&ruleset) {
            let new = ruleset.clone();
            self.inside.run(move |inside| inside.apply(&new)).await?;
            self.applied = Some(ruleset);
        }
        self.views.send_replace(Arc::clone(&view));
        if let Some(before) = &self.cut
            && may_close(before, &view)
        {
            let (config, view) = (Arc::clone(&self.config), Arc::clone(&view));
            let cut = self.inside.run(move |inside| inside.cut(&config, &view));
            let cut = cut.await?;
            if cut > 0 {
                tracing::debug!(cut, "connections ended that are allowed no more");
            }
        }
        self.cut = Some(view);
        Ok(())
    }
}

/// The number of a pod's interface: how far its address is into the network.
pub(crate) fn number(config: &Config, address: Ipv4Addr) -> u32 {
    address.to_bits() - config.pods.base().to_bits()
}
