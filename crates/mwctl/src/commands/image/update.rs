//! `mwctl image update`: looks bases up anew, builds and tests what depends on them, and records them.

mod dependents;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use mwctl_core::cluster::Choice;
use mwctl_core::lock::{FILE, Lock, LockedBase};
use mwctl_core::name::ServiceName;
use mwctl_engine::bases::{Circle, Finder, LookError, Meaning, Used, maker, ordered, upon, used};
use mwctl_engine::images::Progress;
use mwctl_engine::images::oci::architecture;
use mwctl_engine::kube::observe;
use mwctl_engine::workspace::{Workspace, write_lock};
use serde::Serialize;

use self::dependents::Dependents;
use super::outdated::{finder, short, unknown, unread};
use crate::args::{Deploy, Test, Up, UpdateBases};
use crate::commands::{test, up};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::{Invocation, unreachable};
use crate::ui::style::{bold, dim, good};

/// What an update did, or would do.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    /// Whether the lock was written.
    written: bool,
    /// The bases that mean something else than before.
    changes: Vec<Change>,
    /// Bases that nothing is built upon any more.
    forgotten: Vec<String>,
}

/// A base that means something else than was recorded, or wasn't recorded.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    #[serde(rename = "ref")]
    reference: String,
    /// The services that are built upon it.
    services: BTreeSet<ServiceName>,
    /// What was recorded.
    before: Option<String>,
    /// What is recorded now.
    digest: String,
    /// The packages that differ.
    packages: Vec<PackageChange>,
}

/// A package that differs.
#[derive(Serialize)]
struct PackageChange {
    package: String,
    before: Option<String>,
    now: Option<String>,
}

pub(super) async fn run(run: &Invocation, arguments: &UpdateBases) -> Result<Exit, CommandError> {
    up::fetch_for(run, &run.directory(), &|text| run.ui.say(&text)).await?;
    let workspace = run.workspace()?;
    let used = used(&workspace.stack).map_err(unread)?;
    let meant = chosen(&used, &arguments.bases)?;
    let finder = finder(run, &arguments.plain_http, arguments.offline);
    if arguments.dry_run {
        let answer = look(&finder, &workspace, &meant).await.map_err(unknown)?;
        run.ui.answer(&answer, || text(&answer));
        return Ok(Exit::Success);
    }
    let dependents = Dependents {
        run,
        finder: &finder,
        stack: &workspace.stack,
        used: &used,
        old: &workspace.lock,
    };
    let begun = begin(run, &dependents, &meant, !arguments.no_build).await?;
    let (mut lock, mut answer, order) = begun;
    if arguments.bases.is_empty() {
        answer.forgotten = forget(&mut lock, &used);
    }
    if lock == *workspace.lock && order.is_empty() {
        run.ui.answer(&answer, || text(&answer));
        return Ok(Exit::Success);
    }
    let mut named = Vec::new();
    if !arguments.no_build {
        let built = dependents.build(&order, &mut lock, &mut answer).await;
        named = built.map_err(unchanged)?;
    }
    let fresh = Workspace {
        lock: Arc::new(lock),
        ..workspace.clone()
    };
    if !arguments.no_build && !arguments.no_test {
        tests(run, &fresh, &order).await.map_err(unchanged)?;
    }
    write(&fresh)?;
    answer.written = true;
    run.ui.answer(&answer, || text(&answer));
    let rolls_out = !arguments.no_build && !arguments.no_deploy;
    let exit = if rolls_out && (arguments.deploy || is_deployed(run, &workspace).await?) {
        deploy(run, &workspace).await?
    } else {
        Exit::Success
    };
    // Now that the lock stays.
    dependents.name(&named).await?;
    Ok(exit)
}

/// Records what can be known before anything is built, and says what has to be built in which order. Images of the
/// stack's own services that are going to be built are recorded when that is done.
async fn begin(
    run: &Invocation,
    dependents: &Dependents<'_>,
    meant: &Used,
    builds: bool,
) -> Result<(Lock, Answer, Vec<ServiceName>), CommandError> {
    let Dependents {
        finder,
        stack,
        used,
        old,
        ..
    } = dependents;
    let (mut own, mut others) = (meant.clone(), meant.clone());
    own.retain(|name, _| maker(stack, name).is_some());
    others.retain(|name, _| !own.contains_key(name));
    let (mut lock, mut answer) = record(run, finder, old, &others).await.map_err(unknown)?;
    let mut changed = answer.services();
    if builds {
        changed.extend(dependents.unmade(&own).await.map_err(unknown)?);
    }
    let upon = upon(stack, used);
    let order = |changed: &BTreeSet<ServiceName>| ordered(&upon, changed).map_err(in_a_circle);
    let anew = order(&changed)?;
    let comes = |name: &str| maker(stack, name).is_some_and(|(it, _)| anew.contains(&it.name));
    own.retain(|name, _| !builds || !comes(name));
    let (more, rest) = record(run, finder, &lock, &own).await.map_err(unknown)?;
    lock = more;
    changed.extend(rest.services());
    answer.changes.extend(rest.changes);
    let order = order(&changed)?;
    Ok((lock, answer, order))
}

