//! Lines of a log for people: those that are JSON, as service-runner and most of Node.js write them, as
//! a time, a level, a sentence and what else is said. All others stay as they are.

use serde_json::{Map, Value};

/// How much of a stack trace is shown.
const FRAMES: usize = 10;

/// What every line repeats and says nothing about what happened.
const REPEATED: [&str; 7] = ["name", "hostname", "pid", "v", "levelPath", "level", "time"];

/// The lines to show for one line of a log.
pub(crate) fn readable(line: &str) -> Vec<String> {
    told(line).unwrap_or_else(|| vec![line.to_owned()])
}

fn told(line: &str) -> Option<Vec<String>> {
    if !line.starts_with('{') {
        return None;
    }
    let mut fields: Map<String, Value> = serde_json::from_str(line).ok()?;
    let level = level(fields.get("level")?)?.to_owned();
    let message = fields
        .shift_remove("msg")
        .or_else(|| fields.shift_remove("message"));
    let Some(Value::String(message)) = message else {
        return None;
    };
    let time = fields.get("time").and_then(Value::as_str).and_then(clock);
    let time = time.map(|time| format!("{time} ")).unwrap_or_default();
    for name in REPEATED {
        fields.shift_remove(name);
    }
    let stack = stack(&mut fields);
    let mut first = format!("{time}{level:5} {message}");
    if !fields.is_empty() {
        first.push(' ');
        first.push_str(&Value::Object(fields).to_string());
    }
    let mut lines: Vec<String> = first.lines().map(ToOwned::to_owned).collect();
    let hidden = stack.len().saturating_sub(FRAMES);
    lines.extend(stack.into_iter().take(FRAMES));
    if hidden > 0 {
        lines.push(format!("    … and {hidden} lines more"));
    }
    Some(lines)
}

/// The level's name; bunyan and pino write numbers.
fn level(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(match number.as_u64()? {
            0..=10 => "trace",
            11..=20 => "debug",
            21..=30 => "info",
            31..=40 => "warn",
            41..=50 => "error",
            _ => "fatal",
        }),
        _ => None,
    }
}

/// The time of day in a time as of RFC 3339.
fn clock(time: &str) -> Option<&str> {
    let (_, clock) = time.split_once('T')?;
    clock.get(..8)
}

/// Takes the stack trace out of the fields.
fn stack(fields: &mut Map<String, Value>) -> Vec<String> {
    let place = if fields.contains_key("err") {
        "err"
    } else {
        "error"
    };
    let text = match fields.get(place) {
        Some(Value::Object(error)) => error.get("stack").and_then(Value::as_str),
        _ => fields.get("stack").and_then(Value::as_str),
    };
    let Some(text) = text else { return Vec::new() };
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let lines = lines
        .map(|line| format!("    {}", line.trim_end()))
        .collect();
    fields.shift_remove(place);
    fields.shift_remove("stack");
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_service_runner_becomes_a_sentence() {
        let line = r#"{"name":"mathoid","hostname":"x","pid":17,"level":30,"levelPath":"info","msg":"Worker 17 listening","time":"2026-11-28T00:01:49.487Z","v":0}"#;
        assert_eq!(readable(line), ["00:01:49 info  Worker 17 listening"]);
        let line = r#"{"level":40,"msg":"slow","took":3}"#;
        assert_eq!(readable(line), [r#"warn  slow {"took":3}"#]);
    }

    #[test]
    fn a_stack_trace_stands_below_and_has_an_end() {
        let frames = "\\n    at f".repeat(30);
        let line = format!(
            r#"{{"level":60,"msg":"broken","err":{{"message":"","stack":"SyntaxError: x\n{frames}"}}}}"#
        );
        let lines = readable(&line);
        assert_eq!(
            lines[..3],
            ["fatal broken", "    SyntaxError: x", "        at f"]
        );
        assert_eq!(lines.len(), 2 + FRAMES);
        assert_eq!(
            lines.last().map(String::as_str),
            Some("    … and 21 lines more")
        );
    }

    #[test]
    fn what_is_no_such_line_stays_as_it_is() {
        for line in [
            "",
            "listening on 3000",
            "{",
            r#"{"a":1}"#,
            r#"{"level":30,"msg":1}"#,
            "[1]",
        ] {
            assert_eq!(readable(line), [line]);
        }
    }
}
