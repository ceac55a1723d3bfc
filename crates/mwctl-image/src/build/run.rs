//! `RUN`: a program in a container whose writes are the new layer.
//!
//! It sees the machine's network, unless somebody says that it is to have none or only a way out, its names and its certificates, and
//! whatever is mounted for the step; none of that gets into the layer.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use mwctl_container::{
    Container, End, Identity, Lack, Layer as Lower, Mount as Mounting, Process, Root, Source,
    Streams, Terminal, Upper, host,
};
use rustix::pipe::{PipeFlags, pipe_with};

use super::containers::{Containers, Shell, told};
use super::files::Layer;
use super::mask::Mask;
use super::output::{self, Output};
use super::relay;
use super::state::{Inputs, State};
use super::steps::{Outcome, Place};
use super::{StepError, Told};
use crate::plan::{Mounted, Network, Run, Step, expand};
use crate::store::Log;
use crate::view::{Found, View};

/// Where what isn't the image's own is mounted: a place that no image has.
const OWN: &str = "/run/.mwctl";

/// The best shell that an image has.
const SHELL: &str = "if command -v bash > /dev/null; then exec bash; fi; exec sh";

/// A program of a step.
struct Program<'a> {
    words: Vec<String>,
    variables: &'a BTreeMap<String, String>,
    log: Option<Log>,
}