fn in_a_circle(circle: Circle) -> CommandError {
    CommandError::failure(circle)
        .hint("let one of them stand upon an image that is none of the stack's")
}

/// The bases that are meant.
fn chosen(used: &Used, named: &[String]) -> Result<Used, CommandError> {
    if named.is_empty() {
        return Ok(used.clone());
    }
    let find = |name: &String| {
        let whole = mwctl_engine::image::whole(name).map_err(CommandError::usage)?;
        let found = used.get_key_value(&whole);
        let (name, services) = found.ok_or_else(|| {
            let bases: Vec<&str> = used.keys().map(String::as_str).collect();
            CommandError::usage(format!("no service is built upon `{whole}`"))
                .hint(format!("the bases are: {}", bases.join(", ")))
        })?;
        Ok((name.clone(), services.clone()))
    };
    named.iter().map(find).collect()
}

fn platform() -> String {
    format!("linux/{}", architecture())
}

/// What a name means now; `None` where nobody is to be asked and what is recorded is all that is known.
async fn meaning(
    finder: &Finder,
    name: &str,
    recorded: Option<&LockedBase>,
) -> Result<Option<Meaning>, LookError> {
    match finder.meaning(name, recorded).await {
        Err(LookError::Nowhere { .. }) if finder.offline && recorded.is_some() => Ok(None),
        other => other.map(Some),
    }
}

/// What would be recorded, by digests alone: nothing is fetched, and nothing is built of which others are built.
async fn look(finder: &Finder, workspace: &Workspace, chosen: &Used) -> Result<Answer, LookError> {
    let mut answer = Answer::empty();
    for (name, services) in chosen {
        let before = workspace.lock.get(name, &platform());
        let meaning = match meaning(finder, name, before).await {
            Err(LookError::Nowhere { .. }) if maker(&workspace.stack, name).is_some() => None,
            other => other?,
        };
        let Some(meaning) = meaning else {
            continue;
        };
        if before.is_none_or(|before| before.digest != meaning.digest) {
            answer.changes.push(Change {
                reference: name.clone(),
                services: services.clone(),
                before: before.map(|before| before.digest.clone()),
                digest: meaning.digest,
                packages: Vec::new(),
            });
        }
    }
    Ok(answer)
}

/// Looks the bases up, all of them before any is fetched, and says what the new lock is.
async fn record(
    run: &Invocation,
    finder: &Finder,
    old: &Lock,
    chosen: &Used,
) -> Result<(Lock, Answer), LookError> {
    let mut meanings = Vec::new();
    for (name, services) in chosen {
        if let Some(meaning) = meaning(finder, name, old.get(name, &platform())).await? {
            meanings.push((name, services, meaning));
        }
    }
    let mut lock = old.clone();
    let mut answer = Answer::empty();
    for (name, services, meaning) in meanings {
        let report = |progress| {
            if let Progress::Found { layers, bytes } = progress
                && layers > 0
            {
                let size = super::show::size(bytes);
                run.ui
                    .say(&dim(&format!("{name}: {layers} layers, {size}")));
            }
        };
        let base = finder.record(name, meaning, &report).await?;
        let before = old.get(name, &platform());
        if before.is_some_and(|before| before.says_the_same(&base)) {
            continue;
        }
        answer.changes.extend(change(before, &base, services));
        lock.set(base);
    }
    Ok((lock, answer))
}

/// What changes for the services; nothing where only other platforms' images have.
fn change(
    before: Option<&LockedBase>,
    now: &LockedBase,
    services: &BTreeSet<ServiceName>,
) -> Option<Change> {
    if before.is_some_and(|before| before.digest == now.digest) {
        return None;
    }
    let packages = before.map_or_else(Vec::new, |before| {
        let (old, new) = (&before.packages, &now.packages);
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let differ = names
            .into_iter()
            .filter(|name| old.get(*name) != new.get(*name));
        let changes = differ.map(|name| PackageChange {
            package: name.clone(),
            before: old.get(name).cloned(),
            now: new.get(name).cloned(),
        });
        changes.collect()
    });
    Some(Change {
        reference: now.reference.clone(),
        services: services.clone(),
        before: before.map(|before| before.digest.clone()),
        digest: now.digest.clone(),
        packages,
    })
}

