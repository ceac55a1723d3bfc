//! Whether the server is well, and which version of Kubernetes it speaks.

use super::respond::{self, Body};
use crate::kinds;
use http::Response;
use serde_json::json;

/// The answer at a path that is no resource and no discovery; none where nothing is.
pub(super) fn answer(path: &[&str]) -> Option<Response<Body>> {
    match path {
        ["version"] => Some(version()),
        // Whoever hears this hears it from a server that answers, and there is nothing else to be unwell.
        ["healthz" | "livez" | "readyz", ..] => Some(respond::text(200, "ok")),
        _ => None,
    }
}

fn version() -> Response<Body> {
    let version = kinds::version();
    let mut numbers = version.trim_start_matches('v').split('.');
    respond::value(
        200,
        &json!({
            "major": numbers.next().unwrap_or_default(), "minor": numbers.next().unwrap_or_default(),
            "gitVersion": format!("{version}+mwctl"), "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": "", "compiler": "rustc", "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
        }),
    )
}
