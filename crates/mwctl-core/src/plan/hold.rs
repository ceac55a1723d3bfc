//! What a plan leaves as it is although it differs, and why.

use serde::Serialize;

use crate::manifest::ObjectId;
use crate::name::ServiceName;

/// Something that is not done.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Hold {
    /// The kind of reason.
    pub kind: HoldKind,
    /// The service concerned.
    pub service: Option<ServiceName>,
    /// The object concerned.
    pub object: Option<ObjectId>,
    /// Why it is left: a sentence without a full stop.
    pub reason: String,
    /// What to type if it shouldn't be.
    pub hint: Option<String>,
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HoldKind {
    /// An object of that name belongs to somebody else.
    Foreign,
    /// The namespace belongs to somebody else; it is used as it is.
    Namespace,
    /// The service is being developed.
    Developing,
    /// Data would be lost.
    Data,
    /// The service waits for one that can't be deployed.
    Waiting,
    /// Services wait for each other; one of the needs is ignored.
    Cycle,
    /// What can't be changed in place is deleted and made anew: it is gone in between.
    Replaced,
}

impl HoldKind {
    /// Whether it keeps a service from running as it is described.
    pub fn is_obstacle(self) -> bool {
        match self {
            Self::Foreign | Self::Waiting => true,
            Self::Namespace | Self::Developing | Self::Data | Self::Cycle | Self::Replaced => false,
        }
    }
}

impl Hold {
    /// A service keeps its develop form.
    pub(super) fn developing(service: &ServiceName, object: &ObjectId) -> Self {
        Self {
            kind: HoldKind::Developing,
            service: Some(service.clone()),
            object: Some(object.clone()),
            reason: format!("`{service}` is being developed and keeps its develop form"),
            hint: Some(format!(
                "end `mwctl develop {service}`, or type `mwctl develop --stop {service}`"
            )),
        }
    }

    /// An object is deleted and made anew, which people notice: pods stop first, an address changes.
    pub(super) fn replaced(service: &ServiceName, object: &ObjectId, reason: &str) -> Option<Self> {
        let meanwhile = match object.kind.as_str() {
            "Deployment" | "DaemonSet" => "its pods stop before the new ones start",
            "StatefulSet" => "its pods stop before the new ones start; their volumes stay",
            "Service" => "its address changes",
            _ => return None,
        };
        Some(Self {
            kind: HoldKind::Replaced,
            service: Some(service.clone()),
            object: Some(object.clone()),
            reason: format!("`{object}` {reason}; {meanwhile}"),
            hint: None,
        })
    }

    /// A service waits for one that is stopped.
    pub(super) fn waiting(service: &ServiceName, needed: &ServiceName) -> Self {
        Self {
            kind: HoldKind::Waiting,
            service: Some(service.clone()),
            object: None,
            reason: format!("`{service}` needs `{needed}`, which can't be deployed"),
            hint: None,
        }
    }

    /// Data would be lost.
    pub(super) fn data(
        service: Option<ServiceName>,
        object: &ObjectId,
        reason: String,
        hint: String,
    ) -> Self {
        Self {
            kind: HoldKind::Data,
            service,
            object: Some(object.clone()),
            reason,
            hint: Some(hint),
        }
    }
}
