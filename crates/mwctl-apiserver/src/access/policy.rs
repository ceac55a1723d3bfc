//! The roles and bindings of a cluster, arranged for asking. It is made anew from the objects whenever one of them changes.

use super::User;
use super::rule::Rule;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// Who is granted what.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// By namespace, which is empty for cluster roles, and name.
    roles: BTreeMap<(String, String), Vec<Rule>>,
    /// By namespace, which is empty for cluster bindings, and name.
    bindings: BTreeMap<String, BTreeMap<String, Binding>>,
}

#[derive(Debug, Clone)]
struct Binding {
    role: RoleRef,
    subjects: Vec<Subject>,
}

/// The role that a binding grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoleRef {
    /// Of the whole cluster, even where a namespace binds it.
    pub(super) of_cluster: bool,
    pub(super) name: String,
}

#[derive(Debug, Clone)]
struct Subject {
    kind: SubjectKind,
    namespace: String,
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SubjectKind {
    User,
    Group,
    ServiceAccount,
}

/// Rules that somebody is granted, and by what.
pub(super) struct Grant<'p> {
    namespace: &'p str,
    binding: &'p str,
    role: &'p RoleRef,
    subject: &'p Subject,
    pub(super) rules: &'p [Rule],
}

impl Policy {
    /// The policy that these objects make: `ClusterRole`, `ClusterRoleBinding`, `Role` and `RoleBinding`; others are passed over.
    pub fn new<'v>(objects: impl IntoIterator<Item = &'v Value>) -> Self {
        let mut policy = Self::default();
        for object in objects {
            let metadata = &object["metadata"];
            let (namespace, name) = (text(metadata, "namespace"), text(metadata, "name"));
            match object["kind"].as_str() {
                Some("ClusterRole" | "Role") => {
                    policy
                        .roles
                        .insert((namespace, name), Rule::of_role(object));
                }
                Some("ClusterRoleBinding" | "RoleBinding") => {
                    if let Some(binding) = Binding::read(object, &namespace) {
                        policy
                            .bindings
                            .entry(namespace)
                            .or_default()
                            .insert(name, binding);
                    }
                }
                _ => {}
            }
        }
        policy
    }

    /// What a user is granted in a namespace, first what the whole cluster grants; at cluster scope (no namespace) only that.
    pub(super) fn grants<'p>(
        &'p self,
        user: &'p User,
        namespace: &'p str,
    ) -> impl Iterator<Item = Grant<'p>> {
        let own = (!namespace.is_empty()).then_some(namespace);
        [""].into_iter().chain(own).flat_map(move |namespace| {
            let bindings = self.bindings.get(namespace).into_iter().flatten();
            bindings.filter_map(move |(name, binding)| {
                let subject = binding.subjects.iter().find(|subject| subject.is(user))?;
                Some(Grant {
                    namespace,
                    binding: name,
                    role: &binding.role,
                    subject,
                    rules: self.rules(namespace, &binding.role)?,
                })
            })
        })
    }

    /// The rules of a role that is bound in `namespace`; none if there is no such role.
    pub(super) fn rules(&self, namespace: &str, role: &RoleRef) -> Option<&[Rule]> {
        let home = if role.of_cluster { "" } else { namespace };
        let place = (home.to_owned(), role.name.clone());
        self.roles.get(&place).map(Vec::as_slice)
    }
}

impl Binding {
    fn read(object: &Value, namespace: &str) -> Option<Self> {
        let subjects = object.get("subjects").and_then(Value::as_array);
        let subjects = subjects.into_iter().flatten();
        Some(Self {
            role: RoleRef::read(object)?,
            subjects: subjects
                .filter_map(|subject| Subject::read(subject, namespace))
                .collect(),
        })
    }
}

impl RoleRef {
    /// The role of a binding.
    pub(super) fn read(binding: &Value) -> Option<Self> {
        let role = binding.get("roleRef")?;
        Some(Self {
            of_cluster: match role.get("kind")?.as_str()? {
                "ClusterRole" => true,
                "Role" => false,
                _ => return None,
            },
            name: text(role, "name"),
        })
    }
}

impl Subject {
    fn read(value: &Value, home: &str) -> Option<Self> {
        let kind = match value.get("kind")?.as_str()? {
            "User" => SubjectKind::User,
            "Group" => SubjectKind::Group,
            "ServiceAccount" => SubjectKind::ServiceAccount,
            _ => return None,
        };
        let namespace = match text(value, "namespace") {
            none if none.is_empty() => home.to_owned(),
            namespace => namespace,
        };
        Some(Self {
            kind,
            namespace,
            name: text(value, "name"),
        })
    }

    fn is(&self, user: &User) -> bool {
        match self.kind {
            SubjectKind::User => self.name == user.name,
            SubjectKind::Group => user.is_in(&self.name),
            SubjectKind::ServiceAccount => {
                let account = user.name.strip_prefix("system:serviceaccount:");
                account.and_then(|account| account.split_once(':'))
                    == Some((self.namespace.as_str(), self.name.as_str()))
            }
        }
    }
}

impl fmt::Display for Grant<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace {
            "" => write!(formatter, "ClusterRoleBinding \"{}\"", self.binding)?,
            namespace => write!(formatter, "RoleBinding \"{}/{namespace}\"", self.binding)?,
        }
        let kind = if self.role.of_cluster {
            "ClusterRole"
        } else {
            "Role"
        };
        write!(formatter, " of {kind} \"{}\" to ", self.role.name)?;
        let Subject {
            kind,
            namespace,
            name,
        } = self.subject;
        match kind {
            SubjectKind::User => write!(formatter, "User \"{name}\""),
            SubjectKind::Group => write!(formatter, "Group \"{name}\""),
            SubjectKind::ServiceAccount => {
                write!(formatter, "ServiceAccount \"{name}/{namespace}\"")
            }
        }
    }
}

fn text(value: &Value, field: &str) -> String {
    value
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}
