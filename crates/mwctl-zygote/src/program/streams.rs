//! Standard streams, or a terminal in their place.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use mwctl_zygote::protocol::{Passed, Step, Streams};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::mount_bind;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::child::Line;
use super::error::{At, Outcome};
use super::launch::{null, set_streams};
use super::order::file;

/// Whether the terminal is the container's console, too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Console {
    Mounted,
    None,
}

pub(crate) fn connect(
    wanted: &Streams,
    files: &[OwnedFd],
    line: &Line,
    console: Console,
) -> Outcome<()> {
    if let Some(terminal) = wanted.terminal {
        let path = "/dev/pts/ptmx";
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let ours = openat(CWD, path, flags, Mode::empty()).at(Step::Terminal, path)?;
        unlockpt(&ours).at(Step::Terminal, path)?;
        let theirs = ioctl_tiocgptpeer(
            &ours,
            OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
        )
        .at(Step::Terminal, path)?;
        if let Some(size) = terminal.size {
            let size = Winsize {
                ws_row: size.rows,
                ws_col: size.columns,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            tcsetwinsize(&ours, size).at(Step::Terminal, "size")?;
        }
        if console == Console::Mounted {
            let name = rustix::termios::ttyname(&theirs, Vec::new()).at(Step::Terminal, path)?;
            std::fs::File::create("/dev/console").at(Step::Terminal, "/dev/console")?;
            mount_bind(name.as_c_str(), "/dev/console").at(Step::Terminal, "/dev/console")?;
        }
        line.send_terminal(&ours)?;
        rustix::process::ioctl_tiocsctty(&theirs).at(Step::Terminal, path)?;
        return set_streams(theirs.as_fd(), theirs.as_fd(), theirs.as_fd());
    }
    let nothing = null()?;
    let stream = |passed: Option<Passed>| -> Outcome<BorrowedFd<'_>> {
        passed.map_or(Ok(nothing.as_fd()), |passed| file(files, passed))
    };
    set_streams(
        stream(wanted.stdin)?,
        stream(wanted.stdout)?,
        stream(wanted.stderr)?,
    )
}
