//! Disposable clusters: made for a test or a try, served by a process of `mwctl`, gone with it.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use mwctl_core::cluster::EMBEDDED;
use mwctl_engine::cluster::servers;
use mwctl_engine::embedded::{
    self, ClaimError, CreateError, Known, Lease, NodeOptions, Options, ServeError,
};
use serde::Serialize;

use crate::args::{Allowed, Disposable, Grade};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::ui::style::{accent, dim};

/// What is told of one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    pub(super) name: String,
    pub(super) context: String,
    pub(super) kubeconfig: PathBuf,
    #[serde(flatten)]
    lease: Lease,
}

impl From<Known> for Told {
    fn from(known: Known) -> Self {
        Self {
            context: embedded::context(&known.name),
            name: known.name,
            kubeconfig: known.kubeconfig,
            lease: known.lease,
        }
    }
}

#[derive(Serialize)]
struct Deleted<'a> {
    deleted: &'a [String],
}

/// How a cluster is served, as the command line says it.
pub(super) fn options(
    run: &Invocation,
    disposable: &Disposable,
    ttl: Option<Duration>,
    persist: bool,
) -> Result<Options, CommandError> {
    let environment = &run.environment;
    let allowed = &disposable.allowed;
    if !allowed.is_empty() && disposable.grade != Grade::Node {
        let message = "without a node there are no pods that could have anything of this machine";
        return Err(CommandError::usage(message).hint("add `--grade node`"));
    }
    let mountable = folders(&allowed.host_folders)?;
    let node = (disposable.grade == Grade::Node).then(|| NodeOptions {
        images: environment.image_store.clone(),
        accounts: environment.accounts.clone(),
        mountable,
        host_ports: allowed.host_ports.iter().cloned().collect(),
        checkouts: None,
        // A file that is broken names no server; whoever chooses a cluster is told so.
        refused: servers(&environment.kubeconfig).unwrap_or_default(),
    });
    Ok(Options {
        simulate_pods: disposable.simulate_pods,
        ttl,
        persist,
        without_controllers: disposable.without_controllers,
        node,
    })
}

/// Folders as they are named from anywhere; one that isn't there is refused.
fn folders(named: &[PathBuf]) -> Result<Vec<PathBuf>, CommandError> {
    let whole = |folder: &PathBuf| {
        let found = folder.canonicalize().and_then(|path| {
            if path.is_dir() {
                Ok(path)
            } else {
                Err(std::io::ErrorKind::NotADirectory.into())
            }
        });
        found.map_err(|error| {
            let message = format!("pods can't mount from `{}`: {error}", folder.display());
            CommandError::usage(message)
        })
    };
    named.iter().map(whole).collect()
}

/// Where it is remembered what pods of the embedded cluster may have of this machine.
fn remembered(run: &Invocation) -> PathBuf {
    let data = run.disposable().data(EMBEDDED);
    data.with_file_name(format!("{EMBEDDED}.allowed.json"))
}

/// Remembers what pods of the embedded cluster may have of this machine, in the place of what was said before; nothing changes that.
pub(super) fn allow(run: &Invocation, allowed: &Allowed) -> Result<(), CommandError> {
    if allowed.is_empty() {
        return Ok(());
    }
    if run.disposable().find(EMBEDDED).is_some() {
        let message = "the embedded cluster runs already, with what was allowed before";
        let hint = "mwctl cluster stop embedded, and the same again";
        return Err(CommandError::environment(message).hint(hint));
    }
    let whole = Allowed {
        host_folders: folders(&allowed.host_folders)?,
        ..allowed.clone()
    };
    let file = remembered(run);
    let text = serde_json::to_vec(&whole).map_err(CommandError::internal)?;
    let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    let written = folder.and_then(|()| std::fs::write(&file, text));
    written.map_err(|error| {
        CommandError::environment(format!("cannot write `{}`: {error}", file.display()))
    })
}

