//! Beginnings and ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mwctl_container::{Container, End, Process, Step, host};

use crate::stage::{as_everybody, enter, exited, line};

#[test]
fn output_and_exit_code_come_back() {
    as_everybody("lifetime::output_and_exit_code_come_back", async |stage| {
        assert_eq!(
            stage.run("echo out; echo err >&2; exit 7").await,
            exited("out\nerr\n", 7)
        );
    });
}

#[test]
fn the_program_is_the_first_process_of_its_container() {
    as_everybody(
        "lifetime::the_program_is_the_first_process_of_its_container",
        async |stage| {
            assert_eq!(
                stage.run("echo $$; echo /proc/[0-9]*").await,
                exited("1\n/proc/1\n", 0)
            );
        },
    );
}

#[test]
fn a_signal_reaches_the_program_or_ends_it() {
    as_everybody(
        "lifetime::a_signal_reaches_the_program_or_ends_it",
        async |stage| {
            let script = "trap 'echo told; exit 3' TERM; echo up; while :; do sleep 0.01; done";
            let (running, read) = stage.start(stage.shell(script)).await;
            assert_eq!(line(&read).await, "up");
            running.signal(libc::SIGTERM).await.unwrap();
            assert_eq!(line(&read).await, "told");
            assert_eq!(running.ended().await, End::Code(3));
            let (running, _read) = stage.start(stage.shell("exec sleep 1000")).await;
            running.signal(libc::SIGKILL).await.unwrap();
            assert_eq!(running.ended().await, End::Signal(libc::SIGKILL));
            let gone = running.signal(libc::SIGKILL).await.unwrap_err();
            assert_eq!(gone.failure().unwrap().step, Step::Order);
        },
    );
}

#[test]
fn a_program_that_cannot_run_is_an_error_before_the_start() {
    as_everybody(
        "lifetime::a_program_that_cannot_run_is_an_error_before_the_start",
        async |stage| {
            for (program, errno) in [
                ("/no/such", libc::ENOENT),
                ("nosuch", libc::ENOENT),
                ("/etc/os-release", libc::EACCES),
            ] {
                let mut container = stage.shell("");
                container.process = Some(Process::new([program]));
                let error = stage.runtime.run(container).await.unwrap_err();
                let failure = error.failure().unwrap();
                assert_eq!(
                    (failure.step, failure.errno),
                    (Step::Program, Some(errno)),
                    "{error}"
                );
                assert!(error.to_string().contains(program), "{error}");
            }
            let mut container = stage.shell("");
            container.process.as_mut().unwrap().directory = "/proc/nothing".to_owned();
            let error = stage.runtime.run(container).await.unwrap_err();
            assert_eq!(error.failure().unwrap().step, Step::Directory, "{error}");
        },
    );
}

#[test]
fn a_further_process_sees_the_container_from_inside() {
    as_everybody(
        "lifetime::a_further_process_sees_the_container_from_inside",
        async |stage| {
            let mut container = stage.shell("echo here > /tmp/mark; echo up; exec sleep 1000");
            container.hostname = Some("inside".to_owned());
            let (running, read) = stage.start(container).await;
            assert_eq!(line(&read).await, "up");
            let seen = enter(
                &running,
                "cat /tmp/mark /proc/sys/kernel/hostname; tr '\\0' ' ' < /proc/1/cmdline; exit 9",
            )
            .await;
            assert_eq!(seen, exited("here\ninside\nsleep 1000 ", 9));
            running.signal(libc::SIGKILL).await.unwrap();
            running.ended().await;
            let error = running
                .enter(Process::new(["true"]), mwctl_container::Streams::default())
                .await
                .unwrap_err();
            assert_eq!(error.failure().unwrap().step, Step::Order, "{error}");
        },
    );
}

#[test]
fn a_container_without_a_program_holds_what_others_join() {
    as_everybody(
        "lifetime::a_container_without_a_program_holds_what_others_join",
        async |stage| {
            let (root, mounts) = host::root();
            let pause = stage
                .runtime
                .run(Container {
                    root,
                    mounts,
                    ..Container::new("pause")
                })
                .await
                .unwrap();
            let mut container =
                stage.shell("(sleep 0 & sleep 0 &); ls /proc | grep -c '^1$'; echo $(($$ > 1))");
            container.join.processes = Some(pause.clone());
            assert_eq!(stage.outcome(container).await, exited("1\n1\n", 0));
            pause.signal(libc::SIGTERM).await.unwrap();
            assert_eq!(pause.ended().await, End::Code(0));
        },
    );
}

#[test]
fn many_start_at_once() {
    as_everybody("lifetime::many_start_at_once", async |stage| {
        let containers: Vec<_> = (0..20)
            .map(|_| stage.shell("echo up; exec sleep 1000"))
            .collect();
        let mut running = Vec::new();
        for started in futures(
            containers
                .into_iter()
                .map(|container| stage.start(container)),
        )
        .await
        {
            assert_eq!(line(&started.1).await, "up");
            running.push(started.0);
        }
        for container in running {
            container.signal(libc::SIGKILL).await.unwrap();
            assert_eq!(container.ended().await, End::Signal(libc::SIGKILL));
        }
    });
}

