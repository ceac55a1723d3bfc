//! A runner that answers from a script and remembers what was asked, for tests.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{Command, CommandError, CommandRunner, Line, OnLine, Output, pasteable};

type Effect = Box<dyn Fn(&Command) + Send + Sync>;

struct Rule {
    mark: String,
    answers: Vec<Output>,
    effect: Option<Effect>,
}

/// Answers commands whose text contains a mark; the last answer of a mark is repeated.
#[derive(Default)]
pub struct ScriptedRunner {
    rules: Mutex<Vec<Rule>>,
    calls: Mutex<Vec<Command>>,
}

impl std::fmt::Debug for ScriptedRunner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ScriptedRunner")
    }
}

impl ScriptedRunner {
    /// Knows no answers yet: every command is missing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers commands containing `mark` with that exit code and standard output.
    #[must_use]
    pub fn on(self, mark: &str, code: i32, stdout: &str) -> Self {
        let answer = Output {
            code: Some(code),
            stdout: stdout.as_bytes().to_vec(),
            stderr: Vec::new(),
        };
        {
            let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
            match rules.iter_mut().find(|rule| rule.mark == mark) {
                Some(rule) => rule.answers.push(answer),
                None => rules.push(Rule {
                    mark: mark.to_owned(),
                    answers: vec![answer],
                    effect: None,
                }),
            }
        }
        self
    }

    /// Does something (writes the files that the program would) before answering `mark`.
    #[must_use]
    pub fn doing(self, mark: &str, effect: impl Fn(&Command) + Send + Sync + 'static) -> Self {
        let this = self.on(mark, 0, "");
        {
            let mut rules = this.rules.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(rule) = rules.iter_mut().find(|rule| rule.mark == mark) {
                rule.effect = Some(Box::new(effect));
            }
        }
        this
    }

    /// What was asked, in order, as it could be pasted.
    pub fn asked(&self) -> Vec<String> {
        self.commands().iter().map(|c| pasteable(&c.argv)).collect()
    }

    /// What was asked, in order.
    pub fn commands(&self) -> Vec<Command> {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[async_trait]
impl CommandRunner for ScriptedRunner {
    async fn run(&self, command: &Command, on_line: OnLine<'_>) -> Result<Output, CommandError> {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(command.clone());
        let asked = pasteable(&command.argv);
        let answer = {
            let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
            rules
                .iter_mut()
                .find(|rule| asked.contains(&rule.mark))
                .map(|rule| {
                    if let Some(effect) = &rule.effect {
                        effect(command);
                    }
                    if rule.answers.len() > 1 {
                        rule.answers.remove(0)
                    } else {
                        rule.answers[0].clone()
                    }
                })
        };
        let Some(answer) = answer else {
            return Err(CommandError::Missing {
                argv: command.argv.clone(),
            });
        };
        for line in answer.text().lines() {
            on_line(Line::Out(line));
        }
        Ok(answer)
    }
}
