//! Problems for people: the sentence, the place, the line with a mark under it, the cure.

use std::fmt::Write;

use mwctl_core::problem::Problem;

use super::style::{accent, bad, dim};

/// All problems, and how many there are.
pub(super) fn text(problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        one(&mut text, problem);
    }
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    };
    let _infallible = write!(text, "{}", bad(&count));
    text
}

fn one(text: &mut String, problem: &Problem) {
    let _infallible = writeln!(text, "{} {}", bad("problem:"), problem.message);
    if let Some(location) = &problem.location {
        let number = location.line.to_string();
        let gap = " ".repeat(number.len());
        let _infallible = writeln!(text, "{gap} {} {location}", dim("-->"));
        let line = location.text.replace('\t', " ");
        let _infallible = writeln!(text, "{} {} {line}", dim(&number), dim("|"));
        let indent = " ".repeat(location.column.saturating_sub(1));
        let mark = "^".repeat(location.length.max(1));
        let _infallible = writeln!(text, "{gap} {} {indent}{}", dim("|"), bad(&mark));
    }
    if let Some(hint) = &problem.hint {
        let _infallible = writeln!(text, "  {} {hint}", accent("help:"));
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use mwctl_core::problem::Location;

    use super::*;

    #[test]
    fn the_mark_stands_under_what_is_wrong() {
        let location = Location {
            file: "mwctl.yaml".into(),
            line: 12,
            column: 3,
            length: 9,
            text: "  contaner:".into(),
        };
        let problem = Problem::new("unknown key `contaner`")
            .at(location)
            .hint("did you mean `container`?");
        let plain = anstream::adapter::strip_str(&text(&[problem])).to_string();
        assert_eq!(
            plain,
            "problem: unknown key `contaner`\n   --> mwctl.yaml:12:3\n12 |   contaner:\n   |   \
             ^^^^^^^^^\n  help: did you mean `container`?\n\n1 problem"
        );
    }
}
