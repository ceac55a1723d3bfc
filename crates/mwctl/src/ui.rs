//! The only writer to the terminal: answers to stdout, everything else to stderr.

mod human;
mod json;
pub(crate) mod log_line;
mod problems;
pub(crate) mod style;
pub(crate) mod terminal;

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use mwctl_core::problem::Problem;
use mwctl_engine::event::{Event, Events};
use serde::Serialize;

use self::human::Human;
use crate::error::{CommandError, Kind, causes};

/// How answers and events are shown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Human,
    /// For programs: one JSON document, or one JSON object a line where events follow each other.
    Json,
    /// For code checkers: SARIF 2.1.0, from `lint` alone.
    Sarif,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Color {
    /// When the stream is a terminal and `NO_COLOR` isn't set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The terminal.
#[derive(Clone)]
pub(crate) struct Ui {
    output: Output,
    quiet: bool,
    human: Arc<Mutex<Human>>,
}

impl Ui {
    /// Writes to this process's streams.
    pub(crate) fn new(output: Output, color: Color, quiet: bool, verbose: bool) -> Self {
        match color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        // A bar that is redrawn and traces that are printed would spoil each other.
        let live = std::io::stderr().is_terminal() && !verbose && !quiet;
        Self {
            output,
            quiet,
            human: Arc::new(Mutex::new(Human::new(live))),
        }
    }

    /// Whether answers are for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// Whether problems are asked for in the form of SARIF.
    pub(crate) fn is_sarif(&self) -> bool {
        self.output == Output::Sarif
    }

    /// Writes an answer: `text` for people, `value` for programs.
    pub(crate) fn answer(&self, value: &impl Serialize, text: impl FnOnce() -> String) {
        match self.output {
            Output::Human => self.print(&text()),
            Output::Json | Output::Sarif => self.print(&json::document(value)),
        }
    }

    /// Writes text to stdout as it is.
    #[expect(
        clippy::unused_self,
        reason = "whoever writes has been given the terminal"
    )]
    pub(crate) fn print(&self, text: &str) {
        let mut stdout = anstream::stdout().lock();
        // Whoever closed the pipe has read enough.
        drop(stdout.write_all(text.as_bytes()));
        drop(stdout.flush());
    }

    /// Where the engine's events go: for programs to stdout, one object a line.
    pub(crate) fn events(&self) -> Events {
        let ui = self.clone();
        Events::new(move |event| ui.event(&event))
    }

    fn event(&self, event: &Event) {
        match self.output {
            Output::Json => self.print(&json::line(event)),
            // The document of a code checker stands alone on stdout.
            Output::Human | Output::Sarif => {
                let mut human = self.human.lock().unwrap_or_else(PoisonError::into_inner);
                human.show(event, self.quiet);
            }
        }
    }

    /// Writes a line for people to stderr; programs don't get it.
    pub(crate) fn say(&self, line: &str) {
        if self.output == Output::Human && !self.quiet {
            self.human
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .line(line);
        }
    }

    /// Shows problems, each with its source line.
    pub(crate) fn problems(&self, problems: &[Problem]) {
        match self.output {
            Output::Json => {
                self.print(&json::line(&Event::Problems {
                    problems: problems.to_vec(),
                }));
            }
            Output::Human | Output::Sarif => {
                let text = problems::text(problems);
                self.human
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .line(&text);
            }
        }
    }

    /// Shows why a command failed.
    pub(crate) fn error(&self, error: &CommandError) {
        if let Kind::Problems(problems) = &error.kind {
            self.problems(problems);
        }
        let Some(cause) = &error.error else { return };
        let event = Event::Failed {
            service: None,
            summary: cause.to_string(),
            details: causes(&**cause),
            hint: (!error.hints.is_empty()).then(|| error.hints.join("\n")),
        };
        self.event(&event);
    }

    /// Takes down what is redrawn, so that what follows stands alone.
    pub(crate) fn finish(&self) {
        self.human
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
