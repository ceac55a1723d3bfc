//! Containers that ended: by themselves, by a signal, or because they used too much.

use super::Cause;
use crate::model::Service;
use crate::observed::{ObservedContainer, Termination, Warning};

/// What a shell and the container runtime answer for a command that isn't there.
const NOT_FOUND: i32 = 127;
/// … and for one that can't be run.
const NOT_EXECUTABLE: i32 = 126;
/// An exit code above this is the number of a signal, by the shells' convention.
const SIGNALLED: i32 = 128;

/// Why a container ended; `None` where it ended well and only prepares the pod.
pub(super) fn cause(
    service: &Service,
    container: &ObservedContainer,
    termination: &Termination,
    warnings: &[&Warning],
    last_lines: &[String],
) -> Option<Cause> {
    let name = &service.name;
    let who = format!("`{}`", container.name);
    let logs = if container.restarts > 0 {
        format!("mwctl logs {name} --previous")
    } else {
        format!("mwctl logs {name}")
    };
    let code = termination.exit_code;
    let signal = termination
        .signal
        .or_else(|| (code > SIGNALLED).then_some(code - SIGNALLED));
    let liveness = warnings
        .iter()
        .find(|w| w.reason == "Unhealthy" && w.message.starts_with("Liveness probe failed"));
    let cause = if termination.reason == "OOMKilled" {
        let limit = memory_limit(service, container);
        let limit = limit.map_or_else(String::new, |limit| format!(" than {limit}"));
        Cause::new(
            format!("{who} used more memory{limit} and was killed"),
            format!("raise `container.resources.limits.memory` of `{name}` in `mwctl.yaml`"),
        )
    } else if matches!(
        termination.reason.as_str(),
        "StartError" | "ContainerCannotRun"
    ) || matches!(code, NOT_FOUND | NOT_EXECUTABLE)
    {
        Cause::new(
            format!("the command of {who} can't be run in its image"),
            format!(
                "correct `container.command` of `{name}` in `mwctl.yaml`, then type `mwctl up {name}`"
            ),
        )
    } else if let (Some(signal), Some(warning)) = (signal, liveness) {
        Cause::new(
            format!(
                "{who} was ended{}, because its liveness check failed",
                by(signal)
            ),
            logs,
        )
        .because([&warning.message])
    } else if let Some(signal) = signal {
        Cause::new(format!("{who} was ended{}", by(signal)), logs)
    } else if code == 0 && container.init {
        return None;
    } else if code == 0 {
        Cause::new(
            format!("{who} ended by itself, although it should go on"),
            logs,
        )
    } else {
        Cause::new(format!("{who} ended with exit code {code}"), logs)
    };
    Some(cause.because([&termination.message]).because(last_lines))
}

fn by(signal: i32) -> String {
    let name = match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        15 => " (SIGTERM)",
        _ => "",
    };
    format!(" by signal {signal}{name}")
}

/// The memory limit of the container in question: a helper's name ends with its own.
fn memory_limit<'a>(service: &'a Service, container: &ObservedContainer) -> Option<&'a String> {
    let helper = service
        .helpers
        .iter()
        .find(|helper| container.name.ends_with(&format!("-{}", helper.name)));
    let limits = &helper.unwrap_or(&service.main).resources.limits;
    limits.get("memory")
}
