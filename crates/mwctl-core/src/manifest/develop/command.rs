//! The agent's command lines, all in one place: what the init container and the main container run.

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

/// The absolute directories that dependencies are installed to, each once.
pub(super) fn dependency_directories(service: &Service, develop: &Develop) -> Vec<String> {
    let steps = [
        develop.dependencies.as_ref(),
        service
            .test
            .as_ref()
            .and_then(|test| test.dependencies.as_ref()),
    ];
    let mut directories = Vec::new();
    for directory in steps
        .into_iter()
        .flatten()
        .flat_map(|step| &step.directories)
    {
        let relative = directory.trim_start_matches("./").trim_matches('/');
        let absolute = format!("{}/{relative}", develop.directory.trim_end_matches('/'));
        if !relative.is_empty() && !directories.contains(&absolute) {
            directories.push(absolute);
        }
    }
    directories
}

/// The init container: copies the image's application directory and its dependencies into volumes.
pub(super) fn copy(develop: &Develop, directories: &[String]) -> Vec<String> {
    let mut command = words(&[
        AGENT,
        "copy",
        "--from",
        &develop.directory,
        "--to",
        APPLICATION,
    ]);
    for (index, directory) in directories.iter().enumerate() {
        command.push("--volume".to_owned());
        command.push(format!("{directory}={VOLUMES}/{index}"));
    }
    command
}

/// The main container: the agent, which starts and restarts the real command.
pub(super) fn run(
    service: &Service,
    develop: &Develop,
    command: &[String],
    health: u16,
) -> Vec<String> {
    let mut run = words(&[AGENT, "run", "--target", &develop.directory]);
    if let Some(ready) = ready(service) {
        run.extend(["--ready".to_owned(), ready]);
    }
    run.extend(["--health-port".to_owned(), health.to_string()]);
    run.extend([
        "--stop-timeout-ms".to_owned(),
        develop.stop_timeout_ms.to_string(),
    ]);
    run.push("--".to_owned());
    run.extend_from_slice(command);
    run
}

/// The main container of a test: the agent receives the files, runs the command once and passes its
/// exit code on.
pub(super) fn run_once(develop: &Develop, command: &[String]) -> Vec<String> {
    let mut run = words(&[AGENT, "run", "--once", "--target", &develop.directory]);
    run.extend([
        "--stop-timeout-ms".to_owned(),
        develop.stop_timeout_ms.to_string(),
    ]);
    run.push("--".to_owned());
    run.extend_from_slice(command);
    run
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
