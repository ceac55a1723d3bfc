//! What is wrong with a machine for running containers and watching files on it, and what cures it.
//!
//! Decides from facts that were read elsewhere. It speaks of this machine alone: clusters are [`crate::cluster`]'s and minikube's own matter.

#[cfg(test)]
mod tests;

use serde::Serialize;

/// The oldest kernel that gives all that containers are made with: `clone3`, overlays in user namespaces, `mount_setattr`.
const KERNEL: (u32, u32) = (5, 12);
/// How many user ids an image's users need: the range that distributions hand out.
const IDS: u64 = 65_536;
/// How many folders a checkout with its dependencies may have.
const WATCHES: u64 = 131_072;
/// How many watchers editors, clusters and `mwctl` need side by side; the usual 128 is used up by two clusters.
const INSTANCES: u64 = 512;
/// What images and dependencies of a small stack take.
const FREE_BYTES: u64 = 5 << 30;

/// What was read of a machine. `None` where it couldn't be told.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// The user's name.
    pub user: String,
    /// Whether that user is root.
    pub root: bool,
    /// The kernel's release, such as `6.1.0-18-amd64`.
    pub kernel: String,
    /// The limit `user.max_user_namespaces`.
    pub max_user_namespaces: Option<u64>,
    /// Debian's switch `kernel.unprivileged_userns_clone`.
    pub unprivileged_userns_clone: Option<bool>,
    /// Ubuntu's switch `kernel.apparmor_restrict_unprivileged_userns`.
    pub apparmor_restricts: Option<bool>,
    /// How many ids `/etc/subuid` and `/etc/subgid` give to the user, the smaller of both.
    pub subordinate_ids: u64,
    /// Whether `newuidmap` and `newgidmap` are there.
    pub id_map_programs: bool,
    /// Whether the kernel has the overlay file system, or can load it.
    pub overlay: Option<bool>,
    /// What limits containers.
    pub cgroup: Cgroup,
    /// The limit `fs.inotify.max_user_watches`.
    pub inotify_watches: Option<u64>,
    /// The limit `fs.inotify.max_user_instances`.
    pub inotify_instances: Option<u64>,
    /// The first port that everybody may listen on, `net.ipv4.ip_unprivileged_port_start`.
    pub first_free_port: Option<u16>,
    /// What is free where images are kept, in bytes.
    pub free_bytes: Option<u64>,
}

/// What of the control groups this user may use.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Cgroup {
    /// There are none.
    #[default]
    None,
    /// Version 1, and whether groups can be made.
    V1 {
        /// Whether they can.
        writable: bool,
    },
    /// Version 2, with the controllers of the group that is the user's own.
    V2 {
        /// Whether there is a group in which it can make others.
        writable: bool,
        /// Such as `cpu`, `memory`, `pids`.
        controllers: Vec<String>,
    },
}

/// How good something is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing is amiss.
    Good,
    /// It works, but something is weaker than it could be.
    Degraded,
    /// What needs it doesn't work.
    Missing,
}

/// One conclusion.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// What it is about, a stable word for programs.
    pub topic: &'static str,
    /// How good it is.
    pub state: State,
    /// What is so, and what follows from it.
    pub what: String,
    /// The commands that cure it, one each; empty where nothing is amiss.
    pub cures: Vec<String>,
}

impl Finding {
    fn good(topic: &'static str, what: impl Into<String>) -> Self {
        Self {
            topic,
            state: State::Good,
            what: what.into(),
            cures: Vec::new(),
        }
    }

    fn degraded(topic: &'static str, what: impl Into<String>, cures: &[&str]) -> Self {
        Self {
            state: State::Degraded,
            cures: cures.iter().map(|&cure| cure.to_owned()).collect(),
            ..Self::good(topic, what)
        }
    }

    fn missing(topic: &'static str, what: impl Into<String>, cures: &[&str]) -> Self {
        Self {
            state: State::Missing,
            ..Self::degraded(topic, what, cures)
        }
    }
}

/// Concludes. Findings come in a fixed order, the most basic first.
pub fn diagnose(machine: &Machine) -> Vec<Finding> {
    vec![
        kernel(machine),
        user_namespaces(machine),
        ids(machine),
        overlay(machine),
        limits(machine),
        watches(machine),
        ports(machine),
        disk(machine),
    ]
}

fn kernel(machine: &Machine) -> Finding {
    let release = &machine.kernel;
    let mut numbers = release
        .split(['.', '-', '+'])
        .map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= KERNEL {
        return Finding::good("kernel", format!("Linux {release}"));
    }
    let (major, minor) = KERNEL;
    let what = format!(
        "Linux {release} can't run containers of `mwctl`, which need {major}.{minor} or later"
    );
    Finding::missing("kernel", what, &["install a newer kernel, and start it"])
}

fn user_namespaces(machine: &Machine) -> Finding {
    const TOPIC: &str = "user-namespaces";
    if machine.max_user_namespaces == Some(0) {
        return Finding::missing(
            TOPIC,
            "user namespaces are switched off, and containers need them",
            &["sudo sysctl -w user.max_user_namespaces=15000"],
        );
    }
    if machine.root {
        return Finding::good(TOPIC, "user namespaces can be made");
    }
    if machine.unprivileged_userns_clone == Some(false) {
        return Finding::missing(
            TOPIC,
            "only root may make user namespaces",
            &["sudo sysctl -w kernel.unprivileged_userns_clone=1"],
        );
    }
    if machine.apparmor_restricts == Some(true) {
        return Finding::missing(
            TOPIC,
            "AppArmor keeps programs without a profile from using user namespaces",
            &["sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"],
        );
    }
    Finding::good(TOPIC, "user namespaces can be made without root")
}

