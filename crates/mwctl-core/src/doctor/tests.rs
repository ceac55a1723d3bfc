//! A machine a rule: what is said of it, and what cures it.

use super::*;

/// A developer's machine on which nothing is amiss.
fn machine() -> Machine {
    Machine {
        user: "ada".to_owned(),
        root: false,
        kernel: "6.1.0-18-amd64".to_owned(),
        max_user_namespaces: Some(15_000),
        unprivileged_userns_clone: Some(true),
        apparmor_restricts: Some(false),
        subordinate_ids: 65_536,
        id_map_programs: true,
        overlay: Some(true),
        cgroup: Cgroup::V2 {
            writable: true,
            controllers: ["cpu", "memory", "pids"].map(str::to_owned).to_vec(),
        },
        inotify_watches: Some(524_288),
        inotify_instances: Some(1024),
        first_free_port: Some(80),
        free_bytes: Some(100 << 30),
    }
}

/// The findings that aren't good, as `topic state: cures`.
fn wrong(machine: &Machine) -> Vec<String> {
    let findings = diagnose(machine).into_iter();
    findings
        .filter(|finding| finding.state != State::Good)
        .map(|finding| {
            let state = serde_json::to_value(finding.state).unwrap();
            format!(
                "{} {}: {}",
                finding.topic,
                state.as_str().unwrap(),
                finding.cures.join("; ")
            )
        })
        .collect()
}

#[test]
fn nothing_is_wrong_with_a_good_machine_and_each_topic_is_told_once() {
    assert_eq!(wrong(&machine()), Vec::<String>::new());
    let mut topics: Vec<&str> = diagnose(&machine()).iter().map(|it| it.topic).collect();
    let all = topics.len();
    topics.sort_unstable();
    topics.dedup();
    assert_eq!(topics.len(), all);
}

#[test]
fn what_is_not_known_is_not_complained_about() {
    let unknown = Machine {
        kernel: "6.1".to_owned(),
        root: true,
        cgroup: Cgroup::V1 { writable: true },
        ..Machine::default()
    };
    assert_eq!(wrong(&unknown), Vec::<String>::new());
}

#[test]
fn an_old_kernel_runs_no_containers() {
    for (release, state) in [
        ("5.10.0-28-amd64", State::Missing),
        ("4.19", State::Missing),
        ("", State::Missing),
        ("5.11.22", State::Missing),
        ("5.12.0", State::Good),
        ("6.18.3+deb13", State::Good),
        ("10.0", State::Good),
    ] {
        let old = Machine {
            kernel: release.to_owned(),
            ..machine()
        };
        assert_eq!(diagnose(&old)[0].state, state, "{release}");
    }
}

#[test]
fn forbidden_user_namespaces_have_three_cures_by_what_forbids_them() {
    let off = Machine {
        max_user_namespaces: Some(0),
        ..machine()
    };
    let debian = Machine {
        unprivileged_userns_clone: Some(false),
        ..machine()
    };
    let ubuntu = Machine {
        apparmor_restricts: Some(true),
        ..machine()
    };
    for (machine, key) in [
        (off, "user.max_user_namespaces=15000"),
        (debian, "kernel.unprivileged_userns_clone=1"),
        (ubuntu, "kernel.apparmor_restrict_unprivileged_userns=0"),
    ] {
        assert_eq!(
            wrong(&machine),
            [format!("user-namespaces missing: sudo sysctl -w {key}")]
        );
    }
}

#[test]
fn root_needs_no_range_and_no_switch() {
    let root = Machine {
        root: true,
        unprivileged_userns_clone: Some(false),
        apparmor_restricts: Some(true),
        subordinate_ids: 0,
        id_map_programs: false,
        first_free_port: Some(1024),
        ..machine()
    };
    assert_eq!(wrong(&root), Vec::<String>::new());
}

#[test]
fn one_user_id_is_a_weakness_with_all_its_cures() {
    let poor = Machine {
        subordinate_ids: 0,
        id_map_programs: false,
        ..machine()
    };
    assert_eq!(
        wrong(&poor),
        [
            "user-ids degraded: sudo apt-get install uidmap; sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ada"
        ]
    );
}

#[test]
fn limits_that_are_not_enforced_are_told() {
    let mut machine = machine();
    machine.cgroup = Cgroup::V2 {
        writable: true,
        controllers: vec!["memory".to_owned(), "pids".to_owned()],
    };
    let told = diagnose(&machine)
        .into_iter()
        .find(|it| it.topic == "limits");
    assert_eq!(told.unwrap().what, "limits are not enforced for: cpu");
    for cgroup in [
        Cgroup::None,
        Cgroup::V1 { writable: false },
        Cgroup::V2 {
            writable: false,
            controllers: Vec::new(),
        },
    ] {
        machine.cgroup = cgroup;
        assert_eq!(wrong(&machine).len(), 1);
    }
}

#[test]
fn small_limits_of_watching_and_little_room_are_told() {
    let small = Machine {
        inotify_watches: Some(8192),
        inotify_instances: Some(128),
        free_bytes: Some(1 << 30),
        first_free_port: Some(1024),
        ..machine()
    };
    assert_eq!(
        wrong(&small),
        [
            "inotify degraded: sudo sysctl -w fs.inotify.max_user_watches=524288; sudo sysctl -w fs.inotify.max_user_instances=1024",
            "ports degraded: sudo sysctl -w net.ipv4.ip_unprivileged_port_start=80",
            "disk degraded: mwctl image prune",
        ]
    );
}

#[test]
fn a_kernel_without_overlays_has_no_images() {
    let bare = Machine {
        overlay: Some(false),
        ..machine()
    };
    assert_eq!(wrong(&bare), ["overlay missing: sudo modprobe overlay"]);
}
