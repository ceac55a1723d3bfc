//! A command line as a shell splits it into words, as far as that is possible without a shell.

/// The words; `None` where only a shell could say: variables, redirections, several commands, an
/// unclosed quote.
pub(super) fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => {
                            let next = chars.next()?;
                            if !matches!(next, '"' | '\\' | '$' | '`' | '\n') {
                                word.push('\\');
                            }
                            word.push(next);
                        }
                        '$' | '`' => return None,
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            '$' | '`' | '|' | '&' | ';' | '<' | '>' | '(' | ')' | '*' | '?' | '#' => return None,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

/// The command that runs a line: its words, or a shell where one is needed.
pub(super) fn command(line: &str) -> Vec<String> {
    match split(line) {
        Some(words) if !words.is_empty() && !words[0].contains('=') => words,
        _ => ["/bin/sh", "-c", line].map(ToOwned::to_owned).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_where_a_shell_splits_it() {
        let words = split(r#"node  server.js -c 'a b' "c \"d\"" e\ f ''"#).unwrap();
        assert_eq!(
            words,
            ["node", "server.js", "-c", "a b", "c \"d\"", "e f", ""]
        );
    }

    #[test]
    fn what_needs_a_shell_gets_one() {
        for line in ["a && b", "echo $HOME", "a > b", "a 'b", "A=1 b", "\"$x\""] {
            assert_eq!(command(line)[..2], ["/bin/sh", "-c"], "{line}");
        }
        assert_eq!(command("npm start"), ["npm", "start"]);
    }
}
