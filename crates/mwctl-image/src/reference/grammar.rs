//! The grammar of references, as the distribution project has it, read by hand: [`oci_client`] compiles a regular expression for it, which
//! takes longer than all else that a build has to do when nothing has changed. Its reader is the judge of this one.

use oci_client::ParseError;

/// Where an image is when nobody says where, and how that was called once.
const HUB: &str = "docker.io";
const FORMER_HUB: &str = "index.docker.io";
/// Whose images on it need no owner's name.
const OFFICIAL: &str = "library";

/// The most characters of a repository's name, and of a tag.
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// What a reference is made of. Where it says neither tag nor digest, the tag is `latest`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Parts {
    pub(super) registry: String,
    pub(super) repository: String,
    pub(super) tag: Option<String>,
    pub(super) digest: Option<String>,
}

/// Takes a reference apart, with all that is usually left out.
pub(super) fn parts(text: &str) -> Result<Parts, ParseError> {
    if text.is_empty() {
        return Err(ParseError::NameEmpty);
    }
    let (named, digest) = split(text, text.find('@'));
    // What follows a colon before the last slash is a port.
    let last = named.rfind('/').map_or(0, |slash| slash + 1);
    let colon = named[last..].find(':').map(|at| last + at);
    let (name, tag) = split(named, colon);
    let is_well_formed = is_name(name) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
    if !is_well_formed {
        let is_only_too_large = is_name(&name.to_lowercase());
        return Err(if is_only_too_large && !is_name(name) {
            ParseError::NameContainsUppercase
        } else {
            ParseError::ReferenceInvalidFormat
        });
    }
    let (registry, repository) = places(name);
    if repository.len() > LONGEST_NAME {
        return Err(ParseError::NameTooLong);
    }
    digest.map_or(Ok(()), supported)?;
    let tag = tag.or(digest.is_none().then_some("latest"));
    Ok(Parts {
        registry,
        repository,
        tag: tag.map(str::to_owned),
        digest: digest.map(str::to_owned),
    })
}

/// What is before and after the character at a place.
fn split(text: &str, at: Option<usize>) -> (&str, Option<&str>) {
    at.map_or((text, None), |at| (&text[..at], Some(&text[at + 1..])))
}

/// The registry and the repository of a name. Only what can't be an owner's name on the hub is a registry.
fn places(name: &str) -> (String, String) {
    let is_registry =
        |first: &str| first.contains('.') || first.contains(':') || first == "localhost";
    let (registry, repository) = match name.split_once('/') {
        Some((first, rest)) if is_registry(first) => (first, rest),
        _ => (HUB, name),
    };
    if registry != HUB && registry != FORMER_HUB {
        return (registry.to_owned(), repository.to_owned());
    }
    let repository = if repository.contains('/') {
        repository.to_owned()
    } else {
        format!("{OFFICIAL}/{repository}")
    };
    (HUB.to_owned(), repository)
}

/// Components between slashes, of which the first may be a domain with a port.
fn is_name(name: &str) -> bool {
    match name.split_once('/') {
        None => is_component(name),
        Some((first, rest)) => {
            (is_domain(first) || is_component(first)) && rest.split('/').all(is_component)
        }
    }
}

fn is_domain(text: &str) -> bool {
    let (host, port) = split(text, text.find(':'));
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_label = |label: &str| {
        let ends = [label.bytes().next(), label.bytes().next_back()];
        ends.into_iter()
            .all(|end| end.is_some_and(|end| end.is_ascii_alphanumeric()))
            && (label.bytes()).all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

/// Small letters and digits, between which there are a dot, one or two underscores, or any number of dashes.
fn is_component(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [text.bytes().next(), text.bytes().next_back()];
    let mut between = text.split(|letter: char| u8::try_from(letter).is_ok_and(is_plain));
    ends.into_iter().all(|end| end.is_some_and(is_plain))
        && between.all(|between| {
            matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-')
        })
}

fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= LONGEST_TAG
        && text.bytes().next().is_some_and(is_word)
        && (text.bytes()).all(|byte| is_word(byte) || byte == b'.' || byte == b'-')
}

/// An algorithm of words, and the number in hexadecimal.
fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else {
        return false;
    };
    let is_word = |word: &str| {
        word.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    algorithm.split(['-', '_', '+', '.']).all(is_word)
        && hex.len() >= 32
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether anybody can check it.
fn supported(digest: &str) -> Result<(), ParseError> {
    let (algorithm, hex) = digest.split_once(':').unwrap_or_default();
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return Err(ParseError::DigestUnsupported),
    };
    if hex.len() == length {
        Ok(())
    } else {
        Err(ParseError::DigestInvalidLength)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_client::Reference;
    use proptest::prelude::*;

    /// What the other reader makes of it; its reasons are coarser than ours.
    fn judged(text: &str) -> Option<Parts> {
        let reference: Reference = text.parse().ok()?;
        Some(Parts {
            registry: reference.registry().to_owned(),
            repository: reference.repository().to_owned(),
            tag: reference.tag().map(str::to_owned),
            digest: reference.digest().map(str::to_owned),
        })
    }

    /// Texts that are nearly references.
    fn near() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            "[a-z0-9]{1,4}",
            "[a-zA-Z0-9._-]{1,6}",
            Just("localhost".to_owned()),
            Just("docker.io".to_owned()),
            Just("index.docker.io".to_owned()),
            "[a-z]{1,3}(__|_|\\.|-{1,3}|___|\\.\\.)[a-z]{1,3}",
            "[a-z]{1,3}:[0-9]{0,4}",
        ];
        let tag = prop_oneof![Just(String::new()), ":[a-zA-Z0-9_.-]{0,5}", ":v{127,130}"];
        let digest = prop_oneof![
            3 => Just(String::new()),
            1 => "@sha256:[0-9a-f]{63,65}",
            1 => "@sha(384|512):[0-9a-fA-F]{96}",
            1 => "@[a-z0-9+._-]{1,8}:[0-9a-g]{31,33}",
        ];
        let name = prop::collection::vec(word, 1..4).prop_map(|words| words.join("/"));
        (name, tag, digest).prop_map(|(name, tag, digest)| format!("{name}{tag}{digest}"))
    }

    proptest! {
        #[test]
        fn references_are_read_as_their_judge_reads_them(text in near()) {
            prop_assert_eq!(parts(&text).ok(), judged(&text), "{}", text);
        }

        #[test]
        fn no_text_is_too_strange(text in "[a-zA-Z0-9:/@._ +-]{0,40}") {
            prop_assert_eq!(parts(&text).ok(), judged(&text), "{}", text);
        }
    }

    #[test]
    fn a_name_may_be_as_long_as_it_may() {
        for length in [240, 246, 247, 248, 255, 256, 300] {
            let text = "a".repeat(length);
            assert_eq!(parts(&text).ok(), judged(&text), "{length}");
            let text = format!("example.org/{text}");
            assert_eq!(parts(&text).ok(), judged(&text), "{length}");
        }
    }

    #[test]
    fn large_letters_are_told_from_nonsense() {
        let why = |text| parts(text).unwrap_err();
        assert_eq!(why("example.org/Node"), ParseError::NameContainsUppercase);
        assert_eq!(why("a//b"), ParseError::ReferenceInvalidFormat);
    }

    #[test]
    fn letters_of_other_alphabets_are_no_tag() {
        assert!(parts("a:ä").is_err());
    }
}
