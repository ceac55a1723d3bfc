//! The host: how it reaches services, and that it is left as it was.

use std::collections::BTreeSet;
use std::future::Future;
use std::io::Write;
use std::pin::Pin;

use mwctl_node::network::{Config, Network};

use crate::scenario::{fork, program, read_all, within};
use crate::world::{LONG, World, ask, echo};

pub(crate) fn reaches_services() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let network = "127.77.0.0/16".parse().unwrap();
        let world = World::new(Config {
            host_access: Some(network),
            ..Config::default()
        })
        .await;
        let web = world.pod_at("web", Some(18080)).await;
        web.serve(8080);
        world
            .service_at("web", "10.96.0.50", Some(30080), &[web.at(8080)])
            .await;
        let mut addresses = world.network.host_addresses();
        let found = addresses
            .wait_for(|known| known.len() == 3)
            .await
            .unwrap()
            .clone();
        let ports = [
            ("default/web", 80),
            ("default/web", 30080),
            ("default/pod/web", 18080),
        ];
        for (name, port) in ports {
            let at = found[&(name.to_owned(), port)];
            assert!(network.contains(*at.ip()), "{at}");
            let mut asked = ask(at, LONG).unwrap();
            assert_eq!(asked.who, "web");
            echo(&mut asked.stream).unwrap();
            // Another user of this machine is turned away.
            if is_real_root() {
                let other = std::thread::spawn(move || {
                    become_other_user();
                    ask(at, LONG).map(|asked| asked.who)
                });
                other.join().unwrap().unwrap_err();
            }
        }
        // A service that is gone is gone here too.
        world.tell(mwctl_node::network::cluster::Change::Service(
            kube::runtime::watcher::Event::Delete(crate::world::read(
                serde_json::json!({"metadata": {"namespace": "default", "name": "web"}}),
            )),
        ));
        addresses.wait_for(|known| known.len() == 1).await.unwrap();
        let at = found[&("default/web".to_owned(), 80)];
        // The listener closes when its task has been taken away, a moment later.
        let gone = async {
            while ask(at, LONG).is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, gone).await.unwrap();
    })
}

fn is_real_root() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .unwrap()
        .split_whitespace()
        .nth(2)
        != Some("1")
}

#[expect(unsafe_code, reason = "the library changes all threads")]
fn become_other_user() {
    // SAFETY: the system call changes the calling thread alone.
    let outcome = unsafe { libc::syscall(libc::SYS_setresuid, 12345, 12345, 12345) };
    assert_eq!(outcome, 0);
}

/// All of the host that a network could have changed.
fn state() -> BTreeSet<String> {
    let mut state = BTreeSet::new();
    let mut note = |what: &str, text: String| {
        state.extend(text.lines().map(|line| format!("{what}: {line}")));
    };
    let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    // The names of interfaces: their counters go on.
    let interfaces = file("/proc/thread-self/net/dev");
    let names = interfaces
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
    note("interface", names.collect::<Vec<_>>().join("\n"));
    note("routes", file("/proc/thread-self/net/fib_trie"));
    note("mounts", file("/proc/thread-self/mountinfo"));
    for key in [
        "ipv4/ip_forward",
        "ipv4/conf/all/rp_filter",
        "ipv6/conf/all/disable_ipv6",
        "ipv4/ip_unprivileged_port_start",
    ] {
        note(key, file(&format!("/proc/sys/net/{key}")));
    }
    note(
        "rules",
        program("nft", &["list", "ruleset"]).unwrap_or_default(),
    );
    note(
        "namespaces",
        program("ip", &["netns", "list"]).unwrap_or_default(),
    );
    state
}

fn here() -> BTreeSet<String> {
    std::thread::spawn(state).join().unwrap()
}

async fn busy() -> (World, Vec<crate::world::Runner>) {
    let world = World::new(Config {
        host_access: Some("127.77.0.0/16".parse().unwrap()),
        ..Config::default()
    })
    .await;
    let pods = vec![world.pod("a").await, world.pod("b").await];
    pods[0].serve(8080);
    world
        .service("web", "10.96.0.50", &[pods[0].at(8080)])
        .await;
    pods[1].ask("10.96.0.50:80".parse().unwrap(), LONG).unwrap();
    (world, pods)
}

pub(crate) fn is_left_as_it_was() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let before = here();
        let (world, pods) = busy().await;
        assert_eq!(here(), before, "while it runs");
        let World { network, .. } = world;
        drop::<Network>(network);
        drop(pods);
        assert_eq!(here(), before, "after it has ended");
    })
}

pub(crate) fn is_left_as_it_was_by_a_killed_one() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let before = here();
        let (reader, mut writer) = std::io::pipe().unwrap();
        // The process has more threads than one, but none of them holds a lock while this one forks.
        let child = fork(move || {
            // On a thread of its own, for this one takes itself for one of the runtime's that it was copied from.
            let running = std::thread::spawn(move || {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                let _running = runtime.block_on(busy());
                writer.write_all(b"ready\n").unwrap();
                std::thread::park();
            });
            running.join().map_or(1, |()| 0)
        });
        let mut byte = [0];
        std::io::Read::read_exact(&mut &reader, &mut byte).unwrap();
        rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
        rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty()).unwrap();
        // The other end of the pipe is closed with the process; nobody else has it.
        read_all(reader).unwrap();
        let after = within(
            std::fs::File::open("/proc/thread-self/ns/net").unwrap(),
            state,
        );
        assert_eq!(after.join().unwrap(), before);
    })
}
