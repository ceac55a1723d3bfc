//! Secrets that a build knows, which nobody is to read in what its programs write.
//!
//! Those are the passwords in the addresses of proxies, and the arguments whose names say that they are secrets.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::passed_on;

/// What stands in the place of a secret.
const HIDDEN: &[u8] = "…".as_bytes();
/// Shorter ones are in every text, and protect nothing.
const SHORTEST: usize = 4;
/// What the name of a secret has in it.
const NAMES: [&str; 5] = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL"];

/// Hides secrets in a stream of bytes.
#[derive(Clone, Debug)]
pub(super) struct Mask {
    secrets: Vec<Vec<u8>>,
    /// What a secret may begin with.
    first: [bool; 256],
    /// What may be the beginning of one.
    held: Vec<u8>,
}

impl Mask {
    /// Of variables that the user gives.
    pub(super) fn new<'a>(given: impl IntoIterator<Item = &'a BTreeMap<String, String>>) -> Self {
        let proxies = passed_on();
        let mut secrets = Vec::new();
        for (name, value) in given.into_iter().flatten() {
            let upper = name.to_uppercase();
            if proxies.contains(name.as_str()) {
                secrets.extend(of_address(value));
            } else if NAMES.iter().any(|word| upper.contains(word)) {
                secrets.push(value.clone().into_bytes());
            }
        }
        secrets.retain(|secret| secret.len() >= SHORTEST);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let mut first = [false; 256];
        for secret in &secrets {
            first[usize::from(secret[0])] = true;
        }
        Self {
            secrets,
            first,
            held: Vec::new(),
        }
    }

    /// Adds to `shown` what may be shown of the next bytes. A secret may be cut anywhere: its beginning is held back until
    /// more is known.
    pub(super) fn feed(&mut self, bytes: &[u8], shown: &mut Vec<u8>) {
        if self.secrets.is_empty() {
            shown.extend_from_slice(bytes);
            return;
        }
        self.held.extend_from_slice(bytes);
        self.hide(shown, false);
    }

    /// Adds what was held back, after the last bytes.
    pub(super) fn end(&mut self, shown: &mut Vec<u8>) {
        self.hide(shown, true);
    }

    /// The same for a text that is there as a whole.
    pub(super) fn whole(&self, text: &str) -> String {
        let (mut mask, mut shown) = (self.clone(), Vec::new());
        mask.feed(text.as_bytes(), &mut shown);
        mask.end(&mut shown);
        String::from_utf8_lossy(&shown).into_owned()
    }

    fn hide(&mut self, shown: &mut Vec<u8>, all: bool) {
        let mut at = 0;
        while let Some(byte) = self.held.get(at) {
            if self.first[usize::from(*byte)] {
                let rest = &self.held[at..];
                let goes_on =
                    |secret: &Vec<u8>| secret.len() > rest.len() && secret.starts_with(rest);
                if !all && self.secrets.iter().any(goes_on) {
                    break;
                }
                // The longest first: it may begin with another.
                if let Some(secret) = self.secrets.iter().find(|secret| rest.starts_with(secret)) {
                    shown.extend_from_slice(HIDDEN);
                    at += secret.len();
                    continue;
                }
            }
            shown.push(*byte);
            at += 1;
        }
        self.held.drain(..at);
    }
}

/// The password of an address such as `http://user:password@proxy:8080`, in each form in which programs write it.
fn of_address(address: &str) -> Vec<Vec<u8>> {
    let (_, rest) = address.split_once("://").unwrap_or(("", address));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let Some((user, password)) = authority
        .rsplit_once('@')
        .and_then(|(user, _)| user.split_once(':'))
    else {
        return Vec::new();
    };
    let (plain_user, plain) = (decoded(user), decoded(password));
    let header = [plain_user.as_slice(), b":", plain.as_slice()].concat();
    vec![
        password.as_bytes().to_vec(),
        plain,
        STANDARD.encode(header).into_bytes(),
    ]
}

/// Without percent signs.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%');
        if let Some(byte) = digits.and_then(|digits| hex::decode(digits).ok()) {
            bytes.extend(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(pairs: &[(&str, &str)]) -> Mask {
        let pairs = pairs.iter();
        let given = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Mask::new([&given.collect()])
    }

    #[test]
    fn a_proxys_password_is_hidden_however_it_is_written() {
        let mask = mask(&[
            ("https_proxy", "http://me:p%40ssword@proxy:3128/"),
            ("no_proxy", "localhost,a:b"),
        ]);
        let basic = STANDARD.encode("me:p@ssword");
        let text = format!("http://me:p%40ssword@proxy p@ssword\nBasic {basic} localhost,a:b");
        let shown = mask.whole(&text);
        assert_eq!(shown, "http://me:…@proxy …\nBasic … localhost,a:b");
    }

    #[test]
    fn arguments_whose_names_say_so_are_secrets() {
        let mask = mask(&[
            ("NPM_TOKEN", "abcdef"),
            ("db_password", "xyz"),
            ("VERSION", "1.2.3"),
        ]);
        assert_eq!(mask.whole("abcdef 1.2.3 xyz abcde"), "… 1.2.3 xyz abcde");
    }

    #[test]
    fn one_secret_may_begin_with_another() {
        let mask = mask(&[("A_TOKEN", "abcd"), ("B_TOKEN", "abcdefgh")]);
        assert_eq!(mask.whole("abcdefgh abcd abcdef"), "… … …ef");
    }

    proptest::proptest! {
        #[test]
        fn wherever_the_bytes_are_cut_the_same_is_hidden(text in "[ab]{0,60}", cuts in proptest::collection::vec(1_usize..7, 0..60)) {
            let whole = mask(&[("A_TOKEN", "abba"), ("B_TOKEN", "aabab")]);
            let (mut pieces, mut shown, mut rest) = (whole.clone(), Vec::new(), text.as_bytes());
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.feed(piece, &mut shown);
                rest = after;
            }
            pieces.feed(rest, &mut shown);
            pieces.end(&mut shown);
            proptest::prop_assert_eq!(String::from_utf8(shown).unwrap(), whole.whole(&text));
        }
    }
}
