//! Scenarios that are known to fail, each with its reason.

use std::collections::BTreeMap;

use crate::scenario::Scenario;

/// Titles, and why these fail; `network:` stands before what lies with a network that doesn't give everything.
#[derive(Debug, Default)]
pub(crate) struct Differences(BTreeMap<String, String>);

impl Differences {
    /// Reads a file of lines: a title, and indented below it the reason.
    #[cfg(feature = "cluster")]
    pub(crate) fn read(file: &std::path::Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap();
        let mut known = BTreeMap::<String, String>::new();
        let mut title = String::new();
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            if line.starts_with(' ') {
                let reason = known
                    .get_mut(&title)
                    .expect("a reason stands below a title");
                if !reason.is_empty() {
                    reason.push(' ');
                }
                reason.push_str(line.trim());
            } else {
                line.trim().clone_into(&mut title);
                known.insert(title.clone(), String::new());
            }
        }
        for (title, reason) in &known {
            assert!(!reason.is_empty(), "no reason is given: {title}");
        }
        Self(known)
    }

    /// What to say of a scenario that passed or failed; an error where it should have ended otherwise.
    pub(crate) fn verdict(
        &self,
        title: &str,
        failed: Option<&str>,
    ) -> Result<&'static str, String> {
        match (self.0.get(title), failed) {
            (None, None) => Ok("ok"),
            // Whoever has what they need sees them pass.
            (Some(reason), None) if reason.starts_with("network: ") => Ok("ok"),
            (Some(_), Some(_)) => Ok("known"),
            (None, Some(why)) => Err(why.to_owned()),
            (Some(reason), None) => Err(format!("it passes, and is listed to fail: {reason}")),
        }
    }

    /// Those that no scenario is called.
    pub(crate) fn unknown(&self, scenarios: &[Scenario]) -> Vec<String> {
        let is_known = |title: &&String| scenarios.iter().any(|it| it.title() == **title);
        let unknown = self.0.keys().filter(|title| !is_known(title));
        unknown
            .map(|title| format!("differences: no scenario is called {title}"))
            .collect()
    }
}
