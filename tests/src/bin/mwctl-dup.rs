//! A copy of the program: cargo shows a binary's path only to the tests of its own package.

use std::process::ExitCode;

fn main() -> ExitCode {
    mwctl::main()
}
