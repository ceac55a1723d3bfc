//! The program: everything is in the library, so that tests can run a copy of it.

use std::process::ExitCode;

fn main() -> ExitCode {
    mwctl::main()
}
