//! From documents and repositories to the resolved stack, or to everything that is wrong.
//!
//! ```text
//! members ──recognise, merge──→ drafts ──facts, ports──→ contexts ──templates──→ services ──needs──→ Stack
//! ```
//! A draft knows its keys and facts but nothing of its neighbours; a service's templates may use the
//! neighbours' hosts and ports, so all drafts come before the first service.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::catalogue::Catalogue;
use super::check::Check;
use super::document::{self, Document};
use super::explain::{self, Explanation, Trace};
use super::members::{self, Described, Member};
use super::node::Node;
use super::repository::Repository;
use super::template::{self, Context, Known, known};
use super::{config, convert, draft, facts, needs, stacks, traps};
use crate::model::{Admission, Service, Stack};
use crate::name::{self, ServiceName, StackName};
use crate::problem::{Problem, Rule};

/// The release where a stack names none.
const RELEASE: &str = "local";

/// Everything that `resolve` may look at.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The shipped conventions, from [`super::shipped()`].
    pub shipped: &'a [Document],
    /// The folder's own documents.
    pub own: &'a [Document],
    /// The folder; `source` keys are relative to it, and its name is the last resort for a name.
    pub directory: &'a Path,
    /// The repositories of [`super::sources`] that are there.
    pub repositories: &'a [Repository],
    /// Values of the variables that [`super::environment`] names, as far as they are set.
    pub environment: &'a BTreeMap<String, String>,
    /// The profiles that are asked for.
    pub profiles: &'a BTreeSet<String>,
    /// The texts of [`super::manifests`], by their paths.
    pub manifests: &'a BTreeMap<PathBuf, String>,
    /// What is put behind the stack's name to give the namespace, where none is stated: a checkout
    /// of which there are several has a namespace of its own.
    pub suffix: Option<&'a str>,
}

/// Resolves a folder to its stack, or says everything that is wrong with it.
pub fn resolve(input: &Input<'_>) -> Result<Stack, Vec<Problem>> {
    resolved(input).map(|resolved| resolved.stack)
}

/// Resolves a folder and says where everything about its services comes from, or everything that is
/// wrong with it.
pub fn explain(input: &Input<'_>) -> Result<Vec<Explanation>, Vec<Problem>> {
    resolved(input).map(|resolved| resolved.traces.iter().map(explain::explanation).collect())
}

/// A stack, and how it came to be.
struct Resolved {
    stack: Stack,
    traces: Vec<Trace>,
}

fn resolved(input: &Input<'_>) -> Result<Resolved, Vec<Problem>> {
    let mut problems = Vec::new();
    let resolved = build(input, &mut problems);
    problems.sort();
    problems.dedup();
    match resolved {
        Some(resolved) if problems.is_empty() => Ok(resolved),
        _ => Err(problems),
    }
}

fn build(input: &Input<'_>, problems: &mut Vec<Problem>) -> Option<Resolved> {
    let catalogue = Catalogue::new(input.shipped, input.own, problems);
    let described = members::described(input.own, input.directory, input.profiles, problems);
    let release = described
        .stack
        .as_ref()
        .and_then(|(stack, _)| stack.release.clone());
    let release = release.unwrap_or_else(|| RELEASE.to_owned());
    let mut drafts: Vec<draft::Draft<'_>> = Vec::new();
    let maker = draft::Maker {
        input,
        catalogue: &catalogue,
        release: &release,
    };
    for member in &described.members {
        if let Some(draft) = maker.draft(member, problems) {
            drafts.push(draft);
        }
    }
    for draft in 0..drafts.len() {
        for job in drafts[draft].jobs(problems) {
            // Whoever describes a service of that name means this one, and says all about it.
            if drafts.iter().all(|other| other.name != job.name) {
                drafts.push(job);
            }
        }
    }
    add_needed(&maker, &mut drafts, &described.left_out, problems);
    distinct(&drafts, problems);
    let stack = header(&described, &drafts, &release, input, problems)?;
    let endpoints: Vec<Endpoint> = drafts
        .iter()
        .map(|draft| Endpoint::of(draft, &stack))
        .collect();
    let mut services = BTreeMap::new();
    let mut traces = Vec::new();
    let shared: Vec<_> = drafts.iter().flat_map(stacks::shared).collect();
    let neighbours = neighbours(&endpoints);
    for (draft, endpoint) in drafts.into_iter().zip(&endpoints) {
        let needs = needs::convert(&draft.needs);
        let context = context(&draft, &stack, endpoint, neighbours.clone());
        if let Some((mut service, trace)) = service(draft, &context, input, problems) {
            service.needs = needs;
            services.insert(service.name.clone(), service);
            traces.push(trace);
        }
    }
    traces.sort_by(|one, other| one.name.cmp(&other.name));
    let stack = Stack { services, ..stack };
    let mut stack = match &described.stack {
        Some((header, tree)) => stacks::completed(stack, header, tree, problems),
        None => stack,
    };
    stack.manifests = stacks::raw(input.manifests, problems);
    stacks::shared_secrets(&stack, &shared, problems);
    Some(Resolved { stack, traces })
}

