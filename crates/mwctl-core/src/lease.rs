//! Who deploys a stack at this moment, so that two people don't do it at once.
//!
//! The cluster keeps it as a Lease beside the stack's objects. One that isn't renewed lapses; one of a
//! process of this machine that is gone has lapsed already.

use serde_json::{Value, json};

/// How long a lease holds without being renewed, in seconds.
pub const SECONDS: u64 = 30;

/// Who wants to deploy, or does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holder {
    /// As people know it, such as `alice (process 12)`.
    pub owner: String,
    /// The start of the machine it runs on, where that is known.
    pub boot: String,
    /// Its process.
    pub process: u32,
}

/// Whether a lease may be taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Nobody has it any more.
    Free,
    /// Somebody has it.
    Held {
        /// Who.
        by: String,
        /// How long, in seconds.
        since: u64,
        /// After how many seconds it lapses unless it is renewed.
        lapses: u64,
    },
    /// A process of the machine with this start holds it: it is free if the process is gone.
    HeldHere {
        /// Its process.
        process: u32,
        /// What to answer if it isn't gone.
        otherwise: Box<Standing>,
    },
}

impl Holder {
    /// As it is written into a lease.
    fn identity(&self) -> String {
        format!("{}@{}/{}", self.owner, self.boot, self.process)
    }

    fn parse(identity: &str) -> Option<Self> {
        let (owner, place) = identity.rsplit_once('@')?;
        let (boot, process) = place.rsplit_once('/')?;
        Some(Self {
            owner: owner.to_owned(),
            boot: boot.to_owned(),
            process: process.parse().ok()?,
        })
    }
}

/// The name of a stack's lease.
pub fn name(stack: &str) -> String {
    format!("mwctl-{stack}")
}

/// A lease for `holder`; times as in RFC 3339 with microseconds.
pub fn object(stack: &str, namespace: &str, holder: &Holder, now: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": { "name": name(stack), "namespace": namespace },
        "spec": {
            "holderIdentity": holder.identity(),
            "leaseDurationSeconds": SECONDS,
            "acquireTime": now,
            "renewTime": now,
        }
    })
}

/// Whether a lease that is there may be taken by somebody on a machine that started as `boot` says.
/// `age` and `renewed` are the seconds since it was taken and renewed.
pub fn standing(lease: &Value, boot: &str, age: u64, renewed: u64) -> Standing {
    let identity = lease
        .pointer("/spec/holderIdentity")
        .and_then(Value::as_str);
    let duration = lease
        .pointer("/spec/leaseDurationSeconds")
        .and_then(Value::as_u64);
    let duration = duration.unwrap_or(SECONDS);
    let Some(identity) = identity.filter(|it| !it.is_empty()) else {
        return Standing::Free;
    };
    if renewed >= duration {
        return Standing::Free;
    }
    let holder = Holder::parse(identity);
    let held = Standing::Held {
        by: holder
            .as_ref()
            .map_or(identity, |it| it.owner.as_str())
            .to_owned(),
        since: age,
        lapses: duration - renewed,
    };
    match holder {
        Some(holder) if holder.boot == boot && !boot.is_empty() => Standing::HeldHere {
            process: holder.process,
            otherwise: Box::new(held),
        },
        _ => held,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease() -> Value {
        let holder = Holder {
            owner: "alice (process 12)".to_owned(),
            boot: "b1".to_owned(),
            process: 12,
        };
        object("wiki", "wiki", &holder, "2026-01-01T00:00:00.000000Z")
    }

    #[test]
    fn a_lease_is_held_until_it_lapses() {
        let held = Standing::Held {
            by: "alice (process 12)".to_owned(),
            since: 25,
            lapses: 10,
        };
        assert_eq!(standing(&lease(), "b2", 25, 20), held);
        assert_eq!(standing(&lease(), "b2", 99, SECONDS), Standing::Free);
        assert_eq!(standing(&json!({ "spec": {} }), "b2", 0, 0), Standing::Free);
    }

    #[test]
    fn a_process_of_this_machine_can_be_looked_for() {
        let Standing::HeldHere { process, .. } = standing(&lease(), "b1", 1, 1) else {
            panic!("it is of this machine");
        };
        assert_eq!(process, 12);
        let unknown = standing(&lease(), "", 1, 1);
        assert!(matches!(unknown, Standing::Held { .. }), "{unknown:?}");
    }
}