fn ids(machine: &Machine) -> Finding {
    const TOPIC: &str = "user-ids";
    if machine.root {
        return Finding::good(TOPIC, "root maps the ids of containers itself");
    }
    let user = &machine.user;
    let programs = "sudo apt-get install uidmap";
    let range =
        format!("sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}");
    let mut cures = Vec::new();
    if !machine.id_map_programs {
        cures.push(programs);
    }
    if machine.subordinate_ids < IDS {
        cures.push(&range);
    }
    if cures.is_empty() {
        let count = machine.subordinate_ids;
        return Finding::good(TOPIC, format!("{user} has {count} ids for containers"));
    }
    let what = "containers have one user id only: programs in them can't become another user, and files of images lose their owners";
    Finding::degraded(TOPIC, what, &cures)
}

fn overlay(machine: &Machine) -> Finding {
    match machine.overlay {
        Some(false) => Finding::missing(
            "overlay",
            "the kernel has no overlay file system, and images need it",
            &["sudo modprobe overlay"],
        ),
        _ => Finding::good("overlay", "images can be laid over each other"),
    }
}

fn limits(machine: &Machine) -> Finding {
    const TOPIC: &str = "limits";
    match &machine.cgroup {
        Cgroup::V1 { writable: true } => {
            Finding::good(TOPIC, "memory, processes and processor time can be limited")
        }
        Cgroup::V2 {
            writable: true,
            controllers,
        } => {
            let lacking: Vec<&str> = ["memory", "pids", "cpu"]
                .into_iter()
                .filter(|wanted| !controllers.iter().any(|has| has == wanted))
                .collect();
            if lacking.is_empty() {
                return Finding::good(TOPIC, "memory, processes and processor time can be limited");
            }
            let what = format!("limits are not enforced for: {}", lacking.join(", "));
            Finding::degraded(TOPIC, what, &[DELEGATE])
        }
        Cgroup::V2 { .. } => {
            let what = format!("{NO_LIMITS}: this shell's control group is root's");
            Finding::degraded(TOPIC, what, &[SCOPE])
        }
        Cgroup::V1 { .. } => Finding::degraded(
            TOPIC,
            format!("{NO_LIMITS}: only root may set them on control groups of version 1"),
            &["start the machine with `systemd.unified_cgroup_hierarchy=1`"],
        ),
        Cgroup::None => Finding::degraded(
            TOPIC,
            format!("{NO_LIMITS}: the kernel shows no control groups"),
            &["sudo mount -t cgroup2 none /sys/fs/cgroup"],
        ),
    }
}

const NO_LIMITS: &str = "limits of containers are not enforced";
/// Delegates the controllers to every user's manager; see systemd.resource-control(5).
const DELEGATE: &str = "sudo sh -c 'mkdir -p /etc/systemd/system/user@.service.d && printf \"[Service]\nDelegate=cpu memory pids\n\" > /etc/systemd/system/user@.service.d/delegate.conf && systemctl daemon-reload', and log in again";
/// A shell of one's own group: that of a login session is root's.
const SCOPE: &str = "systemd-run --user --scope --property=Delegate=yes \"$SHELL\"";

fn watches(machine: &Machine) -> Finding {
    let low = |value: Option<u64>, least: u64| value.is_some_and(|value| value < least);
    let mut cures = Vec::new();
    if low(machine.inotify_watches, WATCHES) {
        cures.push("sudo sysctl -w fs.inotify.max_user_watches=524288");
    }
    if low(machine.inotify_instances, INSTANCES) {
        cures.push("sudo sysctl -w fs.inotify.max_user_instances=1024");
    }
    if cures.is_empty() {
        return Finding::good("inotify", "large checkouts can be watched");
    }
    let told = |value: Option<u64>| value.map_or("?".to_owned(), |value| value.to_string());
    let what = format!(
        "{} folders and {} watchers are soon used up; what can't be watched is polled",
        told(machine.inotify_watches),
        told(machine.inotify_instances)
    );
    Finding::degraded("inotify", what, &cures)
}

fn ports(machine: &Machine) -> Finding {
    match machine.first_free_port {
        Some(first) if first > 80 && !machine.root => Finding::degraded(
            "ports",
            format!(
                "ports below {first} are root's: services on them are reached at the port plus 8000"
            ),
            &["sudo sysctl -w net.ipv4.ip_unprivileged_port_start=80"],
        ),
        _ => Finding::good("ports", "services can be reached at their own ports"),
    }
}

fn disk(machine: &Machine) -> Finding {
    let gibibytes = |bytes: u64| bytes >> 30;
    match machine.free_bytes {
        Some(free) if free < FREE_BYTES => Finding::degraded(
            "disk",
            format!(
                "{} GiB are free where images are kept; a small stack wants {}",
                gibibytes(free),
                gibibytes(FREE_BYTES)
            ),
            &["mwctl image prune"],
        ),
        Some(free) => Finding::good(
            "disk",
            format!("{} GiB are free where images are kept", gibibytes(free)),
        ),
        None => Finding::good("disk", "the room for images isn't known"),
    }
}
