//! Events for people: bars while steps run on a terminal, one line for each thing that is over.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use mwctl_engine::event::{Event, Update};

use super::log_line::readable;
use super::style::{accent, bad, bold, dim, good, name, warning};

/// How many paths of an update are named before the rest is counted.
const NAMED_PATHS: usize = 3;

/// The state of what is shown.
pub(super) struct Human {
    bars: MultiProgress,
    live: bool,
    steps: BTreeMap<usize, ProgressBar>,
    width: usize,
    /// What supported the last thing that went wrong: the same lines aren't shown twice.
    details: Vec<String>,
}

impl Human {
    pub(super) fn new(live: bool) -> Self {
        let target = if live {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            live,
            steps: BTreeMap::new(),
            width: 8,
            details: Vec::new(),
        }
    }

    /// Writes a line above the bars.
    pub(super) fn line(&mut self, text: &str) {
        use std::io::Write;
        self.bars.suspend(|| {
            let mut stderr = anstream::stderr().lock();
            drop(writeln!(stderr, "{text}"));
        });
    }

    pub(super) fn clear(&mut self) {
        self.steps.clear();
        drop(self.bars.clear());
    }

    pub(super) fn show(&mut self, event: &Event, quiet: bool) {
        match event {
            Event::StepStarted { step, title, .. } => self.started(*step, title),
            Event::StepProgress { step, message } => {
                if let Some(bar) = self.steps.get(step) {
                    bar.set_message(dim(message));
                }
            }
            Event::StepDone {
                step,
                title,
                millis,
                ..
            } => {
                self.done(*step);
                if !quiet {
                    let time = dim(&format!("{:.1} s", *millis as f64 / 1000.0));
                    self.line(&format!("{} {title}  {time}", good("✓")));
                }
            }
            Event::StepStopped { step, title, .. } => {
                self.done(*step);
                if !quiet {
                    self.line(&dim(&format!("- {title}  given up")));
                }
            }
            Event::Failed {
                service,
                summary,
                details,
                hint,
            } => {
                let service = service.as_ref().map(ToString::to_string);
                let mark = bad("error:");
                self.told(&mark, service.as_deref(), summary, details, hint.as_deref());
            }
            Event::Warning {
                service,
                summary,
                details,
                hint,
            } => {
                let service = service.as_ref().map(ToString::to_string);
                self.told(
                    &warning("warning:"),
                    service.as_deref(),
                    summary,
                    details,
                    hint.as_deref(),
                );
            }
            Event::Log { service, line, .. } => {
                let service = service.to_string();
                self.width = self.width.max(service.len());
                let prefix = name(&service, self.width);
                for line in readable(line) {
                    self.answer(&format!("{prefix} {} {line}", dim("|")));
                }
            }
            Event::Problems { problems } => self.line(&super::problems::text(problems)),
            _ if quiet => {}
            Event::Update(update) => self.line(&self::update(update)),
            Event::Connected { service, pod } => {
                let text = format!("{} {}", bold(service.as_str()), dim(&format!("in {pod}")));
                self.line(&format!("{} {text}", good("⇄")));
            }
            Event::Disconnected { service, reason } => {
                self.line(&format!(
                    "{} {}",
                    bold(service.as_str()),
                    dim(&format!("lost: {reason}"))
                ));
            }
            Event::ProcessExited {
                service,
                how,
                last_lines,
            } => {
                let how = format!("{} ended with {how}", service.as_str());
                self.told(&bad("error:"), None, &how, last_lines, None);
            }
            // The command says how it ended in its own words, or ends with the code.
            Event::Ready { .. } | Event::Done(_) | Event::Tested { .. } => {}
            Event::Dependencies { line, .. } if line.trim().is_empty() => {}
            Event::Dependencies { service, line } => {
                self.line(&format!(
                    "{} {} {}",
                    bold(service.as_str()),
                    dim("deps"),
                    dim(line)
                ));
            }
            Event::Ran {
                service,
                command,
                millis,
            } => {
                let time = dim(&format!("{:.1} s", *millis as f64 / 1000.0));
                self.line(&format!(
                    "{} ran `{command}`  {time}",
                    bold(service.as_str())
                ));
            }
            Event::LockFile {
                service,
                path,
                written,
            } => {
                let text = if *written {
                    format!("took `{path}` from the container into the checkout")
                } else {
                    format!(
                        "`{path}` changed in the container; `mwctl apply {service} \
                         --take-lock-files` brings it into the checkout"
                    )
                };
                self.line(&format!("{} {text}", bold(service.as_str())));
            }
            Event::Forwarding {
                service,
                local,
                port,
            } => {
                let url = accent(&format!("http://{local}"));
                let text = format!(
                    "{} {url} {}",
                    bold(service.as_str()),
                    dim(&format!("→ {port}"))
                );
                self.line(&text);
            }
            Event::Notice {
                service,
                text,
                hint,
            } => {
                let mut line = String::new();
                if let Some(service) = service {
                    let _infallible = write!(line, "{} ", bold(service.as_str()));
                }
                line.push_str(text);
                if let Some(hint) = hint {
                    let _infallible = write!(line, "\n  {} {hint}", accent("try:"));
                }
                self.line(&line);
            }
        }
    }

