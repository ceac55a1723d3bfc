//! The program, from its arguments to its end.
//!
//! ```text
//! launcher ──user namespace, ids──→ unshare ──fork──→ PID 1: serve ──fork per order──→ order ──clone3──→ container
//! ```
//!
//! Every process here has one thread, so a forked one may do what it likes.

mod child;
mod devices;
mod enter;
mod error;
mod launch;
mod mounts;
mod order;
mod place;
mod privileges;
mod processes;
mod root;
mod run;
mod scratch;
mod seccomp;
mod serve;
mod share;
mod single_id;
mod start;
mod streams;
mod system;
mod user;
mod volume;

use std::process::ExitCode;

pub(crate) fn main() -> ExitCode {
    match launch::launch() {
        Ok(code) => code,
        Err(failure) => {
            launch::tell(failure);
            ExitCode::FAILURE
        }
    }
}
