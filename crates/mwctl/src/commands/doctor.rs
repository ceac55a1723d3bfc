//! `mwctl doctor`: what this machine lacks, what follows from it, and what to type.

use std::fmt::Write as _;

use mwctl_core::doctor::{Finding, State, diagnose};

use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::ui::style::{accent, bad, good, warning};

#[expect(
    clippy::unnecessary_wraps,
    reason = "commands have one signature, and this one can't fail"
)]
pub(super) fn run(run: &Invocation) -> Result<Exit, CommandError> {
    let machine = mwctl_engine::machine::read(&run.environment.path, &run.cache());
    let findings = diagnose(&machine);
    run.ui.answer(&findings, || text(&findings));
    let missing = findings.iter().any(|it| it.state == State::Missing);
    Ok(if missing {
        Exit::Environment
    } else {
        Exit::Success
    })
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let mark = match finding.state {
            State::Good => good("✓"),
            State::Degraded => warning("!"),
            State::Missing => bad("✗"),
        };
        let _infallible = writeln!(text, "{mark} {}", finding.what);
        for cure in &finding.cures {
            let _infallible = writeln!(text, "  {} {cure}", accent("try:"));
        }
    }
    text
}
