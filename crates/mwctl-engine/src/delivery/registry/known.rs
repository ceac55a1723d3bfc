//! Which repository of a registry has a content, as far as this machine pushed it: from there it can be taken over.
//!
//! A guess. The registry may have been emptied since, and says so when it is asked.

use mwctl_image::Reference;
use mwctl_image::digest::Digest;
use mwctl_image::oci::Descriptor;
use serde::{Deserialize, Serialize};

use crate::image::{Base, Cache};

/// So many contents are remembered of one registry.
const MOST: usize = 512;

/// What is remembered of one registry: digests and repositories, the latest last.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Known(Vec<(String, String)>);

fn note(address: &str) -> String {
    address.replace(':', "_")
}

impl Known {
    pub(super) fn read(cache: &Cache, address: &str) -> Self {
        cache.note("pushed", &note(address)).unwrap_or_default()
    }

    /// Remembers it; who can't sends a little more the next time.
    pub(super) fn write(&self, cache: &Cache, address: &str) {
        if let Err(error) = cache.set_note("pushed", &note(address), self) {
            tracing::debug!(%error, "what was pushed isn't remembered");
        }
    }

    /// Takes a base that came from this very registry into account.
    pub(super) fn assume(&mut self, address: &str, base: &Base) {
        let Ok(reference) = Reference::parse(&base.reference) else {
            return;
        };
        let repository = reference.repository();
        if repository.split('/').next() == Some(address) {
            let digests = base.layers.iter().map(|layer| layer.digest.clone());
            // Before all others: whatever was pushed since is known better.
            let assumed = digests.map(|digest| (digest, repository.to_owned()));
            self.0.splice(0..0, assumed);
        }
    }

    /// Another repository that has a content.
    pub(super) fn elsewhere(&self, digest: &Digest, than: &Reference) -> Option<Reference> {
        let mut known = self.0.iter().rev();
        let (_, repository) = known.find(|(known, repository)| {
            known == digest.as_str() && repository != than.repository()
        })?;
        Reference::parse(repository).ok()
    }

    /// What an image's repository has now.
    pub(super) fn add(&mut self, contents: &[Descriptor], reference: &Reference) {
        let repository = reference.repository();
        self.0.retain(|(digest, in_repository)| {
            in_repository != repository || !contents.iter().any(|it| it.digest.as_str() == digest)
        });
        let new = contents.iter().map(|it| it.digest.to_string());
        self.0
            .extend(new.map(|digest| (digest, repository.to_owned())));
        let surplus = self.0.len().saturating_sub(MOST);
        self.0.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(numbers: std::ops::Range<usize>) -> Vec<Descriptor> {
        let content = |number: usize| Descriptor {
            media_type: "x/y".to_owned(),
            digest: Digest::of(number.to_string().as_bytes()),
            size: 1,
        };
        numbers.map(content).collect()
    }

    fn name(text: &str) -> Reference {
        Reference::parse(text).unwrap()
    }

    #[test]
    fn a_content_is_taken_over_from_the_repository_that_got_it_last_and_never_from_its_own() {
        let mut known = Known::default();
        let (one, two, three) = (name("r:1/a:1"), name("r:1/b:1"), name("r:1/c:1"));
        let base = contents(0..1);
        let digest = &base[0].digest;
        known.add(&base, &one);
        assert_eq!(known.elsewhere(digest, &one), None);
        assert_eq!(known.elsewhere(digest, &two).unwrap().repository(), "r:1/a");
        known.add(&base, &two);
        assert_eq!(
            known.elsewhere(digest, &three).unwrap().repository(),
            "r:1/b"
        );
        assert_eq!(known.elsewhere(digest, &two).unwrap().repository(), "r:1/a");
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut known = Known::default();
        let all = contents(0..MOST + 2);
        let (one, two) = (name("r:1/a:1"), name("r:1/b:1"));
        known.add(&all[..2], &one);
        known.add(&all[2..], &one);
        assert_eq!(known.0.len(), MOST);
        assert_eq!(known.elsewhere(&all[1].digest, &two), None);
        assert!(known.elsewhere(&all[2].digest, &two).is_some());
    }
}
