//! The text of a lock: equal locks have equal texts.

use std::fmt::{self, Write as _};

use super::read::VERSION;
use super::{Lock, LockedBase};

const HEAD: &str = "\
# The images that this stack's own are built upon, as `mwctl images update` found them. Builds take exactly these.
# Commit this file with `mwctl.yaml`. `mwctl images outdated` says what is newer; to go back, take the old file back.
";

impl fmt::Display for Lock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HEAD)?;
        writeln!(formatter, "version: {VERSION}")?;
        if self.is_empty() {
            return formatter.write_str("bases: []\n");
        }
        formatter.write_str("bases:\n")?;
        self.bases().try_for_each(|base| write(formatter, base))
    }
}

fn write(formatter: &mut fmt::Formatter<'_>, base: &LockedBase) -> fmt::Result {
    writeln!(formatter, "- ref: {}", Scalar(&base.reference))?;
    writeln!(formatter, "  source:")?;
    writeln!(formatter, "    kind: {}", base.source.kind.name())?;
    if !base.source.from.is_empty() {
        writeln!(formatter, "    from: {}", Scalar(&base.source.from))?;
    }
    writeln!(formatter, "  digest: {}", base.digest)?;
    if let Some(index) = &base.index {
        writeln!(formatter, "  index: {index}")?;
    }
    writeln!(formatter, "  platform: {}", base.platform)?;
    if !base.packages.is_empty() {
        writeln!(formatter, "  packages:")?;
        for (name, version) in &base.packages {
            writeln!(formatter, "    {}: {}", Scalar(name), Quoted(version))?;
        }
    }
    writeln!(formatter, "  checked: {}", base.checked)
}

/// Words that some reader of YAML takes for no text.
const OTHERS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

/// A text that stands as it is where YAML takes it for a text whatever it says, else in quotes.
struct Scalar<'a>(&'a str);

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@+".contains(&byte);
        let is_word = self.0.starts_with(|it: char| it.is_ascii_alphabetic())
            && !self.0.ends_with(':')
            && self.0.bytes().all(plain)
            && !OTHERS.contains(&self.0.to_ascii_lowercase().as_str());
        if is_word {
            formatter.write_str(self.0)
        } else {
            Quoted(self.0).fmt(formatter)
        }
    }
}

/// A text in quotes, as JSON and YAML have them.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_char('"')?;
        for letter in self.0.chars() {
            match letter {
                '"' | '\\' => write!(formatter, "\\{letter}")?,
                letter if letter.is_control() => write!(formatter, "\\u{:04x}", u32::from(letter))?,
                letter => formatter.write_char(letter)?,
            }
        }
        formatter.write_char('"')
    }
}
