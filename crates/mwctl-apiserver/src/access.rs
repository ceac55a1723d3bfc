//! Who may do what: role-based access control, what a node may do, and which pods a namespace takes.
//!
//! Everything here is a pure function of values. Who somebody is was found out before (tokens), objects are read by the caller, and a refusal
//! is a value in the words of upstream. [`authorize`] decides on a request by the verb and the path alone; [`escalation`] and [`node`] look at
//! what is written; [`pod_security`] looks at pods.

mod bootstrap;
pub mod escalation;
pub mod node;
pub mod pod_security;
mod policy;
mod review;
mod rule;

pub use bootstrap::bootstrap_objects;
pub use policy::Policy;
pub use review::rules_review;

use crate::status::{Details, Status, qualified};
use std::collections::BTreeMap;

/// The group that may do everything, whatever the roles say.
pub const MASTERS: &str = "system:masters";

/// The group of everybody who is known.
pub const AUTHENTICATED: &str = "system:authenticated";

/// Somebody who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name, such as `system:serviceaccount:default:builder`.
    pub name: String,
    /// The identifier; empty where there is none.
    pub uid: String,
    /// The groups, with those that every user of a kind is in.
    pub groups: Vec<String>,
    /// What else is known, by its name: of a service account's token, which one it is and for which pod.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// What somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; the HTTP method in lower case for a path.
    pub verb: &'a str,
    /// On what.
    pub target: Target<'a>,
}

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// A resource.
    Resource(Resource<'a>),
    /// A path that is none, such as `/version`.
    Path(&'a str),
}

/// A resource, as its path says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resource<'a> {
    /// The API group; empty for the core group.
    pub group: &'a str,
    /// The plural.
    pub resource: &'a str,
    /// Empty for the object itself.
    pub subresource: &'a str,
    /// Empty for everything at cluster scope, and for lists of all namespaces.
    pub namespace: &'a str,
    /// Empty for lists and creations. A list that is limited to one name by a field selector has that name.
    pub name: &'a str,
    /// The node that a list of pods is limited to by a field selector; empty if there is none.
    pub node: &'a str,
}

/// Whether a request may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Yes; because of this, if it can be told.
    Allowed(String),
    /// No; because of this, if there is more to say than that nobody granted it.
    Refused(String),
}

/// Decides on a request.
///
/// Identities of nodes (`system:node:…`) are to be asked about by [`node::authorize`], which knows more.
pub fn authorize(policy: &Policy, user: &User, attributes: &Attributes<'_>) -> Decision {
    if user.is_in(MASTERS) {
        return Decision::Allowed(String::new());
    }
    let namespace = match attributes.target {
        Target::Resource(resource) => resource.namespace,
        Target::Path(_) => "",
    };
    let mut grants = policy.grants(user, namespace);
    let granted = grants.find(|grant| grant.rules.iter().any(|rule| rule.allows(attributes)));
    match granted {
        Some(grant) => Decision::Allowed(format!("RBAC: allowed by {grant}")),
        None => Decision::Refused(String::new()),
    }
}

/// The answer to a request that was refused for `why`, which may be empty.
pub fn forbidden(user: &User, attributes: &Attributes<'_>, why: &str) -> Status {
    let because = if why.is_empty() {
        String::new()
    } else {
        format!(": {why}")
    };
    let (name, verb) = (&user.name, attributes.verb);
    match attributes.target {
        Target::Path(path) => Status {
            details: Some(Box::<Details>::default()),
            ..Status::new(
                403,
                "Forbidden",
                format!("forbidden: User \"{name}\" cannot {verb} path \"{path}\"{because}"),
            )
        },
        Target::Resource(resource) => {
            let place = match resource.namespace {
                "" => "at the cluster scope".to_owned(),
                namespace => format!("in the namespace \"{namespace}\""),
            };
            let (group, path) = (resource.group, resource.path());
            refused(
                &resource,
                &format!(
                    "User \"{name}\" cannot {verb} resource \"{path}\" in API group \"{group}\" {place}{because}"
                ),
            )
        }
    }
}

/// `403 Forbidden`: `pods "p" is forbidden: …`.
pub fn refused(resource: &Resource<'_>, why: &str) -> Status {
    let Resource {
        group,
        resource: plural,
        name,
        ..
    } = *resource;
    let named = match name {
        "" => String::new(),
        name => format!(" \"{name}\""),
    };
    let message = format!("{}{named} is forbidden: {why}", qualified(group, plural));
    Status::new(403, "Forbidden", message).about(group, plural, name)
}

impl User {
    /// Who starts the server.
    pub fn admin() -> Self {
        Self::with_groups("kubernetes-admin", &[MASTERS, AUTHENTICATED])
    }

    /// A service account.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        let all = format!("system:serviceaccounts:{namespace}");
        Self::with_groups(
            &format!("system:serviceaccount:{namespace}:{name}"),
            &["system:serviceaccounts", &all, AUTHENTICATED],
        )
    }

    /// A node.
    pub fn node(name: &str) -> Self {
        Self::with_groups(
            &format!("system:node:{name}"),
            &["system:nodes", AUTHENTICATED],
        )
    }

    /// Somebody who didn't say who they are.
    pub fn anonymous() -> Self {
        Self::with_groups("system:anonymous", &["system:unauthenticated"])
    }

    /// Whether the user is in a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|other| other == group)
    }

    fn with_groups(name: &str, groups: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            uid: String::new(),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            extra: BTreeMap::new(),
        }
    }
}

impl Resource<'_> {
    /// `pods`, or `pods/log`.
    pub fn path(&self) -> String {
        match self.subresource {
            "" => self.resource.to_owned(),
            subresource => format!("{}/{subresource}", self.resource),
        }
    }
}

impl Decision {
    /// Whether the request may go on.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

#[cfg(test)]
mod tests;