/// What was remembered; nothing where there is nothing that can be read.
fn allowed(run: &Invocation) -> Allowed {
    let text = std::fs::read(remembered(run)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn claim(error: ClaimError) -> CommandError {
    match &error {
        ClaimError::Name(_) => CommandError::usage(error),
        ClaimError::Taken(name) => {
            let hint = format!("mwctl cluster delete {name}");
            CommandError::environment(error).hint(hint)
        }
        ClaimError::Folder { .. } => CommandError::environment(error),
    }
}

fn not_served(error: ServeError) -> CommandError {
    match error {
        ServeError::Claim(error) => claim(error),
        error => CommandError::environment(error),
    }
}

/// The disposable clusters.
pub(super) fn list(run: &Invocation) -> Result<Vec<Known>, CommandError> {
    run.disposable().list().map_err(claim)
}

fn find(run: &Invocation, name: &str) -> Result<Known, CommandError> {
    let names: Vec<String> = list(run)?.into_iter().map(|known| known.name).collect();
    run.disposable().find(name).ok_or_else(|| {
        let error = CommandError::environment(format!("there is no disposable cluster `{name}`"));
        match names.as_slice() {
            [] => error.hint(format!("mwctl cluster create {name}")),
            names => error.hint(format!("there are: {}", names.join(", "))),
        }
    })
}

pub(super) async fn create(
    run: &Invocation,
    name: &str,
    options: Options,
) -> Result<Exit, CommandError> {
    let told = Told::from(detached(run, name, options).await?);
    run.ui.answer(&told, || {
        let kubeconfig = told.kubeconfig.display();
        format!("{}\n", accent(&format!("export KUBECONFIG='{kubeconfig}'")))
    });
    let gone = format!("mwctl cluster delete {name}");
    run.ui
        .say(&format!("{} {}", dim("remove it with"), accent(&gone)));
    Ok(Exit::Success)
}

/// Starts the embedded cluster that is there for whoever has no other, with the objects it had.
pub(crate) async fn start_embedded(run: &Invocation) -> Result<(), CommandError> {
    let wanted = Disposable {
        grade: Grade::Node,
        simulate_pods: false,
        without_controllers: false,
        allowed: allowed(run),
    };
    let options = options(run, &wanted, None, true)?;
    let started = detached(run, EMBEDDED, options).await;
    started
        .map(drop)
        .map_err(|error| error.hint("mwctl doctor"))
}

/// Ends the embedded cluster where another version of this program serves it; its objects are kept.
pub(crate) async fn end_other_version(run: &Invocation) -> Result<(), CommandError> {
    let clusters = run.disposable();
    match clusters.find(EMBEDDED) {
        Some(known) if !known.lease.is_of_this_version() => {
            let ended = embedded::delete(&clusters, &known).await;
            ended.map_err(CommandError::environment)
        }
        _ => Ok(()),
    }
}

/// Ends clusters, and keeps what is kept of them.
pub(super) async fn stop(run: &Invocation, known: &Known) -> Result<Exit, CommandError> {
    let clusters = run.disposable();
    let ended = embedded::delete(&clusters, known).await;
    ended.map_err(CommandError::environment)?;
    let name = &known.name;
    run.ui.say(&if clusters.keeps(name) {
        format!("{name} is stopped; its objects are kept")
    } else {
        format!("{name} is stopped, and gone")
    });
    Ok(Exit::Success)
}

/// Lets a process of its own serve a cluster.
async fn detached(run: &Invocation, name: &str, options: Options) -> Result<Known, CommandError> {
    let clusters = run.disposable();
    // The other process would say the same, less plainly.
    clusters.check_free(name).map_err(claim)?;
    let program = std::env::current_exe().map_err(CommandError::internal)?;
    let mut arguments = vec!["cluster".to_owned(), "serve".to_owned(), name.to_owned()];
    if options.simulate_pods {
        arguments.push("--simulate-pods".to_owned());
    }
    if options.persist {
        arguments.push("--persist".to_owned());
    }
    if options.without_controllers {
        arguments.push("--without-controllers".to_owned());
    }
    if let Some(node) = &options.node {
        arguments.push("--grade=node".to_owned());
        let ports = node.host_ports.iter();
        arguments.extend(ports.map(|(name, port)| format!("--host-port={name}={port}")));
        let folders = node.mountable.iter();
        arguments.extend(folders.map(|folder| format!("--host-folder={}", folder.display())));
    }
    if let Some(ttl) = options.ttl {
        arguments.extend(["--ttl".to_owned(), format!("{}ms", ttl.as_millis())]);
    }
    let created = embedded::create(&clusters, name, &program, &arguments).await;
    created.map_err(|error| match error {
        CreateError::Claim(error) => claim(error),
        error => CommandError::environment(error),
    })
}

pub(super) async fn delete(run: &Invocation, names: &[String]) -> Result<Exit, CommandError> {
    let clusters = run.disposable();
    // All are there, or nothing is removed. Of one that was kept there may be no more than its objects.
    let known: Vec<Option<Known>> = names
        .iter()
        .map(|name| match find(run, name) {
            Err(_) if clusters.keeps(name) => Ok(None),
            found => found.map(Some),
        })
        .collect::<Result<_, _>>()?;
    for (name, known) in names.iter().zip(known) {
        if let Some(known) = known {
            let deleted = embedded::delete(&clusters, &known).await;
            deleted.map_err(CommandError::environment)?;
        }
        clusters.forget(name).map_err(claim)?;
        if name == EMBEDDED {
            drop(std::fs::remove_file(remembered(run)));
        }
    }
    run.ui.answer(&Deleted { deleted: names }, || {
        format!("deleted {}\n", names.join(", "))
    });
    Ok(Exit::Success)
}

pub(super) fn kubeconfig(run: &Invocation, name: &str) -> Result<Exit, CommandError> {
    let told = Told::from(find(run, name)?);
    run.ui
        .answer(&told, || format!("{}\n", told.kubeconfig.display()));
    Ok(Exit::Success)
}

/// Runs a command with a cluster that this process serves.
pub(super) async fn with(
    run: &Invocation,
    disposable: &Disposable,
    command: &[OsString],
) -> Result<Exit, CommandError> {
    let name = format!("run-{}", std::process::id());
    let options = options(run, disposable, None, false)?;
    let serving = embedded::serve(&run.disposable(), &name, options).await;
    let serving = serving.map_err(not_served)?;
    let terminal = std::io::stdin().is_terminal();
    let ended = embedded::run(command, &serving.claim().kubeconfig(), terminal).await;
    serving.stop().await;
    match ended {
        Ok(code) => Ok(Exit::Child(code)),
        Err(error) => {
            let program = command.first().map(|program| program.display().to_string());
            let program = program.unwrap_or_default();
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let error = CommandError::usage(format!("cannot run `{program}`: {error}"));
            run.ui.error(&error);
            Ok(if missing {
                Exit::Child(embedded::NOT_FOUND)
            } else {
                error.exit()
            })
        }
    }
}

/// Serves a cluster from this process, until somebody ends it or its time is up.
pub(super) async fn serve(
    run: &Invocation,
    name: &str,
    options: Options,
) -> Result<Exit, CommandError> {
    embedded::leave_session();
    let clusters = run.disposable();
    let ttl = options.ttl;
    let serving = embedded::serve(&clusters, name, options).await;
    let serving = serving.map_err(not_served)?;
    run.ui.print(&format!("{}\n", embedded::READY));
    let time_is_up = async {
        match ttl {
            Some(ttl) => tokio::time::sleep(ttl).await,
            None => std::future::pending().await,
        }
    };
    let lost = tokio::select! {
        () = run.interrupt.finish.cancelled() => false,
        () = time_is_up => false,
        () = serving.is_lost() => true,
        never = embedded::keep_small() => match never {},
    };
    serving.stop().await;
    if lost {
        let message =
            "the first process of all containers was killed; the next `mwctl up` starts them again";
        return Err(CommandError::environment(message));
    }
    clusters.forget_log(name);
    Ok(Exit::Success)
}