/// Waits for all of them side by side.
async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|context| {
        for (one, done) in &mut all {
            if done.is_none()
                && let std::task::Poll::Ready(value) = one.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if all.iter().all(|(_, done)| done.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    all.into_iter().filter_map(|(_, done)| done).collect()
}

#[test]
fn everything_ends_with_the_runtime() {
    as_everybody(
        "lifetime::everything_ends_with_the_runtime",
        async |stage| {
            let (running, read) = stage
                .start(stage.shell("setsid sleep 1000 & echo up; wait"))
                .await;
            assert_eq!(line(&read).await, "up");
            stage.runtime.clone().stop().await;
            assert_eq!(running.ended().await, End::Signal(libc::SIGKILL));
            // The last holder of the other end is gone.
            assert_eq!(crate::stage::all(read).await, "");
            let error = stage.runtime.run(stage.shell("")).await.unwrap_err();
            assert!(matches!(error, mwctl_container::Error::Gone), "{error}");
        },
    );
}

#[test]
fn a_start_that_nobody_waits_for_is_undone() {
    as_everybody(
        "lifetime::a_start_that_nobody_waits_for_is_undone",
        async |stage| {
            let (read, write) = crate::stage::pipe();
            let mut container = stage.shell("exec sleep 1000");
            container.streams.stdout = Some(write);
            let started = tokio::time::timeout(Duration::ZERO, stage.runtime.run(container)).await;
            if let Ok(started) = started {
                started.unwrap().signal(libc::SIGKILL).await.unwrap();
            }
            assert_eq!(crate::stage::all(read).await, "");
        },
    );
}

/// Set for the process that is killed.
const HOLDS: &str = "MWCTL_TEST_HOLDS";

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test that runs itself to be killed"
)]
fn nothing_outlives_an_owner_that_was_killed() {
    let name = "lifetime::nothing_outlives_an_owner_that_was_killed";
    if std::env::var_os(HOLDS).is_some() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let stage = crate::stage::Stage::new().await;
            for _ in 0..3 {
                let mut container = stage.shell("setsid sleep 1000 & echo up; wait");
                container.streams.stdout = Some(rustix::io::dup(std::io::stderr()).unwrap());
                stage.runtime.run(container).await.unwrap();
            }
            std::future::pending::<()>().await;
        });
    }
    let (out, write) = crate::stage::pipe();
    let mut owner = std::process::Command::new("/proc/self/exe")
        .args([name, "--exact", "--nocapture"])
        .env(HOLDS, "1")
        .stdout(std::process::Stdio::null())
        .stderr(write)
        .spawn()
        .unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        for _ in 0..3 {
            assert_eq!(line(&out).await, "up");
        }
    });
    let zygotes = children(owner.id());
    assert!(!zygotes.is_empty());
    owner.kill().unwrap();
    owner.wait().unwrap();
    // The containers, with all their processes, held the other end.
    assert_eq!(runtime.block_on(crate::stage::all(out)), "");
    for zygote in zygotes {
        while std::path::Path::new("/proc").join(&zygote).exists() {
            std::thread::yield_now();
        }
    }
    mwctl_container::limits::sweep();
    assert_eq!(mwctl_container::limits::sweep(), 0);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test that runs itself, so that its children are of one runtime"
)]
fn an_order_whose_helper_is_killed_fails_and_leaves_nothing() {
    let name = "lifetime::an_order_whose_helper_is_killed_fails_and_leaves_nothing";
    if std::env::var_os(HOLDS).is_none() {
        let status = std::process::Command::new("/proc/self/exe")
            .args([name, "--exact", "--nocapture"])
            .env(HOLDS, "1")
            .status()
            .unwrap();
        assert!(status.success(), "{status}");
        return;
    }
    as_everybody(name, async |stage| {
        let launcher = children(std::process::id()).concat();
        let zygote: u32 = children(launcher.parse().unwrap())
            .concat()
            .parse()
            .unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let killer = std::thread::spawn({
            let over = over.clone();
            move || kill_children(zygote, &over)
        });
        // Those that failed are the ones in question, at whichever point.
        let mut failed = 0;
        while failed < 50 {
            let (read, write) = crate::stage::pipe();
            let mut container = stage.shell("exec sleep 1000");
            container.streams.stdout = Some(write);
            match stage.runtime.run(container).await {
                Ok(running) => {
                    // It may have been killed.
                    drop(running.signal(libc::SIGKILL).await);
                    assert_eq!(running.ended().await, End::Signal(libc::SIGKILL));
                }
                Err(error) => {
                    failed += 1;
                    let told = error.failure().map(|failure| failure.step);
                    assert_eq!(told, Some(Step::Process), "{error}");
                }
            }
            assert_eq!(crate::stage::all(read).await, "");
        }
        over.store(true, Ordering::Relaxed);
        killer.join().unwrap();
        assert_eq!(stage.run("echo up").await, exited("up\n", 0));
        while !children(zygote).is_empty() {
            tokio::task::yield_now().await;
        }
    });
}

/// Kills some of a process's children, again and again, at no foreseeable moments.
fn kill_children(process: u32, over: &AtomicBool) {
    let mut random = u64::from(process);
    while !over.load(Ordering::Relaxed) {
        for child in children(process) {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            if random >> 60 != 0 {
                continue;
            }
            let child = rustix::process::Pid::from_raw(child.parse().unwrap()).unwrap();
            // It may be gone.
            rustix::process::kill_process(child, rustix::process::Signal::KILL).ok();
        }
    }
}

/// The children of a process, whichever of its threads made them.
fn children(process: u32) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of = |thread: std::fs::DirEntry| {
        std::fs::read_to_string(thread.path().join("children")).unwrap_or_default()
    };
    let all: Vec<String> = threads.flatten().map(of).collect();
    all.join(" ")
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}
