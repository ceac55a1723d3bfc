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
    let mut lines = text.lines().enumerate();
    while let Some((index, raw)) = lines.next() {
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
            let instruction = instruction(number, &content);
            if matches!(instruction.word.as_str(), "RUN" | "COPY" | "ADD") {
                for end in texts(&instruction.rest) {
                    // What isn't ended takes the rest of the file.
                    lines.by_ref().find(|(_, line)| end.is(line));
                }
            }
            instructions.push(instruction);
        }
    }
    if let Some((number, content)) = open
        && !content.trim().is_empty()
    {
        instructions.push(instruction(number, &content));
    }
    Ok(instructions)
}

/// How a text within the file ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct End {
    name: String,
    /// Whether tabs before it don't count.
    tabs: bool,
}

impl End {
    fn is(&self, line: &str) -> bool {
        let line = if self.tabs {
            line.trim_start_matches('\t')
        } else {
            line
        };
        line == self.name
    }
}

/// The texts that an instruction has on the lines after it: words like `<<EOF` or `3<<-"EOF"`, but neither the shell's
/// `<<<` nor a number that is shifted.
pub(super) fn texts(rest: &str) -> Vec<End> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut letters = rest.chars();
    while let Some(letter) = letters.next() {
        if quote.is_none() && letter.is_whitespace() {
            words.push(String::new());
            continue;
        }
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            _ => {}
        }
        if let Some(word) = words.last_mut() {
            word.push(letter);
            if letter == '\\' && quote != Some('\'') {
                word.extend(letters.next());
            }
        }
    }
    let text = |word: &String| {
        let word = word.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let name = word.strip_prefix("<<")?;
        let (name, tabs) = match name.strip_prefix('-') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let name = name.replace(['"', '\''], "");
        let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        (is_name && !name.contains('<')).then_some(End { name, tabs })
    };
    words.iter().filter_map(text).collect()
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
