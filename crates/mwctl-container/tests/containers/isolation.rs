//! What a container can't see or do.

use mwctl_container::{Bind, End, Entry, Layer, Mount, Root, Source, Upper};

use crate::stage::{as_everybody, exited, where_mounts_are_shared};

#[test]
fn homes_and_secrets_of_the_machine_are_invisible() {
    as_everybody(
        "isolation::homes_and_secrets_of_the_machine_are_invisible",
        async |stage| {
            let script = "ls -A /root /home | wc -l; ls /etc/shadow /etc/ssh /boot /mnt /sys/firmware/efi 2>/dev/null | wc -l";
            assert_eq!(stage.run(script).await, exited("3\n0\n", 0));
        },
    );
}

#[test]
fn privileges_are_few_and_never_more() {
    as_everybody(
        "isolation::privileges_are_few_and_never_more",
        async |stage| {
            let script = "grep -E '^(CapBnd|CapEff|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status | tr '\\t\\n' '  '";
            let expected = "CapEff: 00000000a80425fb CapBnd: 00000000a80425fb CapAmb: 0000000000000000 NoNewPrivs: 1 Seccomp: 2 ";
            assert_eq!(stage.run(script).await, exited(expected, 0));
        },
    );
}

#[test]
fn system_calls_that_concern_the_machine_are_refused() {
    as_everybody(
        "isolation::system_calls_that_concern_the_machine_are_refused",
        async |stage| {
            for script in [
                "unshare --user true",
                "unshare --mount true",
                "mount -t tmpfs none /srv",
                "umount /proc",
                "echo 1 > /proc/sys/vm/drop_caches",
                "echo b > /proc/sysrq-trigger",
                "echo x > /usr/bin/x",
                "mknod /tmp/disk b 8 0",
            ] {
                let outcome = stage.run(script).await;
                assert!(
                    matches!(outcome.end, End::Code(code) if code != 0),
                    "{script}: {outcome:?}"
                );
            }
            // Threads and processes are made all the same.
            assert_eq!(
                stage
                    .run("(echo one) | cat; sleep 0 & wait; echo two")
                    .await,
                exited("one\ntwo\n", 0)
            );
        },
    );
}

#[test]
fn root_in_a_container_is_not_root_on_the_machine() {
    as_everybody(
        "isolation::root_in_a_container_is_not_root_on_the_machine",
        async |stage| {
            let outcome = stage.run("id -u; cat /proc/self/uid_map").await;
            let mut words = outcome.out.split_whitespace();
            assert_eq!(words.next(), Some("0"));
            assert_eq!(words.next(), Some("0"));
            let outside: u32 = words.next().unwrap().parse().unwrap();
            assert_ne!(outside, 0, "{outcome:?}");
        },
    );
}

#[test]
fn a_network_of_its_own_has_loopback_only_and_can_be_shared() {
    as_everybody(
        "isolation::a_network_of_its_own_has_loopback_only_and_can_be_shared",
        async |stage| {
            let shared = stage.runtime.share(true, true, Some("pod")).await.unwrap();
            let mut container = stage.shell("cat /proc/sys/kernel/hostname; grep -c : /proc/net/dev; ls /sys/class/net; readlink /proc/self/ns/net");
            container.join.network = shared.network.clone();
            container.join.uts = shared.uts.clone();
            container.join.ipc = shared.ipc.clone();
            let outcome = stage.outcome(container).await;
            let lines: Vec<_> = outcome.out.lines().collect();
            assert_eq!(lines[..3], ["pod", "1", "lo"], "{outcome:?}");
            let mut other = stage.shell(
                "readlink /proc/self/ns/net; cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
            );
            other.join.network = shared.network.clone();
            assert_eq!(stage.outcome(other).await.out, format!("{}\n0\n", lines[3]));
            let network = shared.network.unwrap();
            let socket = stage
                .runtime
                .socket(network, libc::AF_INET, libc::SOCK_STREAM, 0)
                .await
                .unwrap();
            // Port 80 is for everybody there.
            rustix::net::bind(
                &socket,
                &std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 80),
            )
            .unwrap();
        },
    );
}

