//! What an archive signs: the sums of its indices, and how long they count.

use std::collections::BTreeMap;

use crate::packages::paragraphs;

/// One suite of an archive, as its signed description says.
#[derive(Debug)]
pub(super) struct Release {
    /// Whether it is one of security updates.
    pub(super) is_security: bool,
    /// Whether files can be had by their sums.
    pub(super) by_hash: bool,
    /// Until when it counts, in seconds since 1970.
    pub(super) valid_until: Option<i64>,
    /// By path: sum and length.
    files: BTreeMap<String, (String, u64)>,
}

/// How an index is packed, the first that is there is taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Packed {
    Xz,
    Gzip,
    Plain,
}

/// An index to be fetched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Index {
    /// Below the suite's folder.
    pub(super) path: String,
    /// SHA-256 in hexadecimal digits.
    pub(super) sum: String,
    pub(super) size: u64,
    pub(super) packed: Packed,
}

impl Release {
    /// Reads a description whose signature was checked.
    pub(super) fn read(text: &str) -> Self {
        let fields = paragraphs(text).next().unwrap_or_default();
        let field = |name: &str| fields.get(name).copied().unwrap_or_default();
        let names = ["Suite", "Codename"].map(field);
        Self {
            is_security: field("Label").ends_with("-Security")
                || names.iter().any(|name| name.ends_with("-security")),
            by_hash: field("Acquire-By-Hash") == "yes",
            valid_until: fields.get("Valid-Until").map(|text| time(text)),
            files: sums(text),
        }
    }

    /// Where the packages of a component are listed; `None` where it has none for the architecture.
    pub(super) fn packages(&self, component: &str, architecture: &str) -> Option<Index> {
        let path = format!("{component}/binary-{architecture}/Packages");
        [
            (".xz", Packed::Xz),
            (".gz", Packed::Gzip),
            ("", Packed::Plain),
        ]
        .into_iter()
        .find_map(|(end, packed)| {
            let path = format!("{path}{end}");
            let (sum, size) = self.files.get(&path)?.clone();
            let path = match path.rsplit_once('/') {
                Some((folder, _)) if self.by_hash => format!("{folder}/by-hash/SHA256/{sum}"),
                _ => path,
            };
            Some(Index {
                path,
                sum,
                size,
                packed,
            })
        })
    }
}

/// The time of a description; one that can't be read is long over.
fn time(text: &str) -> i64 {
    // What they write is of the form of mails, but for the zone's name.
    let text = text.replace("UTC", "+0000");
    let parsed = jiff::fmt::rfc2822::parse(&text);
    parsed
        .map(|time| time.timestamp().as_second())
        .unwrap_or_default()
}

fn sums(text: &str) -> BTreeMap<String, (String, u64)> {
    let lines = text.lines().skip_while(|line| *line != "SHA256:").skip(1);
    let lines = lines.take_while(|line| line.starts_with(' '));
    let files = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        let (sum, size, path) = (words.next()?, words.next()?, words.next()?);
        let is_sum = sum.len() == 64 && sum.bytes().all(|it| it.is_ascii_hexdigit());
        // A name that led elsewhere would be asked for elsewhere.
        let is_path = !path.split('/').any(|part| part == "..");
        let found = (
            path.to_owned(),
            (sum.to_ascii_lowercase(), size.parse().ok()?),
        );
        (is_sum && is_path).then_some(found)
    });
    files.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(head: &str, ends: &[&str]) -> String {
        let sum = "ab".repeat(32);
        let files = ends
            .iter()
            .map(|end| format!(" {sum} 7 main/binary-amd64/Packages{end}\n"));
        let files: String = files.collect();
        format!("{head}MD5Sum:\n x 1 main/binary-amd64/Packages\nSHA256:\n{files}")
    }

    #[test]
    fn the_smallest_form_is_taken_by_its_sum_where_that_can_be_had() {
        let release = Release::read(&text("Acquire-By-Hash: yes\n", &["", ".gz", ".xz"]));
        let index = release.packages("main", "amd64").unwrap();
        let sum = "ab".repeat(32);
        assert_eq!(
            index.path,
            format!("main/binary-amd64/by-hash/SHA256/{sum}")
        );
        assert_eq!((index.packed, index.size, index.sum), (Packed::Xz, 7, sum));
        let release = Release::read(&text("", &["", ".gz"]));
        let index = release.packages("main", "amd64").unwrap();
        assert_eq!(index.path, "main/binary-amd64/Packages.gz");
        assert_eq!(release.packages("contrib", "amd64"), None);
        let bad = text("", &[".xz"]).replace("main/", "main/../");
        assert_eq!(Release::read(&bad).packages("main/..", "amd64"), None);
    }

    #[test]
    fn security_and_the_end_are_read() {
        let release = |head: &str| Release::read(&text(head, &[]));
        assert!(release("Label: Debian-Security\n").is_security);
        assert!(release("Codename: noble-security\n").is_security);
        assert!(!release("Label: Debian\nSuite: oldstable\n").is_security);
        assert_eq!(release("").valid_until, None);
        let until = release("Valid-Until: Thu, 03 Dec 2026 21:03:35 UTC\n").valid_until;
        assert_eq!(until, Some(1_796_331_815));
        assert_eq!(release("Valid-Until: some day\n").valid_until, Some(0));
    }
}
