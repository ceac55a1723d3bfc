//! The last step: the working directory, the environment, and the program.

use std::ffi::CString;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;

use mwctl_zygote::protocol::{Process, Step};

use super::error::{At, Outcome, failure};
use super::{system, user};

const SEARCHED: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes the directory to start in where it isn't there, as container runtimes do.
pub(crate) fn make_directory(process: &Process) -> Outcome<()> {
    let directory = &process.directory;
    if directory.is_empty() || std::path::Path::new(directory).exists() {
        return Ok(());
    }
    let mut maker = std::fs::DirBuilder::new();
    let made = maker.recursive(true).mode(0o755).create(directory);
    made.at(Step::Directory, directory)
}

/// Becomes the program. Comes back only where that fails.
pub(crate) fn run(process: &Process) -> Outcome<()> {
    let directory = if process.directory.is_empty() {
        "/"
    } else {
        &process.directory
    };
    std::env::set_current_dir(directory).at(Step::Directory, directory)?;
    let program = process
        .arguments
        .first()
        .filter(|program| !program.is_empty());
    let program = program.ok_or_else(|| failure(Step::Program, "", Some(libc::ENOENT)))?;
    let arguments = strings(&process.arguments)?;
    let mut environment = process.environment.clone();
    if value(&environment, "HOME").is_none() {
        environment.push(format!("HOME={}", user::home()));
    }
    let searched = value(&environment, "PATH")
        .map_or(SEARCHED, |path| path)
        .to_owned();
    let environment = strings(&environment)?;
    system::unblock_signals();
    system::close_on_exec().at(Step::Process, "files")?;
    let tried = |path: &str| -> Outcome<io::Error> {
        Ok(system::execute(&string(path)?, &arguments, &environment))
    };
    if program.contains('/') {
        return Err(tried(program)?).at(Step::Program, program);
    }
    let mut found = libc::ENOENT;
    for folder in searched.split(':') {
        let folder = if folder.is_empty() { "." } else { folder };
        let error = tried(&format!("{folder}/{program}"))?
            .raw_os_error()
            .unwrap_or(libc::EIO);
        // As `execvp(3)`: what is there but may not be run is remembered, and the search goes on.
        match error {
            libc::ENOENT | libc::ENOTDIR => {}
            libc::EACCES => found = error,
            _ => {
                found = error;
                break;
            }
        }
    }
    Err(failure(Step::Program, program, Some(found)))
}

fn value<'a>(environment: &'a [String], name: &str) -> Option<&'a str> {
    environment
        .iter()
        .find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
}

fn strings(texts: &[String]) -> Outcome<Vec<CString>> {
    texts.iter().map(|text| string(text)).collect()
}

fn string(text: &str) -> Outcome<CString> {
    CString::new(text).map_err(|_| failure(Step::Order, "a text with a zero byte", None))
}
