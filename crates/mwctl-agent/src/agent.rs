//! The program: the first process inside a developed container, and its small companions.
//!
//! | command | runs as | does |
//! |---|---|---|
//! | `copy` | init container | fills the volumes from the image |
//! | `run` | the container's first process | receives files, supervises the process |
//! | `test` | the same in a fresh container | runs one command on the tree that a session brings |
//! | `connect` | a streamed exec | joins its input and output to the running agent |
//! | `version` | anywhere | prints version and protocol |

mod arguments;
mod connection;
mod copy;
mod files;
mod health;
mod join;
mod manifest;
mod ownership;
mod probe;
mod process;
mod relative;
mod run;
mod signals;
mod steps;
mod supervise;
mod tree;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::protocol::PROTOCOL;

/// The command line isn't understood (as in the BSD convention).
const USAGE: u8 = 64;
/// What was asked for cannot be done here.
const FAILED: u8 = 69;

/// Does what the words after the program's name say.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    match arguments::parse(words) {
        Err(error) => failed(USAGE, &error),
        Ok(arguments::Command::Run(options)) => match run::run(*options) {
            Ok(code) => ExitCode::from(code),
            Err(error) => failed(FAILED, &error),
        },
        Ok(arguments::Command::Connect { run, wait }) => {
            match join::join(&run, wait, io::stdin(), io::stdout()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failed(FAILED, &error),
            }
        }
        Ok(arguments::Command::Copy(options)) => match copy::copy(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(FAILED, &error),
        },
        Ok(arguments::Command::Version) => {
            let version = env!("CARGO_PKG_VERSION");
            match writeln!(io::stdout(), "mwctl-agent {version} protocol {PROTOCOL}") {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failed(FAILED, &error),
            }
        }
    }
}

fn failed(code: u8, error: &dyn Error) -> ExitCode {
    join::explain(error, &mut io::stderr());
    ExitCode::from(code)
}
