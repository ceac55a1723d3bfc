//! The agent's command lines, all in one place: what the init container and the main container run.

use super::AgentBundle;
use crate::model::{Check, Develop, Image, Service};
use crate::problem::Problem;

/// Where the agent is found in a container.
pub const AGENT_DIRECTORY: &str = "/.mwctl";
/// Where the agent keeps its socket and its state.
pub const RUN_DIRECTORY: &str = "/.mwctl-run";
/// Where the init container sees the application's volume.
pub(super) const APPLICATION: &str = "/.mwctl-app";
/// Where the init container sees the dependencies' volumes, each under its number.
pub(super) const VOLUMES: &str = "/.mwctl-volume";

const AGENT: &str = "/.mwctl/agent";

/// How long a new container waits for whoever develops to bring the current tree, before it starts
/// with the one it has: a session is there within a fraction of it, and without one the service runs on.
const AWAIT_DEVELOPER_MS: u64 = 2000;
/// How long a test waits for its tree. Nobody else can bring it, so this only ends a forgotten pod.
const AWAIT_TEST_MS: u64 = 120_000;

/// The directories that dependencies are installed to, relative to the application's, each once.
pub(super) fn dependency_directories(service: &Service, develop: &Develop) -> Vec<String> {
    let of_test = service.test.as_ref().map(|test| &test.dependencies);
    let steps = [Some(&develop.dependencies), of_test];
    let mut directories = Vec::new();
    for step in steps.into_iter().flatten().flatten() {
        for directory in &step.directories {
            let directory = directory.trim_start_matches("./").trim_matches('/');
            if !directory.is_empty() && !directories.iter().any(|other| other == directory) {
                directories.push(directory.to_owned());
            }
        }
    }
    directories
}

/// The init container: copies the image's dependencies into volumes, and its `application` directory where that is wanted.
pub(super) fn copy(develop: &Develop, application: bool, directories: &[String]) -> Vec<String> {
    let mut command = words(&[AGENT, "copy", "--from", &develop.directory]);
    if application {
        command.extend(words(&["--to", APPLICATION]));
    }
    for (index, directory) in directories.iter().enumerate() {
        command.extend(words(&[
            "--volume",
            &format!("{directory}={VOLUMES}/{index}"),
        ]));
    }
    command
}

/// The main container: the agent, which starts and restarts the real command.
pub(super) fn run(
    service: &Service,
    develop: &Develop,
    agent: &AgentBundle<'_>,
    command: &[String],
) -> Vec<String> {
    let mut run = agent_command("run", service, develop, agent, AWAIT_DEVELOPER_MS);
    if develop.mount {
        run.push("--mounted".to_owned());
    }
    if let Some(ready) = ready(service) {
        run.extend(words(&["--ready", &ready]));
    }
    run.extend(words(&[
        "--health-port",
        &super::health_port(service).to_string(),
    ]));
    wrap(run, command)
}

/// The main container of a test: the agent receives the files, runs the command once and passes its
/// exit code on.
pub(super) fn test(
    service: &Service,
    develop: &Develop,
    agent: &AgentBundle<'_>,
    command: &[String],
) -> Vec<String> {
    wrap(
        agent_command("test", service, develop, agent, AWAIT_TEST_MS),
        command,
    )
}

fn agent_command(
    verb: &str,
    service: &Service,
    develop: &Develop,
    agent: &AgentBundle<'_>,
    await_session_ms: u64,
) -> Vec<String> {
    let directory = service.main.working_directory.as_ref();
    let stop = develop.stop_timeout_ms.to_string();
    words(&[
        AGENT,
        verb,
        "--digest",
        agent.digest,
        "--target",
        &develop.directory,
        "--cwd",
        directory.unwrap_or(&develop.directory),
        "--stop-timeout-ms",
        &stop,
        "--grace-ms",
        &stop,
        "--await-session-ms",
        &await_session_ms.to_string(),
    ])
}

fn wrap(mut agent: Vec<String>, command: &[String]) -> Vec<String> {
    agent.push("--".to_owned());
    agent.extend_from_slice(command);
    agent
}

/// What the agent waits for after a start: the planned readiness check, else the first port.
fn ready(service: &Service) -> Option<String> {
    match service.main.readiness.as_ref().map(|probe| &probe.check) {
        Some(Check::Http { path, port }) => {
            Some(format!("http:{port}/{}", path.trim_start_matches('/')))
        }
        Some(Check::Tcp { port }) => Some(format!("tcp:{port}")),
        // A command of the image can't be run from outside it: the port says almost the same.
        Some(Check::Exec { .. }) | None => {
            service.port().map(|port| format!("tcp:{}", port.number))
        }
    }
}

/// The command that the agent wraps: the one for developing, the planned one, or the image's own.
pub fn command_of(
    service: &Service,
    image_command: Option<&[String]>,
) -> Result<Vec<String>, Problem> {
    let develop = service.develop.as_ref().map(|develop| &develop.command);
    let built = match &service.image {
        Image::Build(build) => Some(&build.entrypoint),
        Image::Reference(_) => None,
    };
    [develop, Some(&service.main.command), built]
        .into_iter()
        .flatten()
        .map(Vec::as_slice)
        .chain(image_command)
        .find(|command| !command.is_empty())
        .map(<[String]>::to_vec)
        .ok_or_else(|| {
            Problem::new(format!(
                "no command is known for `{}`: neither its convention nor its image names one",
                service.name
            ))
            .hint(format!(
                "write `develop: {{command: [node, server.js]}}`, with its own command, into the document of `{}` in `mwctl.yaml`",
                service.name
            ))
        })
}

/// The test command: the one asked for, else the service's own.
pub(super) fn test_command(service: &Service, asked: &[String]) -> Result<Vec<String>, Problem> {
    let own = service.test.as_ref().map(|test| test.command.as_slice());
    [Some(asked), own]
        .into_iter()
        .flatten()
        .find(|command| !command.is_empty())
        .map(<[String]>::to_vec)
        .ok_or_else(|| {
            Problem::new(format!("`{}` has no test command", service.name)).hint(format!(
                "give it one for now with `mwctl test {} -- COMMAND`, or for good as `test: {{command: [npm, test]}}` in `mwctl.yaml`",
                service.name
            ))
        })
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
