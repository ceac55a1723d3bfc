//! What differs between the clusters: observed, listed with reasons, and the two lists compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use similar::{ChangeTag, TextDiff};

use crate::bed::Step;

/// What the file begins with.
const HEAD: &str = "\
# Where kubectl prints something else on the embedded cluster than on a real one, each with its reason. Written by `UPDATE_EXPECT=1
# tests/cluster/run --exec tests/compat/kubectl/matrix`; a reason that stands here is kept, and one that is missing fails the matrix.
";

/// A difference that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    scenario: String,
    command: String,
    /// Why the embedded cluster prints something else.
    why: String,
    clients: Vec<String>,
    /// Lines that only the real cluster prints (`-`), and lines that only the embedded one prints (`+`).
    lines: String,
}

/// Scenario, command and differing lines.
type Place = (String, String, String);

/// The differences that were seen, and with which clients.
#[derive(Debug, Default)]
pub(crate) struct Observed(BTreeMap<Place, Vec<String>>);

impl Observed {
    /// Takes in what a client printed on both clusters.
    pub(crate) fn compare(
        &mut self,
        client: &str,
        scenario: &str,
        real: &[Step],
        embedded: &[Step],
    ) {
        for (real, embedded) in real.iter().zip(embedded) {
            let lines = difference(&real.printed, &embedded.printed);
            if lines.is_empty() {
                continue;
            }
            let place = (scenario.to_owned(), real.command.clone(), lines);
            let clients = self.0.entry(place).or_default();
            if clients.last().is_none_or(|last| last != client) {
                clients.push(client.to_owned());
            }
        }
    }
}

/// The lines that differ, marked by whose they are.
pub(crate) fn difference(real: &str, embedded: &str) -> String {
    let mut lines = String::new();
    for change in TextDiff::from_lines(real, embedded).iter_all_changes() {
        let mark = match change.tag() {
            ChangeTag::Equal => continue,
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
        };
        // Writing to a string can't fail.
        writeln!(lines, "{mark} {}", change.value().trim_end()).unwrap_or_default();
    }
    lines
}

/// Fails unless what was observed with these clients is what the file lists; with `update`, writes the file anew first.
pub(crate) fn judge(file: &Path, observed: &Observed, clients: &[&str], update: bool) {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut listed: Vec<Entry> = if text.trim().is_empty() {
        Vec::new()
    } else {
        serde_yaml::from_str(&text).unwrap()
    };
    if update {
        listed = renewed(&listed, observed);
        let text = serde_yaml::to_string(&listed).unwrap();
        std::fs::write(file, format!("{HEAD}{text}")).unwrap();
    }
    let faults = faults(&listed, observed, clients);
    assert!(
        faults.is_empty(),
        "{} differences are not as they are listed:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

/// What is observed, with the reasons that are known.
fn renewed(listed: &[Entry], observed: &Observed) -> Vec<Entry> {
    let entries = observed
        .0
        .iter()
        .map(|((scenario, command, lines), clients)| {
            let same_place =
                |entry: &&Entry| &entry.scenario == scenario && &entry.command == command;
            let known = listed.iter().filter(same_place);
            let known = known
                .clone()
                .find(|entry| &entry.lines == lines)
                .or_else(|| known.clone().next());
            Entry {
                scenario: scenario.clone(),
                command: command.clone(),
                why: known.map(|entry| entry.why.clone()).unwrap_or_default(),
                clients: clients.clone(),
                lines: lines.clone(),
            }
        });
    entries.collect()
}

/// What is not listed, what is listed and gone, and what has no reason.
fn faults(listed: &[Entry], observed: &Observed, clients: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut open = observed.0.clone();
    for entry in listed {
        let at = format!("{}: {}", entry.scenario, entry.command);
        if entry.why.is_empty() {
            faults.push(format!("{at}: there is no reason"));
        }
        let place = (
            entry.scenario.clone(),
            entry.command.clone(),
            entry.lines.clone(),
        );
        let mut seen = open.remove(&place).unwrap_or_default();
        for client in &entry.clients {
            if seen.contains(client) {
                seen.retain(|it| it != client);
            } else if clients.contains(&client.as_str()) {
                faults.push(format!(
                    "{at}: gone with {client}; take it off the list\n{}",
                    entry.lines
                ));
            }
        }
        if !seen.is_empty() {
            open.insert(place, seen);
        }
    }
    for ((scenario, command, lines), clients) in open {
        faults.push(format!(
            "{scenario}: {command}: with {}\n{lines}",
            clients.join(", ")
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(printed: &str) -> Vec<Step> {
        vec![Step {
            command: "kubectl version".to_owned(),
            printed: printed.to_owned(),
        }]
    }

    fn entry(why: &str, lines: &str) -> Entry {
        Entry {
            scenario: "s".to_owned(),
            command: "kubectl version".to_owned(),
            why: why.to_owned(),
            clients: vec!["1.27".to_owned()],
            lines: lines.to_owned(),
        }
    }

    #[test]
    fn only_what_is_listed_with_a_reason_may_differ_and_it_has_to() {
        let mut observed = Observed::default();
        observed.compare("1.27", "s", &step("same\na"), &step("same\nb"));
        let lines = "- a\n+ b\n";
        assert!(faults(&[entry("so", lines)], &observed, &["1.27"]).is_empty());
        assert_eq!(faults(&[entry("", lines)], &observed, &["1.27"]).len(), 1);
        assert_eq!(faults(&[], &observed, &["1.27"]).len(), 1);
        let gone = faults(&[entry("so", lines)], &Observed::default(), &["1.27"]);
        assert_eq!(gone.len(), 1);
        // A client that isn't here proves nothing.
        assert!(faults(&[entry("so", lines)], &Observed::default(), &["1.30"]).is_empty());
    }

    #[test]
    fn a_list_that_is_renewed_keeps_its_reasons() {
        let mut observed = Observed::default();
        observed.compare("1.27", "s", &step("a"), &step("c"));
        let renewed = renewed(&[entry("so", "- a\n+ b\n")], &observed);
        assert_eq!(renewed, [entry("so", "- a\n+ c\n")]);
    }
}
