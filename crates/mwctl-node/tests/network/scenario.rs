//! Runs scenarios: a forked process each, in namespaces of its own, as root and as an ordinary user.

use std::fs;
use std::future::Future;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::process::ExitCode;

use rustix::process::{Pid, Signal, WaitOptions};
use rustix::thread::UnshareFlags;

/// A scenario: an async function on the runtime of its process.
pub(crate) type Scenario = fn() -> Pin<Box<dyn Future<Output = ()>>>;

/// How long a scenario may take before it is ended.
const SECONDS: u32 = 60;
/// The user that root becomes for the scenarios of ordinary users.
const NOBODY: u32 = 65534;

/// Whose rights a scenario has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    Root,
    Ordinary,
}

/// Runs those whose name has `filter` in it, each as every user this process can be.
pub(crate) fn run_all(scenarios: &[(&str, Scenario)], filter: Option<&str>) -> ExitCode {
    let (mut passed, mut failed) = (0, Vec::new());
    for (name, scenario) in scenarios {
        if filter.is_some_and(|filter| !name.contains(filter)) {
            continue;
        }
        for user in [User::Root, User::Ordinary] {
            if user == User::Root && !rustix::process::geteuid().is_root() {
                continue;
            }
            match run(user, *scenario) {
                Ok(()) => {
                    println!("test {name} as {user:?} ... ok");
                    passed += 1;
                }
                Err(why) if why.starts_with("skipped") => {
                    println!("test {name} as {user:?} ... {why}");
                }
                Err(why) => {
                    println!("test {name} as {user:?} ... FAILED: {why}");
                    failed.push(format!("{name} as {user:?}"));
                }
            }
        }
    }
    println!(
        "test result: {passed} passed; {} failed {failed:?}",
        failed.len()
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run(user: User, scenario: Scenario) -> Result<(), String> {
    let child = fork(move || {
        match enter(user) {
            Ok(()) => {}
            Err(error)
                if user == User::Ordinary && error.kind() == io::ErrorKind::PermissionDenied =>
            {
                return 77;
            }
            Err(error) => {
                eprintln!("cannot enter namespaces: {error}");
                return 1;
            }
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            let runtime = builder.worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(scenario());
            runtime.shutdown_background();
        }));
        i32::from(outcome.is_err())
    });
    let (_, status) = rustix::process::waitpid(Some(child), WaitOptions::empty())
        .unwrap()
        .unwrap();
    match (status.exit_status(), status.terminating_signal()) {
        (Some(0), _) => Ok(()),
        (Some(77), _) => Err("skipped: this machine forbids user namespaces".to_owned()),
        (code, signal) => Err(format!("exit {code:?}, signal {signal:?}")),
    }
}

/// Runs `work` in a forked process that ends with its exit code, and with its parent. The caller must have one thread only.
#[expect(
    unsafe_code,
    reason = "a process of one's own, for namespaces are a process's"
)]
pub(crate) fn fork(work: impl FnOnce() -> i32) -> Pid {
    io::stdout().flush().unwrap();
    // SAFETY: there is one thread, so no lock is held that the child would need.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", io::Error::last_os_error());
    if let Some(child) = Pid::from_raw(pid) {
        return child;
    }
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    // SAFETY: sets a timer; `_exit` ends the process without running what belongs to the parent.
    unsafe {
        libc::alarm(SECONDS);
        let code = work();
        io::stdout().flush().ok();
        libc::_exit(code)
    }
}

/// Enters a network namespace that plays the host, and as an ordinary user a user namespace first.
#[expect(unsafe_code, reason = "users and namespaces are changed")]
fn enter(user: User) -> io::Result<()> {
    let mut flags = UnshareFlags::NEWNET | UnshareFlags::NEWNS;
    let mut maps = None;
    if user == User::Ordinary {
        if rustix::process::geteuid().is_root() {
            // SAFETY: there is one thread; its user is changed for good.
            let outcome = unsafe {
                libc::setgroups(0, std::ptr::null()) | libc::setgid(NOBODY) | libc::setuid(NOBODY)
            };
            assert_eq!(outcome, 0, "cannot become an ordinary user");
            rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)?;
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        }
        let (uid, gid) = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        maps = Some((format!("0 {uid} 1"), format!("0 {gid} 1")));
        flags |= UnshareFlags::NEWUSER;
    }
    // SAFETY: there is one thread, so nobody else's world changes.
    unsafe { rustix::thread::unshare_unsafe(flags) }?;
    if let Some((uids, gids)) = maps {
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", uids)?;
        fs::write("/proc/self/gid_map", gids)?;
    }
    up_loopback()
}

/// A host has its loopback up.
#[expect(unsafe_code, reason = "interfaces are controlled by ioctl")]
fn up_loopback() -> io::Result<()> {
    let socket: OwnedFd = std::net::UdpSocket::bind("0.0.0.0:0")?.into();
    // SAFETY: all zeroes is a valid request, and it outlives the call.
    let outcome = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[..2].copy_from_slice(&[b'l' as libc::c_char, b'o' as libc::c_char]);
        request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
        libc::ioctl(
            std::os::fd::AsRawFd::as_raw_fd(&socket),
            libc::SIOCSIFFLAGS,
            &request,
        )
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Does something on a thread of its own in a network namespace.
pub(crate) fn within<R: Send + 'static>(
    namespace: impl AsFd,
    work: impl FnOnce() -> R + Send + 'static,
) -> std::thread::JoinHandle<R> {
    let namespace = namespace.as_fd().try_clone_to_owned().unwrap();
    std::thread::spawn(move || {
        let kind = Some(rustix::thread::LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(namespace.as_fd(), kind).unwrap();
        work()
    })
}

/// Runs a program in the network namespace of the calling thread.
#[expect(
    clippy::disallowed_methods,
    reason = "the judges of these tests are programs"
)]
pub(crate) fn program(name: &str, arguments: &[&str]) -> Option<String> {
    let output = std::process::Command::new(name).args(arguments).output();
    let output = match output {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        output => output.unwrap(),
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {arguments:?}: {errors}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Says that a scenario can't be played here for want of a program. Where everything must be, that is a failure.
#[expect(clippy::disallowed_methods, reason = "the tests' own switch")]
pub(crate) fn skip_without(name: &str, package: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "`{name}` isn't there: apt-get install {package}"
    );
    println!("skipped, for `{name}` isn't there: apt-get install {package}");
}

/// All that can be read.
pub(crate) fn read_all(mut from: impl Read) -> io::Result<String> {
    let mut text = String::new();
    from.read_to_string(&mut text)?;
    Ok(text)
}