impl Place<'_> {
    pub(super) fn run(
        &self,
        state: &mut State,
        step: &Step,
        run: &Run,
    ) -> Result<Outcome, StepError> {
        let words: Vec<String> = if run.expand {
            let value = |name: &str| state.variable(name);
            let words = run.words.iter();
            words.map(|word| expand::blubber(word, &value)).collect()
        } else {
            run.words.clone()
        };
        let variables = super::steps::variables(state);
        let mut inputs = Inputs::default();
        let script = run.script.clone().unwrap_or_default();
        inputs.add("the command", format!("{words:?}\n{script}"));
        inputs.add("the user", format!("{} in {}", state.user, state.directory));
        for (name, value) in &variables {
            inputs.add(format!("the variable {name}"), value.clone());
        }
        for mount in &run.mounts {
            if let Mounted::Files { origin, source } = &mount.what {
                let key = self.origin_key(origin, source)?;
                inputs.add(format!("the mount {}", mount.target), key);
            } else {
                inputs.add(
                    format!("the mount {}", mount.target),
                    format!("{:?}", mount.what),
                );
            }
        }
        // Nothing is added for the machine's: what was made before there was a choice is known.
        if run.network == Some(Network::None) {
            inputs.add("the network", "none");
        }
        let key = inputs.key(&state.key);
        self.layer(state, step, &inputs, None, |state, layer, _| {
            let log = self.log(&key, step);
            let program = Program {
                words,
                variables: &variables,
                log,
            };
            self.in_container(state, layer, run, program)
        })
    }

    fn in_container(
        &self,
        state: &State,
        layer: &Layer<'_>,
        run: &Run,
        program: Program<'_>,
    ) -> Result<(), StepError> {
        let mut words = program.words;
        let build = self.shared.build;
        let containers = build.containers.ok_or(StepError::NoContainers)?;
        let (mut mounts, mut targets) = self.mounts(state, layer, run)?;
        let mut environment = program.variables.clone();
        let mut files = vec!["/etc/hosts"];
        match run.network {
            None | Some(Network::Host) => {
                environment.extend(containers.outside.variables.clone());
                environment.extend(self.passed_on());
                files.push("/etc/resolv.conf");
            }
            Some(Network::Relay) => environment.extend(relay::variables()),
            Some(Network::None) => {}
        }
        for file in files {
            // It may be a link into a folder of the machine that the container doesn't have.
            if let Ok(real) = Path::new(file).canonicalize() {
                mounts.bind(real, file, true);
                targets.push(file.to_owned());
            }
        }
        if let Some(certificates) = &containers.outside.certificates {
            let place = format!("{OWN}/certificates.pem");
            mounts.bind(certificates.clone(), &place, true);
            for name in [
                "SSL_CERT_FILE",
                "NODE_EXTRA_CA_CERTS",
                "PIP_CERT",
                "REQUESTS_CA_BUNDLE",
            ] {
                environment
                    .entry(name.to_owned())
                    .or_insert_with(|| place.clone());
            }
            targets.push(place);
        }
        if let Some(script) = &run.script {
            use std::os::unix::fs::PermissionsExt as _;
            let file = layer.work().join("script");
            fs::write(&file, script)
                .and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o555)))
                .map_err(StepError::io(&file))?;
            let place = format!("{OWN}/script");
            mounts.bind(file, &place, true);
            words = vec![place.clone()];
            targets.push(place);
        }
        let usual = host::usual_mounts().into_iter();
        // The kernel's objects show the network, which is the machine's: no container may have them.
        let mut all: Vec<Mounting> = usual
            .filter(|mount| !mount.target.starts_with("/sys"))
            .collect();
        targets.extend(["/proc".to_owned(), "/dev".to_owned()]);
        all.append(&mut mounts.mounts);

        let name = |folder: &Path| {
            let name = folder.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        let mut layers: Vec<Lower> = Vec::new();
        for part in state.parts.iter().rev() {
            let lower = Lower {
                name: name(&part.folder),
                source: Source::Path(part.folder.clone()),
            };
            // An overlay refuses a folder twice; the upper one says all that the lower one does.
            if !layers.contains(&lower) {
                layers.push(lower);
            }
        }
        let (join, mut relay) = containers.network(run.network)?;
        let data = layer.work().to_path_buf();
        let process = |words: Vec<String>| Process {
            environment: environment
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
            directory: state.directory.clone(),
            identity: Identity {
                user: state.user.clone(),
                ..Identity::default()
            },
            // A build may do what the image's own programs may: `su`, for example.
            no_new_privileges: false,
            ..Process::new(words)
        };
        let container = |words: Vec<String>| Container {
            hostname: Some("build".to_owned()),
            join: join.clone(),
            root: Root {
                layers: layers.clone(),
                upper: Upper::Directory(Source::Path(data.clone())),
                read_only: false,
            },
            mounts: all.clone(),
            process: Some(process(words)),
            ..Container::new(format!("build-{}", name(layer.work())))
        };
        let seen = (run.network, relay.as_mut());
        let end = self.wait(containers, container(words), program.log, seen)?;
        if let (Err(StepError::Program { how, .. }), Some(shell)) = (&end, &containers.shell) {
            (build.report)(Told::Failed {
                stage: self.stage.name.clone(),
                how: how.clone(),
            });
            let words = ["/bin/sh", "-c", SHELL].map(str::to_owned).to_vec();
            let broken = look_around(containers, container(words), shell);
            if let Err(error) = broken {
                tracing::warn!("no shell where the program failed: {error}");
            }
        }
        drop(mounts.locks);
        tidy(&state.view(), layer.path(), &targets);
        end
    }

    /// Runs a container to its end; the inner result is the program's.
    fn wait(
        &self,
        containers: &Containers,
        mut container: Container,
        log: Option<Log>,
        (network, mut relay): (Option<Network>, Option<&mut relay::Running>),
    ) -> Result<Result<(), StepError>, StepError> {
        let failed =
            |error: rustix::io::Errno| StepError::Start(io::Error::from(error).to_string());
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
        container.streams = Streams {
            stdout: Some(
                writer
                    .try_clone()
                    .map_err(|error| StepError::Start(error.to_string()))?,
            ),
            stderr: Some(writer),
            ..Streams::default()
        };
        let name = container.name.clone();
        let runtime = containers.runtime()?;
        let cancel = self.shared.build.cancel;
        let tell = |line| {
            (self.shared.build.report)(Told::Output {
                stage: self.stage.name.clone(),
                line,
            });
        };
        let (end, Output { last, mut log }) = std::thread::scope(|scope| {
            let reading = scope.spawn(|| output::read(File::from(reader), self.mask(), log, tell));
            let end = containers.handle.block_on(async {
                let running = runtime.run(container).await;
                let running = running.map_err(|error| StepError::Start(told(&error)))?;
                loop {
                    tokio::select! {
                        end = running.ended() => return Ok(end),
                        () = cancel.cancelled() => {
                            // Whoever has ended meanwhile needs no signal.
                            drop(running.signal(9).await);
                            running.ended().await;
                            return Err(StepError::Cancelled);
                        }
                        Some(words) = refusal(&mut relay) => tell(format!("mwctl: {words}")),
                    }
                }
            });
            (end, reading.join().unwrap_or_default())
        });
        let removed = containers.handle.block_on(runtime.remove(&name));
        if let Err(error) = removed {
            tracing::debug!(%error, "nothing to remove of a build's container");
        }
        let mut note = |how: &str| {
            if let Some(log) = &mut log {
                log.write(format!("# {how}\n").as_bytes());
            }
        };
        let end = end.inspect_err(|error| note(&error.to_string()))?;
        let how = match end {
            End::Code(0) => {
                note("it ended well");
                return Ok(Ok(()));
            }
            End::Code(code) => format!("it ended with exit code {code}"),
            End::Signal(signal) => format!("signal {signal} ended it"),
        };
        note(&how);
        Ok(Err(StepError::Program {
            how,
            last: last.into(),
            log: log.map(|log| log.path().to_path_buf()),
            network,
            one_id: (runtime.lacks().iter())
                .find(|lack| matches!(lack, Lack::Users { .. }))
                .copied(),
        }))
    }

    /// What is hidden in what programs write.
    fn mask(&self) -> Mask {
        let build = self.shared.build;
        let outside = build.containers.map(|it| &it.outside.variables);
        Mask::new(outside.into_iter().chain([build.arguments]))
    }

    /// Begins the log of a step. One that can't be written ends no build.
    fn log(&self, key: &str, step: &Step) -> Option<Log> {
        let log = self.shared.build.store.log(key);
        let log = log.inspect_err(|error| tracing::warn!(%error, "an output isn't kept"));
        let mut log = log.ok()?;
        let text = format!("# {}: {}\n", self.stage.name, step.action);
        log.write(self.mask().whole(&text).as_bytes());
        Some(log)
    }
}

