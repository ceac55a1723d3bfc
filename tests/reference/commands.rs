//! The page of commands, from what the argument parser knows.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};
use mwctl::args::Cli;

pub(crate) fn page() -> String {
    let mut program = Cli::command();
    program.build();
    let mut page = "# Commands\n\n\
        Generated from the argument parser; `mwctl COMMAND --help` says the same.\n"
        .to_owned();
    writeln!(page, "\n{}\n", program.get_about().unwrap()).unwrap();
    table(&mut page, program.get_arguments());
    for command in program.get_subcommands() {
        section(&mut page, command);
    }
    page
}

fn section(page: &mut String, command: &Command) {
    if command.get_name() == "help" {
        return;
    }
    let name = command.get_bin_name().unwrap();
    writeln!(page, "\n## `{name}`\n").unwrap();
    let about = command.get_long_about().or(command.get_about()).unwrap();
    writeln!(page, "{about}\n").unwrap();
    let usage = command.clone().render_usage().to_string();
    writeln!(
        page,
        "```text\n{}\n```",
        usage.trim_start_matches("Usage: ")
    )
    .unwrap();
    let own: Vec<&Arg> = command
        .get_arguments()
        .filter(|argument| !argument.is_global_set())
        .filter(|argument| !matches!(argument.get_id().as_str(), "help" | "version"))
        .collect();
    if !own.is_empty() {
        page.push('\n');
        table(page, own.into_iter());
    }
    for command in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        section(page, command);
    }
}

fn table<'a>(page: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    writeln!(page, "| argument | meaning |\n| --- | --- |").unwrap();
    for argument in arguments {
        let help = argument
            .get_long_help()
            .or(argument.get_help())
            .unwrap()
            .to_string()
            .replace('\n', " ");
        let mut notes = String::new();
        if let Some(variable) = argument.get_env() {
            write!(notes, "; `{}`", variable.to_string_lossy()).unwrap();
        }
        let values: Vec<String> = argument
            .get_possible_values()
            .iter()
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        if argument.get_action().takes_values() && !values.is_empty() {
            write!(notes, "; one of {}", values.join(", ")).unwrap();
        }
        for value in argument.get_default_values() {
            let value = value.to_string_lossy();
            if argument.get_action().takes_values() {
                write!(notes, "; by default `{value}`").unwrap();
            }
        }
        let help = help.trim_end_matches('.');
        writeln!(page, "| `{}` | {help}{notes} |", form(argument)).unwrap();
    }
}

/// As it is typed: `-C, --directory <DIR>`, or `<SERVICE>...`.
fn form(argument: &Arg) -> String {
    let names: Vec<String> = argument
        .get_short()
        .map(|short| format!("-{short}"))
        .into_iter()
        .chain(argument.get_long().map(|long| format!("--{long}")))
        .collect();
    let values: Vec<String> = argument
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect();
    if names.is_empty() {
        return values.join(" ");
    }
    if argument.get_action().takes_values() {
        return format!("{} {}", names.join(", "), values.join(" "));
    }
    names.join(", ")
}
