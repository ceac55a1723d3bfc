//! From the start to PID 1: the user namespace with the ids that the owner maps, the other namespaces, and the fork into them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

use mwctl_zygote::protocol::{Failure, Launch, Message, Step};
use mwctl_zygote::socket;
use rustix::process::{
    DumpableBehavior, Gid, Signal, Uid, set_dumpable_behavior, set_parent_process_death_signal,
};
use rustix::thread::{UnshareFlags, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::error::{At, Outcome, failure};
use super::{serve, system};

/// Runs until the last container has gone with PID 1.
pub(crate) fn launch() -> Outcome<ExitCode> {
    let socket = own_socket()?;
    let launch = arguments()?;
    die_with_parent()?;
    if launch.user_namespace {
        enter_user_namespace(&socket)?;
        // The kernel forgets it where the user changes, and gives our files below `/proc` to the machine's root.
        die_with_parent()?;
        set_dumpable_behavior(DumpableBehavior::Dumpable).at(Step::Process, "dumpable")?;
    }
    let namespaces = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    system::unshare(namespaces).at(Step::Namespace, "mount, pid, ipc, uts, cgroup")?;
    if system::fork().at(Step::Process, "")?.is_none() {
        die_with_parent()?;
        serve::serve(&socket, &launch)
    }
    // PID 1 alone knows when the owner is gone.
    drop(socket);
    while let Err(error) = system::wait() {
        if error.kind() != io::ErrorKind::Interrupted {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Says over the socket why there will be no zygote.
pub(crate) fn tell(failure: Failure) {
    // Nobody is left to be told where this fails.
    drop(socket::send(
        std::io::stdin().as_fd(),
        &Message::Failed(failure),
        &[],
    ));
}

/// Standard input becomes nothing, so that no container can get at the socket.
fn own_socket() -> Outcome<OwnedFd> {
    let input = std::io::stdin();
    let socket = rustix::io::fcntl_dupfd_cloexec(input.as_fd(), 3).at(Step::Process, "socket")?;
    Ok(socket)
}

fn arguments() -> Outcome<Launch> {
    let text = std::env::args().nth(1).unwrap_or_default();
    let wrong = || failure(Step::Order, "launch", None);
    let bytes = hex::decode(text).map_err(|_| wrong())?;
    postcard::from_bytes(&bytes).map_err(|_| wrong())
}

fn die_with_parent() -> Outcome<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).at(Step::Process, "death signal")
}

fn enter_user_namespace(socket: &OwnedFd) -> Outcome<()> {
    system::unshare(UnshareFlags::NEWUSER).at(Step::Namespace, "user")?;
    socket::send(socket, &Message::WantsIds, &[]).at(Step::Process, "socket")?;
    let answer: Option<((), Vec<OwnedFd>)> = socket::receive(socket).at(Step::Process, "socket")?;
    if answer.is_none() {
        // The owner is gone, and nobody wants to know.
        system::exit(1);
    }
    // Where one id alone is mapped, the kernel forbids to change groups.
    let denied =
        std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "deny");
    if !denied {
        set_thread_groups(&[]).at(Step::User, "groups")?;
    }
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).at(Step::User, "root")?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).at(Step::User, "root")
}

/// For those that only need to look at the streams.
pub(crate) fn null() -> Outcome<OwnedFd> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    openat(
        CWD,
        "/dev/null",
        OFlags::RDWR | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .at(Step::Streams, "/dev/null")
}

/// Puts files in the place of the standard streams.
pub(crate) fn set_streams(
    stdin: BorrowedFd<'_>,
    stdout: BorrowedFd<'_>,
    stderr: BorrowedFd<'_>,
) -> Outcome<()> {
    rustix::stdio::dup2_stdin(stdin).at(Step::Streams, "stdin")?;
    rustix::stdio::dup2_stdout(stdout).at(Step::Streams, "stdout")?;
    rustix::stdio::dup2_stderr(stderr).at(Step::Streams, "stderr")
}