/// What the relay of a program, if it has one, didn't let through next.
async fn refusal(relay: &mut Option<&mut relay::Running>) -> Option<String> {
    match relay {
        Some(relay) => relay.refusals.recv().await,
        None => None,
    }
}

/// Opens a shell in a container, and is back when it has ended.
fn look_around(
    containers: &Containers,
    mut container: Container,
    shell: &Shell,
) -> Result<(), StepError> {
    container.streams = Streams {
        terminal: Some(Terminal { size: None }),
        ..Streams::default()
    };
    if let Some(process) = &mut container.process {
        process.environment.push(format!("TERM={}", shell.terminal));
    }
    let name = container.name.clone();
    let runtime = containers.runtime()?;
    let running = containers.handle.block_on(runtime.run(container));
    let running = running.map_err(|error| StepError::Start(told(&error)))?;
    (shell.open)(&running, &containers.handle);
    running.kill();
    containers.handle.block_on(running.ended());
    if let Err(error) = containers.handle.block_on(runtime.remove(&name)) {
        tracing::debug!(%error, "nothing to remove of a shell");
    }
    Ok(())
}

/// The ids of an image's user.
pub(super) fn user(state: &State) -> Result<(u32, u32), StepError> {
    let (user, group) = match state.user.split_once(':') {
        Some((user, group)) => (user.to_owned(), Some(group.to_owned())),
        None if state.user.is_empty() => ("0".to_owned(), None),
        None => (state.user.clone(), None),
    };
    super::steps::owner(state, &crate::plan::Owner { user, group })
}

/// Takes away the places that were made for mounts: empty ones that the image doesn't have, and
/// folders on the way that are as the image has them.
fn tidy(below: &View, layer: &Path, targets: &[String]) {
    for target in targets {
        let mut path = PathBuf::from(target);
        while path != Path::new("/") {
            let place = layer.join(path.strip_prefix("/").unwrap_or(&path));
            let is_gone = match fs::symlink_metadata(&place) {
                Err(_) => true,
                Ok(data) => {
                    is_trace(below, &path, &data)
                        && if data.is_dir() {
                            // One with something in it stays.
                            fs::remove_dir(&place).is_ok()
                        } else {
                            fs::remove_file(&place).is_ok()
                        }
                }
            };
            if !is_gone || !path.pop() {
                break;
            }
        }
    }
}

/// Whether something in a layer says nothing that the image didn't say before.
fn is_trace(below: &View, path: &Path, data: &fs::Metadata) -> bool {
    match below.find(path).1 {
        Found::Missing => data.is_dir() || (data.is_file() && data.len() == 0),
        Found::Folder(folders) if data.is_dir() => fs::metadata(&folders[0]).is_ok_and(|known| {
            (known.mode(), known.uid(), known.gid()) == (data.mode(), data.uid(), data.gid())
        }),
        _ => false,
    }
}