#[test]
fn layers_lie_over_each_other_and_stay_as_they_are() {
    as_everybody(
        "isolation::layers_lie_over_each_other_and_stay_as_they_are",
        async |stage| {
            let folder = tempfile::tempdir().unwrap();
            let layer = |name: &str, text: &str| {
                let path = folder.path().join(name);
                std::fs::create_dir_all(path.join("data")).unwrap();
                std::fs::write(path.join("data").join(name), text).unwrap();
                std::fs::write(path.join("data/both"), text).unwrap();
                Layer {
                    name: name.to_owned(),
                    source: Source::Path(path),
                }
            };
            for read_only in [false, true] {
                let layers = vec![layer("top", "t"), layer("bottom", "b")];
                let root = Root {
                    layers,
                    upper: Upper::Memory,
                    read_only,
                };
                let script =
                    "cd /data; cat top bottom both; echo; echo new > both && rm bottom && ls";
                let mut container = stage.shell(script);
                container.root = root;
                let outcome = stage.outcome(container).await;
                if read_only {
                    assert!(
                        outcome.out.starts_with("tbt\n") && outcome.end != End::Code(0),
                        "{outcome:?}"
                    );
                } else {
                    assert_eq!(outcome, exited("tbt\nboth\ntop\n", 0));
                }
                assert_eq!(
                    std::fs::read_to_string(folder.path().join("top/data/both")).unwrap(),
                    "t"
                );
            }
        },
    );
}

#[test]
fn a_bind_shows_what_it_shall_and_can_be_read_only() {
    as_everybody(
        "isolation::a_bind_shows_what_it_shall_and_can_be_read_only",
        async |stage| {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("sub")).unwrap();
            std::fs::write(folder.path().join("sub/file"), "text").unwrap();
            std::os::unix::fs::symlink("/etc", folder.path().join("out")).unwrap();
            let bind = |read_only, below: Option<&str>| Mount {
                target: "/a/b".into(),
                entry: Entry::Bind(Bind {
                    source: Source::Path(folder.path().to_owned()),
                    directory: true,
                    read_only,
                    below: below.map(Into::into),
                }),
            };
            let mut container = stage.shell("cat /a/b/sub/file; echo new > /a/b/sub/file");
            container.mounts.push(bind(true, None));
            let outcome = stage.outcome(container).await;
            assert!(
                outcome.out.starts_with("text") && outcome.end != End::Code(0),
                "{outcome:?}"
            );
            let mut container = stage.shell(
                "cat /a/b/file; echo new > /a/b/file; id -u > /a/b/mine; stat -c %u /a/b/mine",
            );
            container.mounts.push(bind(false, Some("sub")));
            assert_eq!(stage.outcome(container).await, exited("text0\n", 0));
            assert_eq!(
                std::fs::read_to_string(folder.path().join("sub/file")).unwrap(),
                "new\n"
            );
            let mut container = stage.shell("");
            container.mounts.push(bind(false, Some("out")));
            stage.runtime.run(container).await.unwrap_err();
        },
    );
}

#[test]
fn a_disk_gets_what_is_written_and_no_places_of_mounts() {
    as_everybody(
        "isolation::a_disk_gets_what_is_written_and_no_places_of_mounts",
        async |stage| {
            let folder = tempfile::tempdir().unwrap();
            let mut container =
                stage.shell("echo written > /file; mkdir /etc/new; ls -d /usr/bin /proc/self");
            container.root.upper = Upper::Directory(Source::Path(folder.path().to_owned()));
            let outcome = stage.outcome(container).await;
            assert_eq!(outcome, exited("/proc/self\n/usr/bin\n", 0));
            let names = |below: &str| {
                let listed = std::fs::read_dir(folder.path().join("upper").join(below)).unwrap();
                let mut names: Vec<_> = listed.map(|entry| entry.unwrap().file_name()).collect();
                names.sort();
                names
            };
            assert_eq!(names(""), ["etc", "file"]);
            assert_eq!(names("etc"), ["new"]);
        },
    );
}

#[test]
fn no_mount_is_shared_with_the_machine() {
    where_mounts_are_shared(
        "isolation::no_mount_is_shared_with_the_machine",
        async |stage| {
            let folder = tempfile::tempdir().unwrap();
            let upper = folder.path().join("upper");
            std::fs::create_dir(&upper).unwrap();
            let mut container = stage
                .shell("echo written > /file; cat /file; grep -c shared: /proc/self/mountinfo");
            container.root.upper = Upper::Directory(Source::Path(upper));
            container.mounts.push(Mount {
                target: "/a".into(),
                entry: Entry::Bind(Bind {
                    source: Source::Path(folder.path().to_owned()),
                    directory: true,
                    read_only: true,
                    below: None,
                }),
            });
            assert_eq!(stage.outcome(container).await, exited("written\n0\n", 1));
        },
    );
}
