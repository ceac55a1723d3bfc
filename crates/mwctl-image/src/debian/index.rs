//! The list of an archive's packages, read as it comes: it has 50 MB, of which some hundred lines matter.

use std::io::{self, BufRead};

/// One package of an archive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Package<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) architecture: &'a str,
}

/// Hands each package to `take`.
pub(super) fn read(mut text: impl BufRead, mut take: impl FnMut(Package<'_>)) -> io::Result<()> {
    let [mut name, mut version, mut architecture] = [const { String::new() }; 3];
    let mut line = Vec::new();
    loop {
        line.clear();
        let is_end = text.read_until(b'\n', &mut line)? == 0;
        if is_end || line == b"\n" {
            if !name.is_empty() && !version.is_empty() {
                take(Package {
                    name: &name,
                    version: &version,
                    architecture: &architecture,
                });
            }
            if is_end {
                return Ok(());
            }
            for field in [&mut name, &mut version, &mut architecture] {
                field.clear();
            }
        }
        for (field, into) in [
            (&b"Package: "[..], &mut name),
            (&b"Version: "[..], &mut version),
            (&b"Architecture: "[..], &mut architecture),
        ] {
            if let Some(value) = line.strip_prefix(field) {
                into.clear();
                into.push_str(String::from_utf8_lossy(value).trim());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_told_one_by_one() {
        let text = "Package: a\nVersion: 1\nArchitecture: all\nDescription: x\n Package: b\n\n\
            Package: broken\n\nPackage: c\nArchitecture: amd64\nVersion: 2-1";
        let mut found = Vec::new();
        let take =
            |it: Package<'_>| found.push(format!("{} {} {}", it.name, it.version, it.architecture));
        read(text.as_bytes(), take).unwrap();
        assert_eq!(found, ["a 1 all", "c 2-1 amd64"]);
    }
}
