//! Updates where the target is the checkout itself, mounted: the files are there already, so nothing is compared with them and
//! nothing is written. The manifest says what the process was last told of, so that a session that comes back knows what is new to it.

use super::Files;
use super::commit::Committed;
use super::staging::{Contents, Staging};
use crate::agent::manifest::Record;
use crate::protocol::Entry;

impl Files {
    /// Whether the process has been told of each of these as it is.
    pub(super) fn known(&self, entries: &[Entry]) -> Vec<bool> {
        let known = &self.manifest.state.entries;
        entries
            .iter()
            .map(|entry| known.get(&entry.path) == Some(&entry.kind))
            .collect()
    }

    /// Takes a change; its contents aren't sent.
    pub(super) fn note(&mut self, update: u64, entry: Entry) {
        let staging = self.staging(update);
        if let Some(path) = staging.parse(&entry.path) {
            staging.staged(path, entry.kind, Contents::Memory(Vec::new()));
        }
    }

    /// Ends an update: remembers what changed.
    pub(super) fn commit_mounted(&mut self, session: &str, update: u64) -> Committed {
        let mut staging = self
            .staging
            .take()
            .filter(|staging| staging.update == update)
            .unwrap_or_else(|| Staging::new(update));
        let mut done = Committed::default();
        done.applied.update = update;
        // What isn't known is what changed since, and there it is.
        let written = std::mem::take(&mut staging.missing)
            .into_iter()
            .chain(staging.puts.iter().map(|staged| staged.path.to_string()));
        done.changed.extend(written);
        done.applied.written = done.changed.len() as u32;
        let mut records = self.claims_of(&staging);
        for path in self.deletes_of(&staging) {
            let path = path.to_string();
            if self.manifest.state.entries.contains_key(&path) {
                done.applied.deleted += 1;
                done.changed.insert(path.clone());
                records.push(Record::Lost { path });
            }
        }
        done.applied.failed.append(&mut staging.refused);
        self.remember(session, records, &mut done);
        done
    }
}
