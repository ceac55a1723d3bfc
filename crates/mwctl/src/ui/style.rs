//! The few styles there are; colour never carries a meaning alone.

use owo_colors::OwoColorize;

/// A heading or a name.
pub(crate) fn bold(text: &str) -> String {
    text.bold().to_string()
}

/// Something less important.
pub(crate) fn dim(text: &str) -> String {
    text.dimmed().to_string()
}

/// Something that went well.
pub(crate) fn good(text: &str) -> String {
    text.green().to_string()
}

/// Something that failed.
pub(crate) fn bad(text: &str) -> String {
    text.red().bold().to_string()
}

/// Something that is weaker than it could be.
pub(crate) fn warning(text: &str) -> String {
    text.yellow().to_string()
}

/// Something to look at or to type.
pub(crate) fn accent(text: &str) -> String {
    text.cyan().to_string()
}

/// A colour that is always the same for the same name.
pub(crate) fn name(text: &str, width: usize) -> String {
    let padded = format!("{text:width$}");
    match text.bytes().fold(0_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    }) % 5
    {
        0 => padded.cyan().to_string(),
        1 => padded.magenta().to_string(),
        2 => padded.blue().to_string(),
        3 => padded.yellow().to_string(),
        _ => padded.green().to_string(),
    }
}
