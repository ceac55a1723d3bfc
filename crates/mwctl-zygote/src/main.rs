//! The zygote: the first process of a node's containers. What it is told is documented in the library beside it.
//!
//! It is started by `mwctl-container` with its socket as standard input and its [`mwctl_zygote::protocol::Launch`] as its
//! argument, and is of no use to anybody else.

mod program;

use std::process::ExitCode;

fn main() -> ExitCode {
    program::main()
}