    /// Writes to stdout without tearing the bars.
    fn answer(&mut self, text: &str) {
        use std::io::Write;
        self.bars.suspend(|| {
            let mut stdout = anstream::stdout().lock();
            drop(writeln!(stdout, "{text}"));
        });
    }

    fn started(&mut self, step: usize, title: &str) {
        if !self.live {
            return;
        }
        let bar = self.bars.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {wide_msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(title.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        self.steps.insert(step, bar);
    }

    fn done(&mut self, step: usize) {
        if let Some(bar) = self.steps.remove(&step) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }

    fn told(
        &mut self,
        mark: &str,
        service: Option<&str>,
        summary: &str,
        details: &[String],
        hint: Option<&str>,
    ) {
        let mut text = format!("{mark} ");
        if let Some(service) = service
            && !summary.contains(service)
        {
            let _infallible = write!(text, "{service}: ");
        }
        text.push_str(summary);
        if self.details != details {
            for line in details.iter().flat_map(|line| readable(line)) {
                let _infallible = write!(text, "\n  {} {line}", dim("|"));
            }
            details.clone_into(&mut self.details);
        }
        for line in hint.into_iter().flat_map(str::lines) {
            let _infallible = write!(text, "\n  {} {line}", accent("try:"));
        }
        self.line(&text);
    }
}

/// One line for an update: what changed, each phase with its time, how it ended.
fn update(update: &Update) -> String {
    let named: Vec<&str> = update
        .paths
        .iter()
        .take(NAMED_PATHS)
        .map(String::as_str)
        .collect();
    let mut what = named.join(", ");
    if update.paths.len() > NAMED_PATHS {
        let _infallible = write!(what, " and {} more", update.paths.len() - NAMED_PATHS);
    }
    if what.is_empty() {
        let had = |name: &str| update.phases.iter().any(|phase| phase.name == name);
        what.push_str(match () {
            () if had("dependencies") => "dependencies",
            () if had("stopped") => "restart",
            () => "start",
        });
    }
    let phases: Vec<String> = update
        .phases
        .iter()
        .map(|phase| format!("{} {:.0}", phase.name, phase.at))
        .collect();
    let mark = match update.outcome.as_str() {
        "live" | "synchronised" => good("✓"),
        "superseded" => dim("·"),
        _ => bad("✗"),
    };
    format!(
        "{mark} {} {what}  {}  {} {}",
        bold(update.service.as_str()),
        dim(&phases.join(" · ")),
        update.outcome,
        dim(&format!("{:.0} ms", update.millis)),
    )
}
