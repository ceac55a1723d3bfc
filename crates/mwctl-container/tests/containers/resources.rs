//! Limits: enforced where this machine lets them be, told where it doesn't.

use std::time::Duration;

use mwctl_container::{End, Lack, Limits, Process, Resource, Streams, Usage};

use crate::stage::{Stage, as_everybody, line};

fn lacks(stage: &Stage, lack: Lack) -> bool {
    stage.runtime.lacks().contains(&lack)
}

#[test]
fn who_wants_more_memory_than_it_may_have_is_ended() {
    as_everybody(
        "resources::who_wants_more_memory_than_it_may_have_is_ended",
        async |stage| {
            let mut container =
                stage.shell("head -c 200m /dev/zero | tail -c 200m | wc -c; echo $?");
            container.limits = Limits {
                memory: Some(32 << 20),
                ..Limits::default()
            };
            let (running, read) = stage.start(container).await;
            let out = crate::stage::all(read).await;
            running.ended().await;
            let killed = running.group().out_of_memory();
            if lacks(&stage, Lack::Memory) {
                assert_eq!((out.trim(), killed), ("209715200\n0", 0));
            } else {
                assert!(killed > 0 && !out.contains("209715200"), "{out}");
            }
        },
    );
}

#[test]
fn there_are_no_more_processes_than_there_may_be() {
    as_everybody(
        "resources::there_are_no_more_processes_than_there_may_be",
        async |stage| {
            let mut container =
                stage.shell("for i in 1 2 3 4 5 6 7 8; do sleep 0.05 & done; wait; echo all");
            container.limits = Limits {
                processes: Some(5),
                ..Limits::default()
            };
            let outcome = stage.outcome(container).await;
            if lacks(&stage, Lack::Processes) {
                assert_eq!(outcome.out, "all\n");
            } else {
                assert!(
                    outcome.out.contains("ork") && outcome.end != End::Code(0),
                    "{outcome:?}"
                );
            }
        },
    );
}

#[test]
fn who_wants_more_of_the_processor_is_held_back() {
    as_everybody(
        "resources::who_wants_more_of_the_processor_is_held_back",
        async |stage| {
            let mut container = stage.shell("while :; do :; done");
            container.limits = Limits {
                processor: Some(100),
                processor_share: Some(250),
                ..Limits::default()
            };
            let (running, _read) = stage.start(container).await;
            if lacks(&stage, Lack::Processor) {
                assert_eq!(running.group().throttled(), None);
                return;
            }
            // It gets a tenth of what it wants, so that the kernel soon holds it back.
            while running.group().throttled() == Some(0) {
                tokio::task::yield_now().await;
            }
            assert!(running.group().throttled().is_some());
        },
    );
}

/// By its control group, or, where it has none, by its processes.
#[test]
fn what_a_container_uses_is_told_whoever_counts_it() {
    as_everybody(
        "resources::what_a_container_uses_is_told_whoever_counts_it",
        async |stage| {
            let script =
                "x=$(head -c 16000000 /dev/zero | tr '\\0' a); echo up; while :; do :; done";
            let (busy, read) = stage.start(stage.shell(script)).await;
            assert_eq!(line(&read).await, "up");
            let (idle, read) = stage.start(stage.shell("echo up; exec sleep 1000")).await;
            assert_eq!(line(&read).await, "up");
            // What is started in it later is its use, too.
            let later = Process::new(["/bin/sh", "-c", "while :; do :; done"]);
            let later = idle.enter(later, Streams::default()).await.unwrap();
            let both = [busy.clone(), idle];
            let used = loop {
                let used = stage.runtime.usage(&both).into_iter().map(Option::unwrap);
                let used: Vec<Usage> = used.collect();
                if (used.iter()).all(|it| it.processors >= Duration::from_millis(50)) {
                    break used;
                }
                tokio::task::yield_now().await;
            };
            assert!(
                (16_000_000..200_000_000).contains(&used[0].memory),
                "{used:?}"
            );
            assert!((10_000..16_000_000).contains(&used[1].memory), "{used:?}");
            later.kill();
            busy.kill();
            busy.ended().await;
            assert_eq!(stage.runtime.usage(&both)[0], None);
        },
    );
}

/// Runtimes of languages size themselves by it.
#[test]
fn a_container_sees_its_limits_and_cannot_change_them() {
    as_everybody(
        "resources::a_container_sees_its_limits_and_cannot_change_them",
        async |stage| {
            let script = "cd /sys/fs/cgroup; \
                cat memory/memory.limit_in_bytes memory.max 2>/dev/null; \
                cat cpu/cpu.cfs_quota_us cpu.max 2>/dev/null | cut -d' ' -f1; \
                for file in memory/memory.limit_in_bytes memory.max cpu/cgroup.procs cgroup.procs new; do \
                    { echo 1 > $file; } 2>/dev/null && echo $file was written to; done; \
                grep -cvE ':/$' /proc/self/cgroup";
            let mut container = stage.shell(script);
            container.limits = Limits {
                memory: Some(64 << 20),
                processor: Some(500),
                ..Limits::default()
            };
            let outcome = stage.outcome(container).await;
            let limited = [Lack::Memory, Lack::Processor].map(|lack| !lacks(&stage, lack));
            match limited {
                [true, true] => assert_eq!(outcome.out, "67108864\n50000\n0\n"),
                // Nothing of the machine's own groups, either.
                [false, false] => assert!(!outcome.out.contains("was written"), "{outcome:?}"),
                _ => {}
            }
        },
    );
}

#[test]
fn resource_limits_and_willingness_to_die_are_clamped() {
    as_everybody(
        "resources::resource_limits_and_willingness_to_die_are_clamped",
        async |stage| {
            let mut container = stage.shell("ulimit -n; cat /proc/self/oom_score_adj");
            let process = container.process.as_mut().unwrap();
            process.resources = vec![Resource {
                number: libc::RLIMIT_NOFILE,
                limit: u64::MAX,
            }];
            process.oom_score_adj = -999;
            let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile)
                .maximum
                .unwrap();
            let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
            assert_eq!(stage.outcome(container).await.out, format!("{hard}\n{own}"));
        },
    );
}