/// Adds the services that are needed and not described, where a convention of that name needs no
/// source.
fn add_needed<'a>(
    maker: &draft::Maker<'a>,
    drafts: &mut Vec<draft::Draft<'a>>,
    left_out: &BTreeMap<String, Vec<String>>,
    problems: &mut Vec<Problem>,
) {
    let mut index = 0;
    while index < drafts.len() {
        let wanted: Vec<_> = drafts[index]
            .needs
            .iter()
            .filter(|need| {
                !drafts
                    .iter()
                    .any(|draft| draft.name.as_str() == need.service)
            })
            .filter(|need| !left_out.contains_key(&need.service))
            .filter(|need| maker.catalogue.needs_no_source(&need.service))
            .map(|need| (need.service.clone(), need.at.clone()))
            .collect();
        for (name, at) in wanted {
            let member = Member {
                name: Some(name.clone()),
                layers: Vec::new(),
                convention: Some((name, at.clone())),
                at,
                listed: true,
            };
            if !drafts
                .iter()
                .any(|draft| Some(draft.name.as_str()) == member.name.as_deref())
            {
                drafts.extend(maker.draft(&member, problems));
            }
        }
        index += 1;
    }
    needs::check(
        drafts,
        &|| maker.catalogue.without_source(),
        left_out,
        problems,
    );
}

