//! Short names for contents: equal templates get equal names, in an alphabet that can't spell words.
//!
//! Kubernetes hashes a dump of its Go structures, which nobody else can reproduce; nothing depends on the value, only on its being the same
//! for the same template. Templates themselves are compared as a whole.

use serde::Serialize;

/// Consonants and digits: no vowel, and none that looks like another.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// FNV-1a, 32 bits.
pub(crate) fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// The name of a content, different after every collision.
pub(crate) fn name_of(content: &impl Serialize, collisions: Option<i32>) -> String {
    // Values of the API can be written as JSON; one that can't has the name of nothing.
    let mut bytes = serde_json::to_vec(content).unwrap_or_default();
    if let Some(collisions) = collisions {
        bytes.extend(collisions.to_le_bytes());
    }
    let digits = fnv(&bytes).to_string();
    (digits.bytes())
        .map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()]))
        .collect()
}
