//! A `minikube` that plays a scenario: put first on PATH by the test that needs it.
//!
//! It prints what `scenario.json` in `MINIKUBE_HOME` says for a command, exits with the code that
//! stands there, and adds its command line to `calls`. It starts nothing.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

fn main() -> ExitCode {
    match play() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // A code that the real one never has, so that a broken scenario is not taken for one
            // of its answers.
            writeln!(std::io::stderr(), "fake-minikube: {error}").ok();
            ExitCode::from(250)
        }
    }
}

fn play() -> Result<u8, Box<dyn std::error::Error>> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the variable by which the real program is told its home"
    )]
    let home = PathBuf::from(std::env::var_os("MINIKUBE_HOME").ok_or("no MINIKUBE_HOME")?);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let line = arguments.join(" ");
    let mut calls = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(home.join("calls"))?;
    writeln!(calls, "{line}")?;

    let scenario: Value = serde_json::from_slice(&std::fs::read(home.join("scenario.json"))?)?;
    let scenes = scenario.as_object().ok_or("the scenario is no object")?;
    // A command is known by its words; where they stand among the options differs.
    let fits = |words: &str| {
        let mut rest = arguments.iter();
        words
            .split(' ')
            .all(|word| rest.any(|argument| argument == word))
    };
    let (_, scene) = scenes
        .iter()
        .find(|(words, _)| fits(words))
        .ok_or_else(|| format!("no scene for `{line}`"))?;
    let mut out = std::io::stdout();
    for text in scene["out"].as_array().into_iter().flatten() {
        match text {
            Value::String(text) => writeln!(out, "{text}")?,
            event => writeln!(out, "{event}")?,
        }
    }
    Ok(u8::try_from(scene["exit"].as_u64().unwrap_or(0))?)
}
