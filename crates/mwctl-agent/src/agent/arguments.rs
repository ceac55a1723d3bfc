//! The agent's command line, as the engine writes it into the pod. Pure: words in, a command out.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use super::copy;
use super::probe::Probe;
use super::run;
use super::supervise::Settings;

/// The directory that the processes of one container share.
const RUN_DIRECTORY: &str = "/.mwctl-run";

/// A parsed command line.
#[derive(Debug)]
pub(crate) enum Command {
    Run(Box<run::Options>),
    Connect { run: PathBuf, wait: Duration },
    Copy(copy::Options),
    Version,
}

/// The command line isn't understood.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum BadArguments {
    #[error("say one of `run`, `test`, `connect`, `copy`, `version`")]
    NoCommand,
    #[error("there is no command `{0}`; say one of `run`, `test`, `connect`, `copy`, `version`")]
    UnknownCommand(String),
    #[error("`{command}` has no option `{option}`")]
    UnknownOption {
        command: &'static str,
        option: String,
    },
    #[error("`{0}` needs a value")]
    NoValue(String),
    #[error("`{option} {value}` isn't understood")]
    BadValue { option: String, value: String },
    #[error("`{command}` needs `{option}`")]
    Missing {
        command: &'static str,
        option: &'static str,
    },
}

/// Parses the words after the program's name.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, BadArguments> {
    let mut words: VecDeque<OsString> = words.into_iter().collect();
    let name = words.pop_front().ok_or(BadArguments::NoCommand)?;
    match name.to_str() {
        Some("run") => parse_run("run", false, words),
        Some("test") => parse_run("test", true, words),
        Some("connect") => parse_connect(words),
        Some("copy") => parse_copy(words),
        Some("version" | "--version") => Ok(Command::Version),
        _ => Err(BadArguments::UnknownCommand(
            name.to_string_lossy().into_owned(),
        )),
    }
}

fn parse_run(
    command: &'static str,
    mut once: bool,
    mut words: VecDeque<OsString>,
) -> Result<Command, BadArguments> {
    let (mut target, mut directory, mut health_port, mut digest) = (None, None, None, None);
    let (mut run, mut probe) = (PathBuf::from(RUN_DIRECTORY), Probe::None);
    let mut mounted = false;
    let mut settings = Settings {
        stop_timeout: Duration::from_secs(3),
        grace: Duration::from_secs(25),
        await_session: Duration::ZERO,
        once,
    };
    while let Some(word) = words.pop_front() {
        let option = word.to_string_lossy().into_owned();
        match option.as_str() {
            "--" => break,
            "--target" => target = Some(path(&option, &mut words)?),
            "--cwd" => directory = Some(path(&option, &mut words)?),
            "--run-directory" => run = path(&option, &mut words)?,
            "--ready" => probe = value(&option, &mut words)?,
            "--health-port" => health_port = Some(value(&option, &mut words)?),
            "--digest" => digest = Some(value(&option, &mut words)?),
            "--grace-ms" => settings.grace = millis(&option, &mut words)?,
            "--stop-timeout-ms" => settings.stop_timeout = millis(&option, &mut words)?,
            "--await-session-ms" => settings.await_session = millis(&option, &mut words)?,
            "--once" => once = true,
            "--mounted" => mounted = true,
            _ => return Err(BadArguments::UnknownOption { command, option }),
        }
    }
    settings.once = once;
    let target = target.ok_or(BadArguments::Missing {
        command,
        option: "--target",
    })?;
    if words.is_empty() {
        return Err(BadArguments::Missing {
            command,
            option: "-- COMMAND",
        });
    }
    Ok(Command::Run(Box::new(run::Options {
        directory: directory.unwrap_or_else(|| target.clone()),
        target,
        mounted,
        run,
        probe,
        health_port,
        digest,
        settings,
        command: words.into(),
    })))
}

fn parse_connect(mut words: VecDeque<OsString>) -> Result<Command, BadArguments> {
    let (mut run, mut wait) = (PathBuf::from(RUN_DIRECTORY), Duration::from_secs(2));
    while let Some(word) = words.pop_front() {
        let option = word.to_string_lossy().into_owned();
        match option.as_str() {
            "--run-directory" => run = path(&option, &mut words)?,
            "--wait-ms" => wait = millis(&option, &mut words)?,
            _ => {
                return Err(BadArguments::UnknownOption {
                    command: "connect",
                    option,
                });
            }
        }
    }
    Ok(Command::Connect { run, wait })
}

