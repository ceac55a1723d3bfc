//! Reads label selectors: words and signs, then requirements.

use super::{Operator, Requirement};
use crate::names;
use std::collections::BTreeSet;

/// What is left of a selector.
pub(super) struct Parser<'a> {
    rest: &'a str,
}

/// A word, or one of the signs. The end of the text is an empty sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Sign(&'a str),
}

const END: Token<'static> = Token::Sign("");
const COMMA: Token<'static> = Token::Sign(",");
const CLOSE: Token<'static> = Token::Sign(")");

impl<'a> Token<'a> {
    fn text(self) -> &'a str {
        let (Token::Word(text) | Token::Sign(text)) = self;
        text
    }

    fn unexpected(self, expected: &str) -> String {
        format!("found '{}', expected: {expected}", self.text())
    }
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// Requirements up to the end, with commas between them.
    pub(super) fn requirements(mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        match self.peek() {
            END => return Ok(requirements),
            Token::Word(_) | Token::Sign("!") => {}
            other @ Token::Sign(_) => {
                return Err(other.unexpected("!, identifier, or 'end of string'"));
            }
        }
        loop {
            let requirement = self.requirement();
            requirements.push(
                requirement.map_err(|fault| format!("unable to parse requirement: {fault}"))?,
            );
            match self.next() {
                END => return Ok(requirements),
                COMMA => {}
                other => return Err(other.unexpected("',' or 'end of string'")),
            }
            if !matches!(self.peek(), Token::Word(_) | Token::Sign("!")) {
                return Err(self.peek().unexpected("identifier after ','"));
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = self.peek() == Token::Sign("!");
        if absent {
            self.next();
        }
        let key = self.word()?;
        check(&[], key, &names::qualified_name(key))?;
        let (operator, values) = if absent {
            (Operator::Absent, Vec::new())
        } else if matches!(self.peek(), END | COMMA) {
            (Operator::Exists, Vec::new())
        } else {
            self.comparison()?
        };
        if matches!(operator, Operator::In | Operator::NotIn) {
            for (index, value) in values.iter().enumerate() {
                let place = [index.to_string(), key.to_owned()];
                check(&place, value, &names::label_value(value))?;
            }
        }
        Ok(Requirement {
            key: key.to_owned(),
            operator,
            values,
        })
    }

    fn comparison(&mut self) -> Result<(Operator, Vec<String>), String> {
        let operator = match self.next() {
            Token::Word("in") => return Ok((Operator::In, self.list()?)),
            Token::Word("notin") => return Ok((Operator::NotIn, self.list()?)),
            Token::Sign("=" | "==") => Operator::In,
            Token::Sign("!=") => Operator::NotIn,
            Token::Sign(">") => Operator::Greater,
            Token::Sign("<") => Operator::Less,
            other => return Err(other.unexpected("in, notin, =, ==, !=, gt, lt")),
        };
        let value = match self.peek() {
            END | COMMA => "",
            _ => self.word()?,
        };
        let ordered = matches!(operator, Operator::Greater | Operator::Less);
        if ordered && value.parse::<i64>().is_err() {
            let why = "for 'Gt', 'Lt' operators, the value must be an integer";
            return Err(format!("values[0]: Invalid value: \"{value}\": {why}"));
        }
        Ok((operator, vec![value.to_owned()]))
    }

    /// Values in parentheses. Nothing between two commas, or beside a parenthesis, is the empty value.
    fn list(&mut self) -> Result<Vec<String>, String> {
        let open = self.next();
        if open != Token::Sign("(") {
            return Err(format!("found '{}' expected: '('", open.text()));
        }
        let mut values = BTreeSet::new();
        loop {
            let value = match self.peek() {
                Token::Word(value) => {
                    self.next();
                    value
                }
                COMMA | CLOSE => "",
                other @ Token::Sign(_) => return Err(other.unexpected("',', ')' or identifier")),
            };
            values.insert(value.to_owned());
            match self.next() {
                CLOSE => return Ok(values.into_iter().collect()),
                COMMA => {}
                other => return Err(other.unexpected("',' or ')'")),
            }
        }
    }

    fn word(&mut self) -> Result<&'a str, String> {
        match self.next() {
            Token::Word(word) => Ok(word),
            other @ Token::Sign(_) => Err(other.unexpected("identifier")),
        }
    }

    fn peek(&self) -> Token<'a> {
        self.token().0
    }

    fn next(&mut self) -> Token<'a> {
        let (token, rest) = self.token();
        self.rest = rest;
        token
    }

    /// The next token, and what follows it.
    fn token(&self) -> (Token<'a>, &'a str) {
        let is_sign = |letter: char| "=!(),><".contains(letter);
        let text = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        if text.starts_with(is_sign) {
            let length = if text.starts_with("==") || text.starts_with("!=") {
                2
            } else {
                1
            };
            let (sign, rest) = text.split_at(length);
            return (Token::Sign(sign), rest);
        }
        let ends = |letter: char| is_sign(letter) || " \t\r\n".contains(letter);
        let (word, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
        let token = if word.is_empty() {
            END
        } else {
            Token::Word(word)
        };
        (token, rest)
    }
}

/// The first complaints about a key (at no place) or a value (at `values[0][key]`).
fn check(place: &[String], text: &str, complaints: &[String]) -> Result<(), String> {
    if complaints.is_empty() {
        return Ok(());
    }
    let field = match place {
        [index, key] => format!("values[{index}][{key}]"),
        _ => "<nil>".to_owned(),
    };
    let told = complaints.join("; ");
    Err(format!("{field}: Invalid value: \"{text}\": {told}"))
}
