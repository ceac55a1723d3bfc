//! Signals as bytes in a pipe. Handlers instead of a blocked mask, because children inherit a mask
//! but never handlers. The only place that changes what signals do.
#![expect(
    unsafe_code,
    reason = "handlers can be installed by the C library only"
)]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::pipe::PipeFlags;

/// Signals that end the container.
pub(crate) const TERMINATING: [i32; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT];
/// Signals for the process.
const FORWARDED: [i32; 4] = [libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH];

/// Where the handler writes.
static PIPE: AtomicI32 = AtomicI32::new(-1);

/// The pipe's other end.
#[derive(Debug)]
pub(crate) struct Signals {
    pipe: File,
    _writer: OwnedFd,
}

extern "C" fn handler(signal: i32) {
    let byte = signal as u8;
    // SAFETY: `write` may be called in a handler; the pipe is never closed; errno is put back, as
    // the interrupted code may be about to read it.
    unsafe {
        let errno = *libc::__errno_location();
        // A full pipe holds thousands of signals already; child ends are counted by none of them.
        libc::write(PIPE.load(Ordering::Relaxed), (&raw const byte).cast(), 1);
        *libc::__errno_location() = errno;
    }
}

impl Signals {
    /// Installs the handlers. Once per program.
    pub(crate) fn install() -> io::Result<Self> {
        let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK)?;
        PIPE.store(writer.as_raw_fd(), Ordering::Relaxed);
        for signal in TERMINATING
            .into_iter()
            .chain(FORWARDED)
            .chain([libc::SIGCHLD])
        {
            // SAFETY: the action is fully initialised and its handler does what handlers may do.
            let result = unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handler as *const () as libc::sighandler_t;
                action.sa_flags = libc::SA_RESTART;
                libc::sigaction(signal, &raw const action, std::ptr::null_mut())
            };
            if result != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(Self {
            pipe: reader.into(),
            _writer: writer,
        })
    }

    /// Waits for the next signal.
    pub(crate) fn next(&mut self) -> io::Result<i32> {
        let mut byte = [0];
        self.pipe.read_exact(&mut byte)?;
        Ok(i32::from(byte[0]))
    }
}