fn parse_copy(mut words: VecDeque<OsString>) -> Result<Command, BadArguments> {
    const COMMAND: &str = "copy";
    let mut from = None;
    let mut options = copy::Options {
        from: PathBuf::new(),
        to: None,
        exclude: Vec::new(),
        volumes: Vec::new(),
        run: PathBuf::from(RUN_DIRECTORY),
        sources: PathBuf::from("/usr/lib/mwctl/source-files"),
    };
    while let Some(word) = words.pop_front() {
        let option = word.to_string_lossy().into_owned();
        match option.as_str() {
            "--from" => from = Some(path(&option, &mut words)?),
            "--to" => options.to = Some(path(&option, &mut words)?),
            "--exclude" => options.exclude.push(value(&option, &mut words)?),
            "--volume" => {
                let text: String = value(&option, &mut words)?;
                let Some((inner, volume)) = text.split_once('=') else {
                    return Err(BadArguments::BadValue {
                        option,
                        value: text,
                    });
                };
                options
                    .volumes
                    .push((inner.trim_matches('/').to_owned(), volume.into()));
            }
            "--run-directory" => options.run = path(&option, &mut words)?,
            "--source-files" => options.sources = path(&option, &mut words)?,
            _ => {
                return Err(BadArguments::UnknownOption {
                    command: COMMAND,
                    option,
                });
            }
        }
    }
    options.from = from.ok_or(BadArguments::Missing {
        command: COMMAND,
        option: "--from",
    })?;
    Ok(Command::Copy(options))
}

fn next(option: &str, words: &mut VecDeque<OsString>) -> Result<OsString, BadArguments> {
    words
        .pop_front()
        .ok_or_else(|| BadArguments::NoValue(option.to_owned()))
}

fn path(option: &str, words: &mut VecDeque<OsString>) -> Result<PathBuf, BadArguments> {
    next(option, words).map(PathBuf::from)
}

fn value<T: FromStr>(option: &str, words: &mut VecDeque<OsString>) -> Result<T, BadArguments> {
    let word = next(option, words)?;
    let bad = |word: &OsStr| BadArguments::BadValue {
        option: option.to_owned(),
        value: word.to_string_lossy().into_owned(),
    };
    word.to_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| bad(&word))
}

fn millis(option: &str, words: &mut VecDeque<OsString>) -> Result<Duration, BadArguments> {
    value(option, words).map(Duration::from_millis)
}

impl FromStr for Probe {
    type Err = ();

    /// `none`, `tcp:PORT` or `http:PORT/PATH`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or(());
        match text.split_once(':') {
            None if text == "none" => Ok(Self::None),
            Some(("tcp", number)) => Ok(Self::Tcp(port(number)?)),
            Some(("http", rest)) => {
                let (number, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                if path.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
                    return Err(());
                }
                let path = if path.is_empty() { "/" } else { path };
                Ok(Self::Http(port(number)?, path.to_owned()))
            }
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn run_takes_every_option_and_the_command_after_the_dashes() {
        let line = "run --target /srv/app --ready http:8080/_info --health-port 9 --grace-ms 1 \
                    --await-session-ms 2 --stop-timeout-ms 3 --digest d -- node --watch server.js";
        let Ok(Command::Run(options)) = parse(words(line)) else {
            panic!("not understood")
        };
        assert_eq!(options.directory, PathBuf::from("/srv/app"));
        assert_eq!(options.probe, Probe::Http(8080, "/_info".into()));
        assert_eq!(options.command, words("node --watch server.js"));
        let Settings {
            stop_timeout,
            grace,
            await_session,
            once,
        } = options.settings;
        let times = [grace, await_session, stop_timeout].map(|time| time.as_millis());
        assert_eq!((times, once), ([1, 2, 3], false));
    }

    #[test]
    fn test_is_a_run_that_happens_once() {
        let Ok(Command::Run(options)) = parse(words("test --target / -- true")) else {
            panic!("not understood")
        };
        assert!(options.settings.once);
    }

    #[test]
    fn mistakes_are_named() {
        let mistake = |line| parse(words(line)).unwrap_err().to_string();
        assert!(mistake("").contains("say one of"));
        assert_eq!(mistake("run --target /x"), "`run` needs `-- COMMAND`");
        assert_eq!(mistake("run -- x"), "`run` needs `--target`");
        assert_eq!(
            mistake("run --targt /x -- x"),
            "`run` has no option `--targt`"
        );
        assert_eq!(
            mistake("run --ready udp:1 -- x"),
            "`--ready udp:1` isn't understood"
        );
        assert_eq!(mistake("run --target"), "`--target` needs a value");
        assert_eq!(
            mistake("copy --from a --to b --volume x"),
            "`--volume x` isn't understood"
        );
    }

    #[test]
    fn probes_are_none_tcp_or_http() {
        assert_eq!("none".parse(), Ok(Probe::None));
        assert_eq!("tcp:80".parse(), Ok(Probe::Tcp(80)));
        assert_eq!("http:80".parse(), Ok(Probe::Http(80, "/".into())));
        for text in ["tcp:0", "tcp:x", "tcp", "http:80/a b", "http:/x", ""] {
            assert_eq!(text.parse::<Probe>(), Err(()), "{text}");
        }
    }
}
