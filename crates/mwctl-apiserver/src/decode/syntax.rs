//! What Go's decoder says of text that is no JSON. It is asked only when something was wrong, and only to word the refusal.

/// The complaint about this text; `None` when Go would have none.
pub(super) fn complaint(text: &[u8]) -> Option<String> {
    let mut scanner = Scanner { text, at: 0 };
    scanner.document().err()
}

/// The beginning of a body as upstream quotes it: text that begins as an object does, bytes otherwise.
pub(super) fn summary(body: &[u8]) -> String {
    const MOST: usize = 30;
    let shown = &body[..body.len().min(MOST)];
    let rest = if body.len() > MOST { " ..." } else { "" };
    if body.is_empty() {
        "<empty>".to_owned()
    } else if body.starts_with(b"{") {
        format!("{}{rest}", String::from_utf8_lossy(shown))
    } else {
        format!("{}{rest}", hex::encode(shown))
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

/// What is open around a value.
#[derive(Clone, Copy)]
enum Around {
    Array,
    Object,
}

impl Scanner<'_> {
    fn document(&mut self) -> Result<(), String> {
        let mut open = Vec::new();
        loop {
            // A value begins here, or an opened array or object is empty.
            match self.peek()? {
                b'{' => {
                    self.at += 1;
                    if self.peek()? == b'}' {
                        self.at += 1;
                    } else {
                        open.push(Around::Object);
                        self.key()?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    if self.peek()? == b']' {
                        self.at += 1;
                    } else {
                        open.push(Around::Array);
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            // A value ends here: so may what is around it.
            loop {
                let Some(around) = open.last() else {
                    return match self.skip() {
                        None => Ok(()),
                        Some(byte) => Err(invalid(byte, "after top-level value")),
                    };
                };
                let byte = self.peek()?;
                self.at += 1;
                match (around, byte) {
                    (Around::Array, b',') => break,
                    (Around::Object, b',') => {
                        self.peek()?;
                        self.key()?;
                        break;
                    }
                    (Around::Array, b']') | (Around::Object, b'}') => {
                        open.pop();
                    }
                    (Around::Array, other) => return Err(invalid(other, "after array element")),
                    (Around::Object, other) => {
                        return Err(invalid(other, "after object key:value pair"));
                    }
                }
            }
        }
    }

    fn key(&mut self) -> Result<(), String> {
        match self.peek()? {
            b'"' => self.string()?,
            other => return Err(invalid(other, "looking for beginning of object key string")),
        }
        match self.peek()? {
            b':' => self.at += 1,
            other => return Err(invalid(other, "after object key")),
        }
        Ok(())
    }

    fn scalar(&mut self) -> Result<(), String> {
        match self.peek()? {
            b'"' => self.string(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            b'-' | b'0'..=b'9' => self.number(),
            other => Err(invalid(other, "looking for beginning of value")),
        }
    }

    fn string(&mut self) -> Result<(), String> {
        self.at += 1;
        loop {
            match self.byte()? {
                b'"' => return Ok(()),
                b'\\' => match self.byte()? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let byte = self.byte()?;
                            if !byte.is_ascii_hexdigit() {
                                return Err(invalid(byte, "in \\u hexadecimal character escape"));
                            }
                        }
                    }
                    other => return Err(invalid(other, "in string escape code")),
                },
                control @ 0..0x20 => return Err(invalid(control, "in string literal")),
                _ => {}
            }
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), String> {
        self.at += 1;
        for expected in word.bytes().skip(1) {
            let byte = self.byte()?;
            if byte != expected {
                let why = format!("in literal {word} (expecting '{}')", expected as char);
                return Err(invalid(byte, &why));
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), String> {
        if self.text[self.at] == b'-' {
            self.at += 1;
        }
        if self.byte_is(b'0') {
            self.at += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.byte_is(b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if self.byte_is(b'e') || self.byte_is(b'E') {
            self.at += 1;
            if self.byte_is(b'+') || self.byte_is(b'-') {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn digits(&mut self, place: &str) -> Result<(), String> {
        let first = self.byte()?;
        if !first.is_ascii_digit() {
            return Err(invalid(first, place));
        }
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        Ok(())
    }

    fn byte_is(&self, byte: u8) -> bool {
        self.text.get(self.at) == Some(&byte)
    }

    /// This byte, and on.
    fn byte(&mut self) -> Result<u8, String> {
        let byte = self.text.get(self.at).copied().ok_or_else(ended)?;
        self.at += 1;
        Ok(byte)
    }

    /// The next byte that is no blank.
    fn peek(&mut self) -> Result<u8, String> {
        self.skip().ok_or_else(ended)
    }

    fn skip(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }
}

fn ended() -> String {
    "unexpected end of JSON input".to_owned()
}

fn invalid(byte: u8, place: &str) -> String {
    let shown = match byte {
        b'\'' => "\\'".to_owned(),
        b'"' => "\"".to_owned(),
        b'\\' => "\\\\".to_owned(),
        b'\n' => "\\n".to_owned(),
        b'\r' => "\\r".to_owned(),
        b'\t' => "\\t".to_owned(),
        0..0x20 | 0x7f => format!("\\x{byte:02x}"),
        other => char::from(other).to_string(),
    };
    format!("invalid character '{shown}' {place}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn good_json_has_no_complaint() {
        for text in [
            "{}",
            " [] ",
            r#"{"a":[1,-2.5e+3,{"b":"\u00e4\n"}],"c":null}"#,
            "0",
            "\"x\"",
            "[[],{}]",
        ] {
            assert_eq!(complaint(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn complaints_are_those_of_go() {
        let expected = [
            ("", "unexpected end of JSON input"),
            (
                "{\"a\":1,}",
                "invalid character '}' looking for beginning of object key string",
            ),
            (
                "[1,]",
                "invalid character ']' looking for beginning of value",
            ),
            ("[1 2]", "invalid character '2' after array element"),
            (
                "{\"a\":1 \"b\"}",
                "invalid character '\"' after object key:value pair",
            ),
            ("1 x", "invalid character 'x' after top-level value"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("\"\\q\"", "invalid character 'q' in string escape code"),
        ];
        for (text, complains) in expected {
            assert_eq!(
                complaint(text.as_bytes()).as_deref(),
                Some(complains),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn whatever_serde_refuses_is_complained_of(text in "[\\[\\]{},:\"a0 .e-]{0,12}") {
            let parsed = serde_json::from_str::<serde_json::Value>(&text);
            prop_assert_eq!(parsed.is_err(), complaint(text.as_bytes()).is_some());
        }
    }
}
