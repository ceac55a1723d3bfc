//! Which cluster a command works on: the one asked for, else the stack's, else the only local one
//! that runs, else minikube, else the embedded one. Never one that isn't known to be local, unless it was allowed by name.

use std::collections::BTreeSet;

use super::{Context, Kind, Kubeconfig};

/// What the choice is made from.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// All contexts.
    pub kubeconfig: &'a Kubeconfig,
    /// What `--cluster` says.
    pub requested: Option<&'a str>,
    /// What the stack's setting says.
    pub setting: Option<&'a str>,
    /// Contexts allowed by name although they aren't known to be local.
    pub allowed: &'a [String],
    /// Contexts whose cluster answers.
    pub running: &'a BTreeSet<String>,
    /// What is known of minikube.
    pub minikube: &'a MinikubeState,
    /// Whether this program can serve a cluster with a node on this machine.
    pub embedded: bool,
}

/// The name of the embedded cluster that is there for whoever has no other.
pub const EMBEDDED: &str = "embedded";

/// The name of its context.
pub const EMBEDDED_CONTEXT: &str = "mwctl-embedded";

/// What is known of minikube on this machine.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MinikubeState {
    /// Whether the program is there.
    pub installed: bool,
    /// Its profiles.
    pub profiles: BTreeSet<String>,
}

/// The cluster to work on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Choice {
    /// A context that is there.
    Context(Context, Reason),
    /// A minikube profile that has to be started (and made, where it doesn't exist) first.
    StartMinikube {
        /// The profile.
        profile: String,
        /// Why this one.
        reason: Reason,
    },
    /// The embedded cluster ([`EMBEDDED`]), which has to be started first.
    StartEmbedded {
        /// Why this one.
        reason: Reason,
        /// What to type where a context was meant that isn't known to be local.
        passed_over: Vec<String>,
    },
}

/// Why a cluster was chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// It was asked for.
    Requested,
    /// The stack names it.
    Setting,
    /// It is the only local one that runs.
    OnlyRunning,
    /// Several run, and it is the current context.
    Current,
    /// None runs, and minikube is installed.
    Installed,
    /// There is no other.
    NoOther,
}

impl Reason {
    /// The reason as the end of a sentence.
    pub fn text(self) -> &'static str {
        match self {
            Self::Requested => "as asked for",
            Self::Setting => "named by the stack",
            Self::OnlyRunning => "the only local cluster that runs",
            Self::Current => "the current context among the local clusters that run",
            Self::Installed => "minikube is installed",
            Self::NoOther => "no other local cluster runs",
        }
    }
}

/// Why no cluster was chosen; an environment that isn't ready, exit code 4.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// No context has that name.
    #[error("no context is called `{name}`")]
    Missing {
        /// The name.
        name: String,
        /// The nearest name that there is.
        nearest: Option<String>,
    },
    /// The context looks like production.
    #[error("context `{name}` is not this machine's own: {why}")]
    Remote {
        /// The context.
        name: String,
        /// What says so.
        why: String,
    },
    /// Nothing says that the context is local.
    #[error("nothing says that context `{name}` is this machine's own")]
    Unknown {
        /// The context.
        name: String,
    },
    /// More than one local cluster runs.
    #[error("several local clusters run: {}", names.join(", "))]
    Several {
        /// Their contexts.
        names: Vec<String>,
    },
    /// There is none to work on.
    #[error("no local cluster runs")]
    None {
        /// Local contexts whose cluster doesn't answer.
        stopped: Vec<String>,
        /// Contexts that aren't known to be local, each with what says so.
        passed_over: Vec<(String, String)>,
    },
}

impl Refusal {
    /// What to type next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Missing { nearest, .. } => nearest
                .iter()
                .map(|name| format!("did you mean `--cluster {name}`?"))
                .chain(["`kubectl config get-contexts` lists them".to_owned()])
                .collect(),
            Self::Remote { name, .. } | Self::Unknown { name } => {
                vec![format!(
                    "if it really is meant, say so: `--allow-context {name}`"
                )]
            }
            Self::Several { names } => names
                .iter()
                .map(|name| format!("`--cluster {name}`"))
                .collect(),
            Self::None {
                stopped,
                passed_over,
            } => {
                let mut hints: Vec<String> = stopped
                    .iter()
                    .map(|name| format!("`{name}` is there but doesn't answer: start it"))
                    .collect();
                hints.extend(passed_over.iter().map(meant));
                hints.push("install minikube, kind or k3d, or name a context: `--cluster NAME`, `--allow-context NAME`".to_owned());
                hints
            }
        }
    }
}