/// Forgets what nothing is built upon any more.
fn forget(lock: &mut Lock, used: &Used) -> Vec<String> {
    let unused = lock
        .bases()
        .filter(|base| !used.contains_key(&base.reference));
    let unused: Vec<(String, String)> = unused
        .map(|base| (base.reference.clone(), base.platform.clone()))
        .collect();
    for (name, platform) in &unused {
        lock.remove(name, platform);
    }
    let names: BTreeSet<String> = unused.into_iter().map(|(name, _)| name).collect();
    names.into_iter().collect()
}

/// Runs the tests of those that have any.
async fn tests(
    run: &Invocation,
    workspace: &Workspace,
    dependents: &[ServiceName],
) -> Result<(), CommandError> {
    for name in dependents {
        if workspace.stack.services[name].test.is_none() {
            continue;
        }
        run.ui
            .say(&format!("{} {}", bold(name.as_str()), dim("test")));
        let arguments = Test {
            service: name.to_string(),
            keep: false,
            no_dependencies: false,
            timeout: Duration::from_mins(30),
            command: Vec::new(),
        };
        let exit = Box::pin(test::tests(run, workspace, &arguments)).await?;
        if exit.code() != 0 {
            let text = format!("the tests of `{name}` fail upon the new base");
            return Err(CommandError::failure(text));
        }
    }
    Ok(())
}

/// The same error, which leaves the old lock as it is.
fn unchanged(error: CommandError) -> CommandError {
    error.hint(format!(
        "`{FILE}` is as it was, and so is all that was deployed"
    ))
}

fn write(workspace: &Workspace) -> Result<(), CommandError> {
    write_lock(&workspace.root, &workspace.lock).map_err(|error| {
        let path = workspace.root.join(FILE);
        CommandError::environment(format!("cannot write `{}`: {error}", path.display()))
    })
}

/// Whether the stack is in the cluster that this run works on; where none runs, it isn't.
async fn is_deployed(run: &Invocation, workspace: &Workspace) -> Result<bool, CommandError> {
    let found = run.clusters().await?;
    let Ok(Choice::Context(context, _)) = run.choose(&found) else {
        return Ok(false);
    };
    let stack = &workspace.stack;
    let cluster = run.cluster(&context, &stack.namespace).await?;
    let observed = observe::stack(&cluster, stack.name.as_str()).await;
    let observed = observed.map_err(|error| unreachable(error, &context.name))?;
    Ok(!observed.objects.is_empty())
}

/// Deploys the stack, and takes the old lock back where that fails.
async fn deploy(run: &Invocation, before: &Workspace) -> Result<Exit, CommandError> {
    let arguments = Up {
        deploy: Deploy {
            services: Vec::new(),
            no_prune: false,
            adopt: false,
        },
        wait: true,
        no_wait: false,
        rollback: true,
        timeout: Duration::from_mins(5),
    };
    let deployed = Box::pin(up::run(run, &arguments)).await;
    if deployed.is_err() {
        if before.lock.is_empty() {
            // There was none, or an empty one, which is as good.
            drop(std::fs::remove_file(before.root.join(FILE)));
        } else {
            write(before)?;
        }
        run.ui.say(&format!("`{FILE}` is as it was"));
    }
    deployed
}

impl Answer {
    fn empty() -> Self {
        Self {
            written: false,
            changes: Vec::new(),
            forgotten: Vec::new(),
        }
    }

    /// The services whose bases have changed.
    fn services(&self) -> BTreeSet<ServiceName> {
        let services = self.changes.iter().flat_map(|change| &change.services);
        services.cloned().collect()
    }
}

fn text(answer: &Answer) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        let _infallible = writeln!(text, "{line}");
    };
    for change in &answer.changes {
        let services: Vec<&str> = change.services.iter().map(ServiceName::as_str).collect();
        let services = dim(&format!("({})", services.join(", ")));
        line(format!("{} {services}", bold(&change.reference)));
        let new = short(&change.digest);
        line(match &change.before {
            Some(before) => format!("  image {} → {new}", short(before)),
            None => format!("  image {new}"),
        });
        for PackageChange {
            package,
            before,
            now,
        } in &change.packages
        {
            line(match (before, now) {
                (Some(before), Some(now)) => format!("  {package} {before} → {now}"),
                (Some(before), None) => format!("  {package} {before} is gone"),
                (None, now) => format!("  {package} {} is new", now.as_deref().unwrap_or_default()),
            });
        }
    }
    for name in &answer.forgotten {
        line(format!("{} {}", bold(name), dim("is no base any more")));
    }
    if answer.written {
        line(good(&format!("wrote {FILE}")));
    } else if answer.changes.is_empty() {
        line("nothing is newer than what is recorded".to_owned());
    }
    text
}