fn distinct(drafts: &[draft::Draft<'_>], problems: &mut Vec<Problem>) {
    for (index, draft) in drafts.iter().enumerate() {
        if drafts[..index].iter().any(|other| other.name == draft.name) {
            let message = format!("two services are called `{}`", draft.name);
            let problem = Problem::new(message)
                .rule(Rule::DuplicateName)
                .hint("give one of them another `name`");
            problems.push(problem.at(draft.at.location()));
        }
    }
}

/// The stack without its services.
fn header(
    described: &Described<'_>,
    drafts: &[draft::Draft<'_>],
    release: &str,
    input: &Input<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Stack> {
    let directory = input.directory;
    let folder = || {
        directory
            .file_name()
            .and_then(|it| name::slug(&it.to_string_lossy()))
    };
    let (name, namespace) = match &described.stack {
        Some((stack, _)) => (stack.name.clone(), stack.namespace.clone()),
        None => match described.members.as_slice() {
            [_] => (drafts.first()?.name.to_string(), None),
            _ => (folder().unwrap_or_else(|| "stack".to_owned()), None),
        },
    };
    let mut named = |key: &str, text: &str| match StackName::new(text) {
        Ok(name) => Some(name),
        Err(error) => {
            let mut problem = Problem::new(error.to_string()).rule(Rule::Name);
            problem.location = described
                .stack
                .as_ref()
                .map(|(_, tree)| tree.place(key).location());
            problems.push(problem);
            None
        }
    };
    let stack_name = named("/name", &name);
    let namespace = match namespace {
        Some(namespace) => named("/namespace", &namespace),
        None => match input.suffix {
            Some(suffix) => named("/name", &format!("{name}-{suffix}")),
            None => stack_name.clone(),
        },
    };
    let release = named("/release", release);
    Some(Stack {
        name: stack_name?,
        namespace: namespace?.to_string(),
        release: release?.to_string(),
        admission: Admission::default(),
        services: BTreeMap::new(),
        manifests: Vec::new(),
    })
}

/// What templates may know of a service, those of its neighbours too.
struct Endpoint {
    name: ServiceName,
    known: Known,
}

impl Endpoint {
    fn of(draft: &draft::Draft<'_>, stack: &Stack) -> Self {
        let host = format!("{}-{}", draft.name, stack.release);
        let mut value = json!({ "name": draft.name, "host": host });
        let mut endpoint = Self {
            name: draft.name.clone(),
            known: known(&value),
        };
        let context = context(draft, stack, &endpoint, neighbours(&[]));
        if let Some(first) = draft.spec.pointer("/container/ports/0") {
            // Its problems come again when the whole service is rendered, so none is lost here.
            let first = context.render(first, &mut Vec::new());
            let scheme = first.get("name").and_then(Node::text).unwrap_or("http");
            let port = first.get("port").map(|port| port.value(true));
            let port = port.and_then(|port| port.as_u64().or_else(|| port.as_str()?.parse().ok()));
            if let Some(port) = port {
                value["port"] = json!(port);
                value["url"] = json!(format!("{scheme}://{host}:{port}"));
                endpoint.known = known(&value);
            }
        }
        endpoint
    }
}

/// All services by their names. A hyphen is a minus in a template, so that each name can be written with
/// underscores too.
fn neighbours(endpoints: &[Endpoint]) -> Known {
    let names = endpoints.iter().flat_map(|endpoint| {
        let spoken = endpoint.name.as_str().replace('-', "_");
        [spoken, endpoint.name.to_string()].map(|name| (name, endpoint.known.clone()))
    });
    template::map(names)
}

/// What a service's templates may refer to.
fn context(
    draft: &draft::Draft<'_>,
    stack: &Stack,
    endpoint: &Endpoint,
    services: Known,
) -> Context {
    let mut helpers = Map::new();
    for entry in draft
        .spec
        .get("helpers")
        .map(Node::entries)
        .unwrap_or_default()
    {
        let port = entry
            .value
            .pointer("/ports/0/port")
            .map(|port| port.value(true));
        let helper = json!({ "port": port });
        helpers.insert(entry.key.replace('-', "_"), helper.clone());
        helpers.insert(entry.key.clone(), helper);
    }
    Context::new([
        ("service", endpoint.known.clone()),
        ("services", services),
        ("helpers", known(&helpers)),
        ("facts", known(&facts::values(&draft.facts))),
        (
            "stack",
            known(&json!({ "name": stack.name, "namespace": stack.namespace })),
        ),
        ("release", known(&stack.release)),
    ])
}

fn service(
    draft: draft::Draft<'_>,
    context: &Context,
    input: &Input<'_>,
    problems: &mut Vec<Problem>,
) -> Option<(Service, Trace)> {
    if !draft.complete {
        return None;
    }
    let before = problems.len();
    let tree = draft.render(context, problems);
    let spec = match document::spec(&tree) {
        Ok(spec) => spec,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    if problems.len() > before {
        return None;
    }
    let mut check = Check::new(&tree);
    traps::check(&mut check);
    let assembled = config::assemble(&spec, &draft.files, &mut check);
    problems.extend(draft.files.take_problems());
    let (config, started_from) = assembled.unzip();
    let mut evidence = draft.evidence.clone();
    evidence.extend(started_from.flatten());
    let version = draft.facts.iter().find(|fact| fact.name == "version");
    let version = version.map(|fact| match &fact.value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let given = convert::Given {
        name: draft.name.clone(),
        convention: draft.convention.clone(),
        source: draft.source,
        version,
        evidence,
        config,
        settings_as_variables: config::settings_as_variables(&tree),
        environment: input.environment,
    };
    let service = convert::service(given, spec, &mut check);
    problems.extend(check.problems);
    let trace = Trace {
        name: draft.name,
        convention: draft.convention,
        named: draft.named,
        evidence: service.evidence.clone(),
        layers: draft.layers,
        spec: draft.spec,
        rendered: tree,
        facts: draft.facts,
        notes: draft.notes,
    };
    Some((service, trace))
}

#[cfg(test)]
mod tests;