/// Chooses.
pub fn choose(question: &Question<'_>) -> Result<Choice, Refusal> {
    if let Some(name) = question.requested {
        return named(question, name, Reason::Requested);
    }
    if let Some(name) = question.setting {
        return named(question, name, Reason::Setting);
    }
    let local: Vec<&Context> = question
        .kubeconfig
        .contexts
        .iter()
        .filter(|context| context.kind.is_local())
        .collect();
    let mut running: Vec<&Context> = Vec::new();
    for context in &local {
        // Two contexts of one cluster (two users, two namespaces) are no ambiguity of clusters.
        let known = running.iter().any(|other| other.cluster == context.cluster);
        if question.running.contains(&context.name) && !known {
            running.push(context);
        }
    }
    if let [only] = running.as_slice() {
        return Ok(Choice::Context((*only).clone(), Reason::OnlyRunning));
    }
    if !running.is_empty() {
        let current = question.kubeconfig.current.as_deref();
        return match running.iter().find(|c| Some(c.name.as_str()) == current) {
            Some(context) => Ok(Choice::Context((*context).clone(), Reason::Current)),
            None => Err(Refusal::Several {
                names: running.iter().map(|c| c.name.clone()).collect(),
            }),
        };
    }
    if question.minikube.installed {
        let profiles = &question.minikube.profiles;
        let profile = match profiles.first() {
            Some(only) if profiles.len() == 1 => only.clone(),
            _ => "minikube".to_owned(),
        };
        return Ok(Choice::StartMinikube {
            profile,
            reason: Reason::Installed,
        });
    }
    if question.embedded {
        return Ok(Choice::StartEmbedded {
            reason: Reason::NoOther,
            passed_over: passed_over(question.kubeconfig).iter().map(meant).collect(),
        });
    }
    Err(Refusal::None {
        stopped: local.iter().map(|context| context.name.clone()).collect(),
        passed_over: passed_over(question.kubeconfig),
    })
}

fn meant((name, why): &(String, String)) -> String {
    format!(
        "context `{name}` was passed over: {why}; if it is meant: `--cluster {name} --allow-context {name}`"
    )
}

/// The contexts that nobody may take for this machine's own, and why.
fn passed_over(kubeconfig: &Kubeconfig) -> Vec<(String, String)> {
    let contexts = kubeconfig.contexts.iter();
    let why = |context: &Context| match &context.kind {
        Kind::Remote { why } => Some(why.clone()),
        Kind::Unknown => Some("nothing says that it is this machine's own".to_owned()),
        _ => None,
    };
    contexts
        .filter_map(|context| Some((context.name.clone(), why(context)?)))
        .collect()
}

fn named(question: &Question<'_>, name: &str, reason: Reason) -> Result<Choice, Refusal> {
    let minikube = question.minikube;
    // It may be named as a cluster, or by its context.
    let name = match question.kubeconfig.context(name) {
        None if name == EMBEDDED => EMBEDDED_CONTEXT,
        _ => name,
    };
    let Some(context) = question.kubeconfig.context(name) else {
        if name == EMBEDDED_CONTEXT && question.embedded {
            return Ok(Choice::StartEmbedded {
                reason,
                passed_over: Vec::new(),
            });
        }
        // A stopped profile has no context: minikube takes it out of the kubeconfig.
        if minikube.profiles.contains(name) || (name == "minikube" && minikube.installed) {
            return Ok(Choice::StartMinikube {
                profile: name.to_owned(),
                reason,
            });
        }
        return Err(Refusal::Missing {
            name: name.to_owned(),
            nearest: nearest(question, name),
        });
    };
    let allowed = question.allowed.iter().any(|allowed| allowed == name);
    match &context.kind {
        Kind::Remote { why } if !allowed => Err(Refusal::Remote {
            name: name.to_owned(),
            why: why.clone(),
        }),
        Kind::Unknown if !allowed => Err(Refusal::Unknown {
            name: name.to_owned(),
        }),
        Kind::Minikube { profile } if !question.running.contains(name) && minikube.installed => {
            Ok(Choice::StartMinikube {
                profile: profile.clone(),
                reason,
            })
        }
        _ => Ok(Choice::Context(context.clone(), reason)),
    }
}

fn nearest(question: &Question<'_>, name: &str) -> Option<String> {
    let contexts = question.kubeconfig.contexts.iter().map(|c| &c.name);
    contexts
        .chain(&question.minikube.profiles)
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= known.len().max(name.len()) / 3)
        .min()
        .map(|(_, known)| known.clone())
}

#[cfg(test)]
mod tests;
