//! A Dockerfile as instructions, with the lines on which they begin.

use crate::plan::Problem;

/// One instruction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Line {
    /// Where it begins, from 1.
    pub number: usize,
    /// Its word, in capitals.
    pub word: String,
    /// What follows, without line ends that were escaped.
    pub rest: String,
}

/// Cuts a text into instructions.
pub(super) fn read(text: &str) -> Result<Vec<Line>, Problem> {
    let text = text.trim_start_matches('\u{feff}');
    let escape = escape(text)?;
    let mut instructions = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, raw) in text.lines().enumerate() {
        let is_comment = raw.trim_start().starts_with('#');
        if is_comment || (raw.trim().is_empty() && open.is_some()) {
            // Within an instruction such lines count as if they weren't there.
            continue;
        }
        let line = raw.trim_end();
        let (content, goes_on) = match line.strip_suffix(escape) {
            Some(content) => (content, true),
            None => (line, false),
        };
        let (number, so_far) = open.take().unwrap_or((index + 1, String::new()));
        let content = if so_far.is_empty() {
            content.trim_start().to_owned()
        } else {
            so_far + content
        };
        if goes_on {
            open = Some((number, content));
        } else if !content.is_empty() {
            instructions.push(instruction(number, &content));
        }
    }
    if let Some((number, content)) = open
        && !content.trim().is_empty()
    {
        instructions.push(instruction(number, &content));
    }
    Ok(instructions)
}

fn instruction(number: usize, content: &str) -> Line {
    let content = content.trim();
    let (word, rest) = content
        .split_once(char::is_whitespace)
        .unwrap_or((content, ""));
    Line {
        number,
        word: word.to_uppercase(),
        rest: rest.trim().to_owned(),
    }
}

/// The letter that escapes, which the first comments may set.
fn escape(text: &str) -> Result<char, Problem> {
    for (index, line) in text.lines().enumerate() {
        let Some(comment) = line.trim().strip_prefix('#') else {
            break;
        };
        let Some((name, value)) = comment.split_once('=') else {
            break;
        };
        if name.trim().eq_ignore_ascii_case("escape") {
            return match value.trim() {
                "\\" => Ok('\\'),
                "`" => Ok('`'),
                other => {
                    let message = format!("`{other}` can't be what escapes");
                    Err(Problem::new(index + 1, message))
                }
            };
        }
    }
    Ok('\\')
}
