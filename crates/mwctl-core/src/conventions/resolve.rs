//! From documents and repositories to the resolved stack, or to everything that is wrong.
//!
//! ```text
//! members ──recognise, merge──→ drafts ──facts, ports──→ contexts ──templates──→ services ──needs──→ Stack
//! ```
//! A draft knows its keys and facts but nothing of its neighbours; a service's templates may use the
//! neighbours' hosts and ports, so all drafts come before the first service.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::catalogue::Catalogue;
use super::check::Check;
use super::document::{self, Document};
use super::members::{self, Described, Member};
use super::node::Node;
use super::repository::{Files, Repository};
use super::template::Context;
use super::{config, convert, draft, needs};
use crate::model::{Service, Stack};
use crate::name::{self, ServiceName, StackName};
use crate::problem::Problem;

/// The release where a stack names none.
const RELEASE: &str = "local";

/// Everything that `resolve` may look at.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The shipped conventions, from [`super::shipped`].
    pub shipped: &'a [Document],
    /// The folder's own documents.
    pub own: &'a [Document],
    /// The folder; `source` keys are relative to it, and its name is the last resort for a name.
    pub directory: &'a Path,
    /// The repositories of [`super::sources`] that are there.
    pub repositories: &'a [Repository],
    /// Values of the variables that [`super::environment`] names, as far as they are set.
    pub environment: &'a BTreeMap<String, String>,
}

/// Resolves a folder to its stack, or says everything that is wrong with it.
pub fn resolve(input: &Input<'_>) -> Result<Stack, Vec<Problem>> {
    let mut problems = Vec::new();
    let stack = build(input, &mut problems);
    problems.sort();
    problems.dedup();
    match stack {
        Some(stack) if problems.is_empty() => Ok(stack),
        _ => Err(problems),
    }
}

fn build(input: &Input<'_>, problems: &mut Vec<Problem>) -> Option<Stack> {
    let catalogue = Catalogue::new(input.shipped, input.own, problems);
    let described = members::described(input.own, input.directory, problems);
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
    add_needed(&maker, &mut drafts, problems);
    distinct(&drafts, problems);
    let stack = header(&described, &drafts, &release, input.directory, problems)?;
    let endpoints: Vec<Endpoint> = drafts
        .iter()
        .map(|draft| Endpoint::of(draft, &stack))
        .collect();
    let mut services = BTreeMap::new();
    for draft in drafts {
        let needs = draft.needs.clone();
        if let Some(mut service) = service(draft, &stack, &endpoints, input, problems) {
            service.needs = needs::convert(&needs);
            services.insert(service.name.clone(), service);
        }
    }
    Some(Stack { services, ..stack })
}

/// Adds the services that are needed and not described, where a convention of that name needs no
/// source.
fn add_needed<'a>(
    maker: &draft::Maker<'a>,
    drafts: &mut Vec<draft::Draft<'a>>,
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
            .filter(|need| maker.catalogue.needs_no_source(&need.service))
            .map(|need| (need.service.clone(), need.at.clone()))
            .collect();
        for (name, at) in wanted {
            let member = Member {
                name: Some(name.clone()),
                layer: Node::empty(at.clone()),
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
    needs::check(drafts, &maker.catalogue.without_source(), problems);
}

fn distinct(drafts: &[draft::Draft<'_>], problems: &mut Vec<Problem>) {
    for (index, draft) in drafts.iter().enumerate() {
        if drafts[..index].iter().any(|other| other.name == draft.name) {
            let message = format!("two services are called `{}`", draft.name);
            let problem = Problem::new(message).hint("give one of them another `name`");
            problems.push(problem.at(draft.at.location()));
        }
    }
}

/// The stack without its services.
fn header(
    described: &Described<'_>,
    drafts: &[draft::Draft<'_>],
    release: &str,
    directory: &Path,
    problems: &mut Vec<Problem>,
) -> Option<Stack> {
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
            let mut problem = Problem::new(error.to_string());
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
        None => stack_name.clone(),
    };
    let release = named("/release", release);
    Some(Stack {
        name: stack_name?,
        namespace: namespace?.to_string(),
        release: release?.to_string(),
        services: BTreeMap::new(),
    })
}

/// What other services' templates may know of a service.
struct Endpoint {
    name: ServiceName,
    value: Value,
}

impl Endpoint {
    fn of(draft: &draft::Draft<'_>, stack: &Stack) -> Self {
        let host = format!("{}-{}", draft.name, stack.release);
        let mut value = json!({ "name": draft.name, "host": host });
        let context = Context::new(context(draft, stack, &value, &[]));
        if let Some(first) = draft.spec.pointer("/container/ports/0") {
            // Its problems come again when the whole service is rendered, so none is lost here.
            let first = context.render(first, &mut Vec::new());
            let scheme = first.get("name").and_then(Node::text).unwrap_or("http");
            let port = first.get("port").map(|port| port.value(true));
            let port = port.and_then(|port| port.as_u64().or_else(|| port.as_str()?.parse().ok()));
            if let Some(port) = port {
                value["port"] = json!(port);
                value["url"] = json!(format!("{scheme}://{host}:{port}"));
            }
        }
        Self {
            name: draft.name.clone(),
            value,
        }
    }
}

/// What a service's templates may refer to.
fn context(
    draft: &draft::Draft<'_>,
    stack: &Stack,
    service: &Value,
    endpoints: &[Endpoint],
) -> Value {
    let mut services = Map::new();
    for endpoint in endpoints {
        // A hyphen is a minus in a template, so that each name can be written with underscores too.
        services.insert(
            endpoint.name.as_str().replace('-', "_"),
            endpoint.value.clone(),
        );
        services.insert(endpoint.name.to_string(), endpoint.value.clone());
    }
    json!({
        "service": service,
        "services": services,
        "facts": draft.facts,
        "stack": { "name": stack.name, "namespace": stack.namespace },
        "release": stack.release,
    })
}

fn service(
    draft: draft::Draft<'_>,
    stack: &Stack,
    endpoints: &[Endpoint],
    input: &Input<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Service> {
    if !draft.complete {
        return None;
    }
    let own = endpoints
        .iter()
        .find(|endpoint| endpoint.name == draft.name)?;
    let context = Context::new(context(&draft, stack, &own.value, endpoints));
    let before = problems.len();
    let tree = draft.render(&context, problems);
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
    let files = Files::new(draft.repository);
    let assembled = config::assemble(&spec, &files, &mut check);
    problems.extend(files.into_problems());
    let (config, started_from) = assembled.unzip();
    let mut evidence = draft.evidence;
    evidence.extend(started_from.flatten());
    let version = draft.facts.get("version").map(|value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), ToOwned::to_owned)
    });
    let given = convert::Given {
        name: draft.name,
        convention: draft.convention,
        source: draft.source,
        version,
        evidence,
        config,
        settings_as_variables: config::settings_as_variables(&tree),
        environment: input.environment,
    };
    let service = convert::service(given, spec, &mut check);
    problems.extend(check.problems);
    Some(service)
}

#[cfg(test)]
mod tests;
