//! How a step that failed becomes what the owner is told.

use std::fmt::Display;
use std::io;

use mwctl_zygote::protocol::{Failure, Step};

pub(crate) type Outcome<T> = Result<T, Failure>;

/// Something that can fail for a reason the kernel numbers.
pub(crate) trait Reason {
    fn number(&self) -> Option<i32>;
}

impl Reason for io::Error {
    fn number(&self) -> Option<i32> {
        self.raw_os_error()
    }
}

impl Reason for rustix::io::Errno {
    fn number(&self) -> Option<i32> {
        Some(self.raw_os_error())
    }
}

/// Says at which step, and with what, something failed.
pub(crate) trait At<T> {
    fn at(self, step: Step, subject: impl Display) -> Outcome<T>;
}

impl<T, E: Reason> At<T> for Result<T, E> {
    fn at(self, step: Step, subject: impl Display) -> Outcome<T> {
        self.map_err(|error| failure(step, subject, error.number()))
    }
}

pub(crate) fn failure(step: Step, subject: impl Display, errno: Option<i32>) -> Failure {
    Failure {
        step,
        subject: subject.to_string(),
        errno,
    }
}
